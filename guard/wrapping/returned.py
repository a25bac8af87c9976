"""What goes through a generator beside its pieces: a value at its end, and none that is sent."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from typing import Any

from judge.errors import InputError


class Returned:
    """What the newest of some generators has returned at its end; None as long as it has none."""

    def __init__(self) -> None:
        self.value: Any = None

    def by(self, source: Any) -> Any:
        """A stream's pieces; of a generator what it returns is noted."""
        return self._noted(source) if inspect.isgenerator(source) else source

    def _noted(self, source: Any) -> Iterator[Any]:
        self.value = None
        self.value = yield from source


def one_way(items: Iterator[Any]) -> Generator[Any, Any, None]:
    """The items, to a caller who sends nothing back; raises `InputError` where one does."""
    for item in items:
        passed_on((yield item))


def passed_on(sent: object) -> None:
    """Refuse what a caller has sent to a generator: no judge has read it.

    Raises:
        InputError: it is something.
    """
    if sent is not None:
        mend = "give it as an argument of a call"
        raise InputError("nothing can be sent to a guarded generator", file="wrap", mend=mend)
