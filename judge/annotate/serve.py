"""Running the annotators' page: one listening socket, one secret link for each annotator."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import uvicorn
from starlette.types import ASGIApp

from judge.annotate.gate import LOOPBACK, PREFIX, Hosts
from judge.errors import InputError


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
    """The names by which a page that listens on `host` may be reached."""
    if is_loopback(host):
        return Hosts(LOOPBACK | {host.lower()})
    names = LOOPBACK | {host.lower(), socket.gethostname().lower()}
    return Hosts(names, addresses=True)


def links(tokens: Iterable[str], host: str, listening: socket.socket) -> list[str]:
    """The link of each token."""
    port = listening.getsockname()[1]
    name = socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared
    shown = f"[{name}]" if ":" in name else name
    return [f"http://{shown}:{port}{PREFIX}{token}/" for token in tokens]


def server_for(app: ASGIApp) -> uvicorn.Server:
    """A server for the page: no log of requests, since their paths hold tokens."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            lifespan="off",
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            ws="none",
        )
    )
