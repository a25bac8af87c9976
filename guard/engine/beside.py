"""Work on texts that would hold up others: done beside the event loop, and little of it at once.

A thread too takes time from the loop, since Python runs one at a time. So one short text and one
long one are worked on at once: who sends megabytes waits for others who do, and nobody else does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

# Characters that are read on the event loop: 2 ms of an ordinary text. The worst that is known,
# escapes and digits in a row, takes 10 to 20 us a character: 80 ms, in which nobody else is served.
INLINE: Final = 4_000
LONG: Final = 100_000  # characters; an ordinary text of so many takes 50 ms, the worst 2 s
_Out = TypeVar("_Out")

_LANES: Final = WeakKeyDictionary[
    asyncio.AbstractEventLoop, tuple[asyncio.Semaphore, asyncio.Semaphore]
]()


async def beside(characters: int, work: Callable[[Event], _Out]) -> _Out:
    """Do work in a thread, once it is its turn; who leaves before then has none done.

    Args:
        characters: how much there is to read.
        work: is given what is set once its caller has left, and should end then.
    """
    loop = asyncio.get_running_loop()
    lane = _LANES.setdefault(loop, (asyncio.Semaphore(), asyncio.Semaphore()))[characters > LONG]
    await lane.acquire()
    left = Event()
    try:
        working = loop.run_in_executor(None, work, left)
    except BaseException:
        lane.release()
        raise
    working.add_done_callback(lambda _: lane.release())  # not before: a thread can't be ended
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        left.set()
        raise
