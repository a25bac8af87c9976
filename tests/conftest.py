"""What every test runs under: no keys, no network beyond loopback, a cache of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
KEYS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_TOKEN", "_PROXY")
LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None)
_connect, _connect_ex, _look_up = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.getaddrinfo,
)


@pytest.fixture(autouse=True)
def _isolated(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    for name in list(os.environ):
        if name.upper().endswith(KEYS) and not name.startswith("FLAMES_JUDGE_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    tried: list[object] = []
    _only_loopback(monkeypatch, tried)
    yield
    assert not tried, f"a test reached for the network: {tried}"


def _only_loopback(monkeypatch: pytest.MonkeyPatch, tried: list[object]) -> None:
    """Refuse as a network does, and remember: libraries swallow what their sockets raise.

    Names under `.invalid` exist nowhere (RFC 2606), so that asking for one is no reach outside.
    """

    def refused(host: object) -> bool:
        name = host.decode() if isinstance(host, bytes) else host
        if name in LOCAL:
            return False
        if not str(name).endswith(".invalid"):
            tried.append(name)
        return True

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and refused(address[0]):
            raise ConnectionRefusedError("no network in tests")
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        if isinstance(address, tuple) and refused(address[0]):
            raise ConnectionRefusedError("no network in tests")
        return _connect_ex(self, address)

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        if refused(host):
            raise socket.gaierror(socket.EAI_NONAME, "no network in tests")
        return _look_up(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
