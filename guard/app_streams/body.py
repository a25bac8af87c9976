"""What is read of a streamed answer, whatever its form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from guard.decision import Decision
from guard.openai_api import ApiError

MOST_OF_A_LINE: Final = 1024 * 1024
WITHDRAWN: Final = {"flames_guard": {"retract": True, "from": 0}}


Sender = Callable[[bytes], Awaitable[None]]


class Body(Protocol):
    """An answer as it comes.

    Attributes:
        over: nothing more of it is wanted.
        stopped: why it was stopped; then `last_words` are to be said.
        shown: whether any text of it has gone out.
    """

    over: bool

    @property
    def stopped(self) -> Decision | None: ...

    @property
    def shown(self) -> bool: ...

    async def take(self, data: bytes, send: Sender | None = None) -> bytes:
        """What to send after more of it.

        Args:
            data: it.
            send: is given, look by look, what otherwise is returned at the end.

        Raises:
            ApiError: 502 it can't be read; 503 it could not be judged.
        """

    async def end(self) -> bytes:
        """What to send when no more comes; raises as `take` does."""

    def last_words(self) -> bytes:
        """What ends an answer that was stopped; nothing where it was not."""

    def broken(self, error: ApiError) -> bytes | None:
        """How a client is told of an error in mid-stream; None when it can't be told."""

    async def close(self, *, again: bool = False) -> Decision | None:
        """Record what was decided, also when the client has left; None where nothing was said.

        Args:
            again: another answer is asked for in its place.
        """


async def passed_on(out: bytes, send: Sender | None) -> bytes:
    """Send what need not wait for the next look; gives what is left to send."""
    if send is None or not out:
        return out
    await send(out)
    return b""
