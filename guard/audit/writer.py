"""One thread writes a log's lines, many at once; what can't be written now waits in memory.

So nobody's event loop waits for a disk, a lock or a server, and a disk that is full for a while
costs no event.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice

from judge.errors import InputError

MOST_AT_ONCE = 500
MOST_BYTES = 32 * 2**20  # of memory: some 40,000 events without texts
AGAIN_S = 1.0  # what waits is tried this often, also where no line comes
PATIENCE_S = 15.0  # of a caller: longer than any write should take to fail
CLOSE_S = 20.0
_log = logging.getLogger("flames_judge.audit")


class Writer:
    """Writes lines in the order they come. Starts its thread when first needed, and after a fork.

    Args:
        write: writes lines, all or none; called by one thread, again and again until it can.
        place: what people call the place of the log.
        waits: told how many lines more wait in memory, or fewer, since it was told last.
    """

    def __init__(
        self,
        write: Callable[[Sequence[str]], None],
        place: object,
        waits: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._write, self._place, self._waits = write, place, waits
        self._told = 0
        self._lines = deque[str]()
        self._bytes = 0
        self._news = threading.Condition()
        self._tried = Future[None]()  # done when all that has come by now was tried
        self._come = self._failing = self._ended = False
        self._thread: threading.Thread | None = None

    async def emit(self, line: str) -> None:
        """Write a line; it is in its place, or waits in memory, when this returns.

        Raises:
            OSError: neither: too many wait already, or the log is closed.
        """
        tried = asyncio.wrap_future(self._take(line))
        _, late = await asyncio.wait([tried], timeout=PATIENCE_S)
        if late:
            self._fail("no answer")

    def close(self) -> None:
        """Write what waits, and end the thread; what can't be written even now is lost, and told.

        Takes seconds at most.
        """
        with self._news:
            ended, self._ended = self._ended, True
            self._news.notify()
        atexit.unregister(self.close)
        if ended or self._thread is None or not self._thread.is_alive():
            return
        self._thread.join(CLOSE_S)
        if self._lines:
            _log.error("%s: events lost at the end: %d", self._place, len(self._lines))

    def _take(self, line: str) -> Future[None]:
        size = sys.getsizeof(line)
        with self._news:
            if self._ended:
                raise OSError("the log is closed")
            if self._failing and self._bytes + size > MOST_BYTES:
                raise OSError("too many events wait in memory")
            self._begin()
            self._lines.append(line)
            self._bytes += size
            self._come = True
            self._news.notify()
            return self._tried

    def _begin(self) -> None:
        """Start the thread, which no forked child has; what its parent holds is its parent's."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._lines.clear()
        self._bytes, self._told, self._tried = 0, 0, Future()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the program ends, or may have no more of them
            raise OSError(str(error)) from None
        atexit.register(self.close)

    def _run(self) -> None:
        last = False
        while not last:
            with self._news:
                again = AGAIN_S if self._lines else None
                self._news.wait_for(lambda: self._come or self._ended, again)
                last, count = self._ended, len(self._lines)
                tried, self._tried, self._come = self._tried, Future(), False
            self._try(count)
            tried.set_result(None)

    def _try(self, count: int) -> None:
        """Write so many lines, or as many as can be; the rest goes on waiting, in its order."""
        while count:
            with self._news:
                lines = list(islice(self._lines, min(count, MOST_AT_ONCE)))
            try:
                self._write(lines)
            except Exception as error:  # noqa: BLE001 - whatever breaks, callers wait for the thread
                self._fail(_problem(error))
                return
            count -= len(lines)
            with self._news:
                for line in lines:
                    self._lines.popleft()
                    self._bytes -= sys.getsizeof(line)
                self._failing = False
            self._tell()

    def _fail(self, why: str) -> None:
        """From now on only so many may wait."""
        with self._news:
            failing, self._failing = self._failing, True
        if not failing:
            _log.error("%s: events wait in memory: %s", self._place, why)
        self._tell()

    def _tell(self) -> None:
        """Lines that are written at once don't wait."""
        with self._news:
            waiting = len(self._lines) if self._failing else 0
            more, self._told = waiting - self._told, waiting
        if more:
            self._waits(more)


def _problem(error: Exception) -> str:
    """What is wrong with a place; what else went wrong may hold people's texts."""
    if isinstance(error, InputError):
        return error.problem
    return str(error) if isinstance(error, OSError) else type(error).__name__
