"""Ordinary Chinese texts, as people and models write them: what a guard mostly sees."""

from __future__ import annotations

from functools import cache
from pathlib import Path


def ordinary(number: int, length: int) -> str:
    """A text of up to 1,600 characters, another one for each number up to some hundreds."""
    passages = _passages()
    start = number * 97 % len(passages)
    return (passages * 2)[start : start + length]


@cache
def _passages() -> str:
    file = Path(__file__).with_suffix(".txt")
    return file.read_text(encoding="utf-8").replace("\n", "")
