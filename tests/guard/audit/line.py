"""A line to PostgreSQL's socket file that can go dead: nothing gets through, and nobody is told."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = ".s.PGSQL.5432"


class Line:
    """Threads that pass on what client and server say, while `alive`; takes any number of calls.

    `unheard` is set once something is said in vain.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self.alive, self.unheard, self.calls = threading.Event(), threading.Event(), 0
        self.alive.set()
        self._server, self._ends = server / NAME, list[socket.socket]()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / NAME))
        self._listening.listen()
        threading.Thread(target=self._take, daemon=True).start()

    def close(self) -> None:
        """Hang up."""
        self.alive.set()
        for one in (self._listening, *self._ends):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.calls += 1
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                self._ends += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while said := one.recv(65_536):
                if not self.alive.is_set():
                    self.unheard.set()
                self.alive.wait()
                other.sendall(said)
            other.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(url: str) -> Iterator[tuple[Line, str]]:
    """A line to the server of a URL as `postgresql` makes it, and the URL through it."""
    url, server = url.split("?host=")
    folder = Path(tempfile.mkdtemp(prefix="line-"))
    line = Line(Path(server), folder)
    try:
        yield line, f"{url}?host={folder}"
    finally:
        line.close()
        shutil.rmtree(folder)
