"""Where a server of ours listens, and by which names it may be reached."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from judge.errors import InputError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Hosts:
    """The names by which a server may be reached.

    Args:
        names: those, in lower case.
        addresses: whether any IP address is one too, not those of this machine alone: an address
            can't be rebound as a name can.
    """

    names: frozenset[str] = LOOPBACK
    addresses: bool = False

    def allow(self, header: str) -> bool:
        """Whether a Host header names one of them, with any port."""
        try:
            name = urlsplit(f"//{header}").hostname or ""
            if name in self.names:
                return True
            return ipaddress.ip_address(name).is_loopback or self.addresses
        except ValueError:
            return False


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one.

    Raises:
        InputError: nothing can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        why = (getattr(error, "strerror", None) or "no such address").partition(" (")[0]
        mend = "give another --host or --port"
        raise InputError(f"can't listen: {why}", file=f"{host}:{port}", mend=mend) from None


def hosts_for(host: str) -> Hosts:
    """The names by which a server that listens on `host` may be reached."""
    if is_loopback(host):
        return Hosts(LOOPBACK | {host.lower()})
    names = LOOPBACK | {host.lower(), socket.gethostname().lower()}
    return Hosts(names, addresses=True)
