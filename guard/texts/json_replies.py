"""A chatbot's own JSON: all of its texts, and which of them is the prompt or the reply. Pure.

Every string is judged, wherever it stands; the paths only say which ones a person reads as the
prompt or the reply, and where the policy's message goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from guard.decision import Part
from guard.openai_api import JsonPath, bounded, strings_of
from guard.texts.escapes import unescaped
from guard.texts.framed import alike
from judge.embedded import pii
from judge.records import Turn

PROMPTS: Final = ("prompt", "message", "question", "query", "text", "input", "content")
REPLIES: Final = (
    "message.content",
    "delta.content",
    "delta.text",
    "reply",
    "answer",
    "response",
    "message",
    "text",
    "content",
    "output",
    "delta",
    "token",
)
WORD: Final = re.compile(r"[A-Za-z0-9_.:/\-]{1,64}")
_PLACE = re.compile(r"[A-Za-z0-9_.\[\]~\-]{0,128}")
# Of Ollama's answers, in nanoseconds: from 13 to 20 seconds they look like telephone numbers.
_DURATIONS: Final = frozenset(
    {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
)
_DIGITS: Final = re.compile(r"[0-9OoIl](?:[ .\-]?[0-9OoIl]){10,20}[Xx]?")
_LABEL: Final = 24  # characters: words about a number stand no further from it
_BESIDE: Final = 4  # texts beside a number that may say what it is
LONG_NUMBER: Final = 10**6  # shorter ones are no phone number, card or identity


@dataclass(frozen=True)
class Paths:
    """Where to look, most telling first; a path that leads nowhere is passed over."""

    paths: tuple[JsonPath, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Paths:
        """Paths as they are written.

        Raises:
            InputError: one is none.
        """
        return cls(tuple(map(JsonPath.parse, texts)))

    def leading(self, value: object) -> list[JsonPath]:
        """The paths whose first step this value has: most have none, and events are many."""
        if not isinstance(value, dict):
            return list(self.paths)
        return [
            path
            for path in self.paths
            if not isinstance(path.steps[0], str) or path.steps[0] in value
        ]

    def places(self, value: object) -> set[str]:
        """The paths, in this value, of the texts that they lead to."""
        found = set()
        for at, one in (pair for path in self.leading(value) for pair in path.find(value)):
            items, start = (one, bounded(at)) if isinstance(one, list) else ((), at)
            found |= {f"{start}[{n}]" for n, item in enumerate(items) if isinstance(item, str)}
            found |= {at} if isinstance(one, str) else set()
        return found

    def first(self, value: object) -> str | None:
        """The text below the first path that leads to one; a string is its own text."""
        if isinstance(value, str):
            return value
        return next(("\n".join(texts) for _, texts in self.texts(value)), None)

    def texts(self, value: object) -> Iterator[tuple[JsonPath, list[str]]]:
        """Each path that leads to texts, with them."""
        for path in self.leading(value):
            if found := [text for _, one in path.find(value) for text in _direct(one)]:
                yield path, found


def texts_of(value: object, spoken: Paths | None = None) -> list[Part]:
    """Every string of a value, keys included, and its long numbers; single words are marked so.

    JSON inside a string is read without its escapes. A word in a list of texts is a text.

    Args:
        value: JSON; a string alone is a text.
        spoken: where even a single word is a text.
    """
    texts = {""} if isinstance(value, str) else set() if spoken is None else spoken.places(value)
    strings = list(strings_of(value))
    said = {alike(path) for path, text in strings if text and not WORD.fullmatch(text)}
    found = [
        Part(
            place_of(path),
            unescaped(text),
            word=path not in texts and bool(WORD.fullmatch(text)) and alike(path) not in said,
        )
        for path, text in strings
    ]
    return found + [Part("number", text, word=True) for text in _numbers(value)]


def place_of(path: str) -> str:
    """A path as it may be logged: keys may be anybody's text."""
    return path if _PLACE.fullmatch(path) else "?"


def turns_of(history: object) -> tuple[Turn, ...]:
    """Earlier turns, where a `history` has them in OpenAI's form."""
    turns = []
    for one in history if isinstance(history, list) else ():
        role = one.get("role") if isinstance(one, dict) else None
        text = one.get("content") if isinstance(one, dict) else None
        if role in ("system", "user", "assistant") and isinstance(text, str):
            turns.append(Turn(role=role, content=text))
    return tuple(turns)


def _direct(value: object) -> list[str]:
    """A string, or a list's strings: what is a text by itself."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _numbers(value: object) -> Iterator[str]:
    """The long numbers in a value, written as such or as texts, behind what they are called.

    A card's number is one only beside a word about cards, which may be its key, the key above that
    or a short text beside it: `{"label": "银行卡号", "value": "6222..."}`.
    """
    waiting: list[tuple[tuple[str, ...], object]] = [((), value)]
    while waiting:
        labels, item = waiting.pop()
        if isinstance(item, dict):
            texts = (one for one in item.values() if isinstance(one, str) and len(one) <= _LABEL)
            beside = (*islice(texts, _BESIDE), *labels[:1])
            waiting += (((key, *beside), one) for key, one in item.items() if key not in _DURATIONS)
        elif isinstance(item, list):
            waiting += ((labels, one) for one in item)
        elif isinstance(item, str):
            if labels and _DIGITS.fullmatch(item):
                yield from _labelled(labels, item)
        elif isinstance(item, int | float) and abs(item) >= LONG_NUMBER:
            yield from _labelled(labels, str(item))


def _labelled(labels: Sequence[str], number: str) -> Iterator[str]:
    """A number as a reader sees it behind its key, and behind each label that speaks of cards."""
    own, *others = (label[-_LABEL:].replace("_", " ") for label in labels or ("",))
    yield f"{own}：{number}" if own else number
    yield from (f"{one}：{number}" for one in others if pii.CARD_WORDS.search(one))
