"""A real PostgreSQL server for tests; SQLite needs none."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Callable[[str], str]]:
    """A real PostgreSQL server of our own, reached by a socket file; gives a new database's URL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        pytest.skip("PostgreSQL's pg_ctl is missing: install Debian's postgresql")
    tools = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="flames-pg-"))
    user: str | None = None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "postgres"
        with suppress(KeyError):
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)

    def tool(name: str, *arguments: str) -> None:
        command = [str(tools / name), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    tool("initdb", "-D", "data", "-U", "flames", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    settings = f"-k {folder} -c listen_addresses='' -c fsync=off"
    tool("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", settings, "start")

    def database(name: str) -> str:
        tool("createdb", "-h", str(folder), "-U", "flames", name)
        return f"postgresql://flames@/{name}?host={folder}"

    yield database
    tool("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)
