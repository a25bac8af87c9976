"""What every test runs under: no keys, no network beyond loopback, a cache of its own."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
KEYS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_TOKEN")
LOCAL = ("127.0.0.1", "::1", "localhost")
_connect = socket.socket.connect


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.endswith(KEYS) and not name.startswith("FLAMES_JUDGE_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(socket.socket, "connect", _only_loopback)


def _only_loopback(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and address[0] not in LOCAL:
        raise AssertionError(f"a test connects to {address[0]}")
    _connect(self, address)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
