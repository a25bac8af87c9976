"""A PostgreSQL server that holds the line and says nothing is not waited for.

Its own timeouts end what it is doing, and those of the network what is cut off; neither ends the
wait for a server that hangs, as on storage that does.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from psycopg.abc import PQGen

T = TypeVar("T")
_most_s: ContextVar[float] = ContextVar("most_s", default=math.inf)


@contextmanager
def answers_within(most_s: float) -> Iterator[None]:
    """A server that leaves anything of this thread unanswered for so many seconds is given up."""
    token = _most_s.set(most_s)
    try:
        yield
    finally:
        _most_s.reset(token)


def bound(engine: Engine, ended: threading.Event) -> None:
    """Bound every wait of an engine's connections; a connection that was given up is closed.

    Args:
        engine: psycopg's.
        ended: nothing is waited for any longer, in no thread.

    Raises:
        ImportError: psycopg is missing.
    """
    import psycopg

    class Connection(psycopg.Connection[Any]):
        """One whose waits end."""

        def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
            return super().wait(self._bounded(gen), *args, **options)

        def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
            """The same steps; psycopg asks for the next at least every 0.1 s."""
            until = time.monotonic() + _most_s.get()
            ready: Any = None
            while True:
                try:
                    step = gen.send(ready)
                except StopIteration as end:
                    found: T = end.value
                    return found
                if ended.is_set() or time.monotonic() > until:
                    self.close()
                    raise psycopg.OperationalError("the server doesn't answer")
                ready = yield step

    @event.listens_for(engine, "do_connect")
    def _connect(_: object, __: object, args: list[Any], options: dict[str, Any]) -> object:
        return Connection.connect(*args, **options)
