"""Ids of rows: numbering those without one, and noticing those that stand twice."""

from __future__ import annotations

import hashlib
import re

from judge.text import key64

_OWN_ID = re.compile(r"([0-9a-f]{16})(?:-([1-9][0-9]{0,8}))?")


def prompt_id(prompt: str) -> str:
    """The id of a prompt: sha256 of its UTF-8 bytes, the first 16 hex digits."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Identities:
    """The ids given and seen so far. Keeps 64-bit hashes of them, so that a million rows fit.

    A row without an id is numbered by its model and prompt: `h`, `h-2`, `h-3`, where `h` is the
    prompt's id. The n-th such row gets the same id whatever becomes of the rows before it.
    """

    def __init__(self) -> None:
        self._answers: dict[int, int] = {}
        self._seen: dict[int, int] = {}

    def number(self, model: str, prompt: str) -> str:
        """The id of this model's next answer to this prompt."""
        base = prompt_id(prompt)
        key = key64(model, base)
        answer = self._answers.get(key, 0) + 1
        self._answers[key] = answer
        return base if answer == 1 else f"{base}-{answer}"

    def numbered(self, model: str, name: str) -> bool:
        """Whether `name` was given to an earlier row of this model that came without an id."""
        own = _OWN_ID.fullmatch(name)
        return own is not None and self._answers.get(key64(model, own[1]), 0) >= int(own[2] or 1)

    def taken(self, *parts: str) -> bool:
        """Whether `first` has seen this key."""
        return bool(self._seen) and key64(*parts) in self._seen

    def first(self, place: int, *parts: str) -> int:
        """The place where this key was seen first: `place` itself when it is new."""
        return self._seen.setdefault(key64(*parts), place)
