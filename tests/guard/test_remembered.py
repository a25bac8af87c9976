"""Texts that come again with every turn of a chat: scanned once, and found as before."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.decision import Part
from guard.engine import scanning
from guard.engine.asking import Asked
from guard.engine.remembered import Remembered
from guard.stream.session import StreamSession
from judge.records import Turn
from tests.guard.made import ABUSE, BAD, SECRET, WordScanner, guard, policy

FIRST = "请介绍一下这座城市"
ANSWER = "它在河边" * 20


class Echo:
    """Finds each text itself."""

    asked = 0

    def kinds(self, text: str) -> Sequence[tuple[str, str]]:
        self.asked += 1
        return [(text, "plain")]


def asked(*turns: str) -> Asked:
    """The last turn is the prompt."""
    history = tuple(
        Turn(role="assistant" if at % 2 else "user", content=turn)
        for at, turn in enumerate(turns[:-1])
    )
    return Asked(prompt=turns[-1], history=history)


def parts(*texts: str) -> list[Part]:
    return [Part(f"messages[{at}].content", text) for at, text in enumerate(texts)]


async def test_earlier_turns_of_a_chat_are_scanned_once() -> None:
    """What comes again with the next question is remembered: also the answer, seen going out."""
    scanner = WordScanner()
    one = guard(policy(ABUSE, {**ABUSE, "side": "input"}), scanner=scanner)
    second, answer, third = "还有呢", "还有" + ANSWER, "谢谢"
    await one.check("input", parts(second, FIRST, ANSWER), asked(FIRST, ANSWER, second))
    await one.check("output", parts(answer), asked(FIRST, ANSWER, second))
    seen = scanner.seen.copy()
    turns = (FIRST, ANSWER, second, answer, third)
    await one.check("input", parts(third, *turns[:-1]), asked(*turns))
    assert scanner.seen == [*seen, third]
    assert seen == [second, FIRST, ANSWER, answer]


async def test_how_a_chat_begins_is_no_secret_that_time_tells() -> None:
    """Before there is an answer anybody may have said the same: each text is scanned."""
    scanner = WordScanner()
    one = guard(policy(ABUSE, {**ABUSE, "side": "input"}), scanner=scanner)
    for _ in range(2):
        await one.check("input", parts(FIRST), asked(FIRST))
        await one.check("output", parts(ANSWER), asked(FIRST))
        await one.check("input", parts(ANSWER), Asked())
    assert scanner.seen == [FIRST, ANSWER, ANSWER] * 2


async def test_the_looks_of_a_stream_push_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come once; the question and all of the answer come again with the next turn."""
    monkeypatch.setattr(scanning, "Remembered", partial(Remembered, most=2))
    scanner = WordScanner()
    one = guard(policy(ABUSE, {**ABUSE, "side": "input"}), scanner=scanner)
    told = asked(FIRST, ANSWER, "还有呢")
    await one.check("input", parts(FIRST), told)
    session = StreamSession(one, told)
    await session.feed(0, "content", ANSWER * 9)
    await session.finish(0)
    await session.close()
    scanner.seen.clear()
    await one.check("input", parts(FIRST, ANSWER * 9), told)
    assert scanner.seen == []


async def test_what_was_found_is_found_again() -> None:
    """A bad turn stops each question that holds it, and says why as at the first time."""
    one = guard(policy({**ABUSE, "side": "input"}))
    for _ in range(3):
        decision = await one.check("input", parts(FIRST, BAD), asked(FIRST, ANSWER, BAD))
        assert decision.stops
        assert decision.hits[0].found == ("abuse", "messages[1].content", "plain")


async def test_another_conversation_has_no_part_in_it() -> None:
    """The same text in a chat that began otherwise is scanned."""
    scanner = WordScanner()
    one = guard(policy({**ABUSE, "side": "input"}), scanner=scanner)
    for first in (FIRST, "别的开头"):
        await one.check("input", parts(ANSWER), asked(first, ANSWER, "还有呢"))
    assert scanner.seen == [ANSWER, ANSWER]


async def test_a_scan_that_broke_is_made_again() -> None:
    """A failure is no finding, and is not kept."""
    scans = []

    class Breaking(WordScanner):
        def kinds(self, text: str) -> Sequence[tuple[str, str]]:
            scans.append(text)
            if len(scans) == 1:
                raise RuntimeError("broken")
            return super().kinds(text)

    one = guard(policy({**ABUSE, "side": "input"}), scanner=Breaking())
    told = asked(FIRST, ANSWER, "还有呢")
    assert (await one.check("input", parts(FIRST), told)).failed
    assert (await one.check("input", parts(FIRST), told)).status == "allowed"
    assert scans == [FIRST, FIRST]


def test_memory_is_bounded_and_holds_no_text() -> None:
    """The oldest are forgotten first; what is asked about again stays."""
    scanner = WordScanner()
    some = Remembered(scanner, most=3)
    for text in ["a", "b", "c", "a", "d", "a", "b"]:
        some.kinds(text, "00")
    assert scanner.seen == ["a", "b", "c", "d", "b"]
    some.kinds(SECRET, "00")
    assert SECRET.encode() not in b"".join(some._known)
    assert all(sys.getsizeof(name) < 60 for name in some._known)


@given(st.lists(st.tuples(st.text(max_size=3), st.sampled_from(["00", "01"])), max_size=30))
def test_remembered_answers_are_the_scanner_s(calls: list[tuple[str, str]]) -> None:
    """Whatever comes in whatever order, lone surrogates too."""
    some = Remembered(Echo(), most=4)
    for text, conversation in [*calls, ("\ud800", "00")]:
        assert some.kinds(text, conversation) == [(text, "plain")]


def test_threads_may_share_it() -> None:
    """Long texts are scanned beside the loop; what is remembered stays bounded."""
    echo, wrong = Echo(), []
    some = Remembered(echo, most=5)

    def use(seed: int) -> None:
        for at in range(500):
            text = str((at * seed) % 13)
            if some.kinds(text, "00") != [(text, "plain")]:
                wrong.append(text)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(1, 5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not wrong
    echo.asked = 0
    for text in map(str, range(13)):
        some.kinds(text, "00")
    assert echo.asked >= 13 - 5
