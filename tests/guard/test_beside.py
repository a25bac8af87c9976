"""Long texts are worked on beside the event loop, few at once, and for nobody who has left."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import Sequence

import pytest

from guard.decision import Decision, Part
from guard.engine import Guard
from guard.engine.asking import Asked
from guard.engine.beside import INLINE, LONG
from guard.engine.slices import slices
from guard.texts.framed import framed, framed_beside
from tests.guard.llm_made import until
from tests.guard.made import BAD, WordScanner, guard

HELD = "长"  # what a text begins with whose scan waits
PATIENCE = 20.0


class Held(WordScanner):
    """Scans some texts only once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may, self._lock = threading.Event(), threading.Lock()
        self.now = self.most = 0

    def kinds(self, text: str) -> Sequence[tuple[str, str]]:
        """What is in the text."""
        if text.startswith(HELD):
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            self.may.wait(PATIENCE)
            with self._lock:
                self.now -= 1
        return super().kinds(text)


def long(name: str) -> str:
    return HELD * LONG + name


def looking(one: Guard, *texts: str) -> asyncio.Task[Decision]:
    parts = [Part("text", text) for text in texts]
    return asyncio.ensure_future(one.look("output", parts, Asked(prompt="你好")))


async def test_who_sends_megabytes_holds_up_others_who_do_and_nobody_else() -> None:
    """One of them is scanned at a time; a text of ordinary length goes past all of them."""
    scanner = Held()
    one = guard(scanner=scanner)
    waiting = [looking(one, long(str(number))) for number in range(5)]
    await until(lambda: scanner.now == 1, PATIENCE)
    assert (await looking(one, "好" * (INLINE + 1) + BAD)).stops
    assert (await looking(one, "好")).status == "allowed"
    assert not any(task.done() for task in waiting)
    scanner.may.set()
    assert {(await task).status for task in waiting} == {"allowed"}
    assert scanner.most == 1


async def test_nothing_more_is_scanned_for_who_has_left() -> None:
    """Neither a text that waits for its turn, nor what comes behind the one that is read."""
    scanner = Held()
    one = guard(scanner=scanner)
    read, waits = looking(one, long("a"), "好" + BAD), looking(one, long("b"))
    await until(lambda: scanner.now == 1, PATIENCE)
    for task in (read, waits):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    last = looking(one, long("c"))
    await looking(one, "好")
    assert scanner.now == 1  # a thread can't be ended: until then it keeps its turn
    scanner.may.set()
    await last
    ends = [text[-1] for text in scanner.seen]
    assert ends == ["好", HELD, *(one[-1] for one in slices(long("c")))]  # one slice of the first


def test_each_event_loop_has_its_own_turns() -> None:
    """A guard may be used from several, as by `wrap` and by a server."""

    async def several() -> list[Decision]:
        return await asyncio.gather(*(looking(one, "好" * LONG + str(n)) for n in range(3)))

    one = guard()
    for _ in range(2):
        assert [found.status for found in asyncio.run(several())] == ["allowed"] * 3


async def test_a_text_that_is_short_enough_to_block_nobody_goes_no_further_way() -> None:
    """An ordinary answer is scanned at once; one that could be slow is scanned in a thread."""
    threads: list[str] = []

    class Watching(WordScanner):
        def kinds(self, text: str) -> Sequence[tuple[str, str]]:
            threads.append(threading.current_thread().name)
            return super().kinds(text)

    one = guard(scanner=Watching())
    for length in (3_000, 5_000):
        await looking(one, "好" * length)
    assert threads[0] == threading.main_thread().name != threads[1]


async def test_many_lines_of_json_are_taken_apart_beside_the_event_loop() -> None:
    """A megabyte of them takes half a second, in which others are served."""
    text = '{"a": "好"}\n' * 60_000
    working, served = asyncio.ensure_future(framed_beside(text)), 0
    while not working.done():
        await asyncio.sleep(0)
        served += 1
    assert served > 10
    assert await working == framed(text)


def test_a_long_key_is_kept_once_however_many_values_are_beneath_it() -> None:
    """Written out for each of them, 200 KB would take gigabytes."""
    items = ",".join(['"好"'] * 20_000)
    text = f'{{"{"k" * 100_000}": {{"in": [{items}], "{"l" * 50_000}": {{"x": "坏"}}}}}}\n{{}}'
    tracemalloc.start()
    parts = framed(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "好" * 20_000 in [part.text for part in parts]
    assert peak < 50_000_000
