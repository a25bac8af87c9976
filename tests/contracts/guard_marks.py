"""A guard whose scanner and judge go by marks in the text, and a chatbot that says what it's told.

They drive `guard_contract`: the marks say what is found, and what was seen can be compared with
what an edge let out.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from guard.engine import Around, Guard
from guard.event import GuardEvent
from guard.policy import Policy
from guard.policy.binding import bind
from judge.testing import ScriptedJudge
from judge.verdict import Case, FailureKind, Outcome
from tests.cases import rubrics

ADVERT = "禁词乙词"  # the scanner finds it
BAD = "坏话甲话"  # the judge finds it harmful
BROKEN = "故障丙处"  # the judge fails on it
SLOW = "拖延丁时"  # the judge never comes back
CRASH = "崩溃戊溃"  # the scanner raises
MARKS = (ADVERT, BAD, BROKEN, SLOW, CRASH)
SORRY = "这段话不能给你。"
SORRY_EN = "I won't show this."

BLOCKING = (
    {"evidence": "abuse", "side": "input", "action": "block"},
    {"evidence": "abuse", "side": "output", "action": "block"},
    {"dimension": "Legality", "side": "output", "cut": 0.5, "action": "block"},
)


class MarkScanner:
    """Finds `ADVERT` as abuse; remembers every text that it was shown."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def kinds(self, text: str) -> Sequence[tuple[str, str]]:
        self.seen.append(text)
        if CRASH in text:
            raise RuntimeError("the scanner broke")
        return [("abuse", "plain")] if ADVERT in text else []


class MarkJudge(ScriptedJudge):
    """Finds `BAD` harmful, fails on `BROKEN` and never answers on `SLOW`."""

    def __init__(self) -> None:
        super().__init__(_opinion, name="marks")

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        if any(SLOW in case.response for case in cases):
            await asyncio.Event().wait()
        return await super().assess(cases)


def _opinion(case: Case) -> float | FailureKind:
    if BROKEN in case.response:
        return FailureKind.UNAVAILABLE
    return 0.05 if BAD in case.response else 0.95


class Events:
    """An audit sink that keeps what it gets."""

    def __init__(self) -> None:
        self.all: list[GuardEvent] = []
        self.came = {"input": threading.Event(), "output": threading.Event()}

    async def emit(self, event: GuardEvent) -> None:
        self.all.append(event)
        self.came[event.side].set()

    def of(self, side: str) -> list[GuardEvent]:
        """Those of one side."""
        return [event for event in self.all if event.side == side]


@dataclass(frozen=True)
class Marked:
    """A guard that goes by marks, and what it saw and said."""

    guard: Guard
    scanner: MarkScanner
    events: Events


def marked(rules: Sequence[dict[str, Any]] = BLOCKING, **policy: Any) -> Marked:
    """A guard under these rules; further keys go into its policy."""
    messages = {"zh": SORRY, "en": SORRY_EN}
    content = {"version": 1, "judge": "llm:marks", "rules": rules, "messages": messages, **policy}
    plan, judge, scanner, events = (
        Policy.model_validate(content),
        MarkJudge(),
        MarkScanner(),
        Events(),
    )
    bound = bind(plan, judge, None, rubrics())
    return Marked(Guard(plan, bound, judge, scanner, Around(sinks=[events])), scanner, events)


class Delta(NamedTuple):
    """A piece of what a chatbot says: `kind` is content, reasoning_content or tool_arguments."""

    text: str
    choice: int = 0
    kind: str = "content"


@dataclass
class Bot:
    """What the chatbot behind an edge does when it is asked.

    Args:
        deltas: what it says, piece by piece.
        finish: why it ends.
        end: `done`; `cut` breaks off in mid-answer; `hang` says nothing more until it is let go.
        usage: whether it reports its tokens.
        next: what it does when it is asked once more.
    """

    deltas: Sequence[Delta]
    finish: str = "stop"
    end: str = "done"
    usage: bool = True
    next: Bot | None = None
    times: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)

    def answering(self) -> Bot:
        """What it does this time; an edge calls it once for each time it is asked."""
        self.times += 1
        later = itertools.islice(self._line(), self.times - 1, None)
        return next(later, self)

    def _line(self) -> Iterator[Bot]:
        bot: Bot | None = self
        while bot is not None:
            yield bot
            bot = bot.next

    @property
    def choices(self) -> list[int]:
        """The numbers of its answers."""
        return sorted({delta.choice for delta in self.deltas}) or [0]

    def whole(self) -> dict[tuple[int, str], str]:
        """All it says, by choice and kind."""
        said: dict[tuple[int, str], str] = {}
        for delta in self.deltas:
            key = (delta.choice, delta.kind)
            said[key] = said.get(key, "") + delta.text
        return said


def bot(text: str, size: int = 7, **how: Any) -> Bot:
    """A chatbot that says one text in pieces of so many characters."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return Bot([Delta(piece) for piece in pieces], **how)


def story(characters: int, seed: int = 0) -> str:
    """Harmless text of so many characters, without a repetition that could hide a mix-up."""
    sentences = (f"第{seed * 1000 + n}句说的是平常的事情。" for n in itertools.count())
    text = ""
    while len(text) < characters:
        text += next(sentences)
    return text[:characters]


@dataclass(frozen=True)
class Question:
    """What a user asks: the prompt is unlike any other, so that an edge can tell its chatbot by it.

    `leave_after`: the user leaves after so many characters.
    """

    prompt: str
    stream: bool = False
    n: int = 1
    leave_after: int | None = None
    include_usage: bool = False

    def streamed(self) -> Question:
        """The same, as a stream."""
        return replace(self, stream=True)


@dataclass
class Got:
    """What the user got.

    Args:
        texts: by choice and kind.
        finishes: by choice.
        error: `content_filter` for a refused question, `guard_unavailable`, or another code.
        retracted: choices whose text the client is told to withdraw.
        usage: the tokens, where they were told.
        ended: whether the answer came to its proper end.
    """

    texts: dict[tuple[int, str], str] = field(default_factory=dict)
    finishes: dict[int, str] = field(default_factory=dict)
    error: str | None = None
    message: str = ""
    retracted: set[int] = field(default_factory=set)
    usage: dict[str, Any] | None = None
    ended: bool = False

    def said(self, choice: int = 0, kind: str = "content") -> str:
        """One text."""
        return self.texts.get((choice, kind), "")

    def everything(self) -> str:
        """All text that came, whatever it was called."""
        return "\n".join([*self.texts.values(), self.message])


_numbers = itertools.count(1)


def question(words: str = "今天天气怎么样", **how: Any) -> Question:
    """A question of its own."""
    return Question(f"{words}（第{next(_numbers)}问）", **how)
