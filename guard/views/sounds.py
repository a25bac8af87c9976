"""Characters by their sounds: homophones fall together, and so does pinyin in Latin letters.

Tones don't count, and each character has its most common reading.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import NamedTuple

from guard.views.model import View

_LATIN = re.compile("[a-z]|[A-Z]{3}")  # what no abbreviation is made of: AI
_TONES = dict(zip("āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüêńňǹḿ", "aaaaeeeeiiiioooouuuuvvvvvennnm", strict=True))
_TONED = re.compile(f"[{''.join(_TONES)}]")
_UNTONED = str.maketrans(_TONES)
_WORD = re.compile("[a-z]{2}")
_LETTERS = re.compile(r"[a-z][a-z1-5' ]*")
_VOWEL, _CHINESE = re.compile("[aeiouv]"), re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_ALSO = {"lue": "lve", "nue": "nve"}  # spellings without the umlaut that no other sound has
_LEAST = 3  # syllables that are taken for pinyin without a Chinese character beside them
_MANY = 4  # such syllables in a text, from which on every other run is taken for pinyin too


class _Run(NamedTuple):
    """A run of pinyin: `heard` has a character for each syllable, and the syllable's span."""

    start: int
    end: int
    heard: list[tuple[str, tuple[int, int]]]


class _Sounds(NamedTuple):
    """`common` maps a character to the commonest of its sound, `rare` a spelling to a rare one."""

    run: re.Pattern[str]
    syllable: re.Pattern[str]
    common: Mapping[int, str]
    rare: Mapping[str, str]


def load() -> None:
    """Make the tables now and not at the first text."""
    _sounds()


def without_latin(view: View) -> View:
    """Pinyin as characters of that sound; rare ones, which stand in no word by themselves."""
    text = view.text
    if not _LATIN.search(text):
        return view
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    done = 0
    for start, end, syllables in _runs(text):
        pieces.append(text[done:start])
        spans += zip(range(done, start), range(done + 1, start + 1), strict=True)
        pieces += [char for char, _ in syllables]
        spans += [span for _, span in syllables]
        done = end
    if not done:
        return view
    spans += zip(range(done, len(text)), range(done + 1, len(text) + 1), strict=True)
    return view.shorter("pinyin", "".join([*pieces, text[done:]]), spans)


def by_sound(view: View) -> View:
    """Each Chinese character as the commonest one of its sound."""
    made = view.same_length("homophones", view.text.translate(_sounds().common))
    return replace(made, sound=True)


def _lowered(text: str) -> str:
    """Small letters without tones, one for each character."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that is two when lowered
        lowered = "".join([char.lower() if char.isascii() else char for char in text])
    return lowered.translate(_UNTONED) if _TONED.search(lowered) else lowered


def _runs(text: str) -> Iterator[_Run]:
    """What is pinyin in a text: enough of it in a row, or beside Chinese, or beside such runs."""
    run, syllable, _, rare = _sounds()
    small = _lowered(text)
    found: list[_Run] = []
    sure: list[bool] = []
    words = (run.finditer(small, *letters.span()) for letters in _LETTERS.finditer(small))
    for match in itertools.chain.from_iterable(words):
        start, end = match.span()
        first = start - (text[start - 1 : start] == " ")
        last = end + (text[end : end + 1] == " ")
        before, after = text[first - 1 : first] if first else "", text[last : last + 1]
        heard = [(rare[one[0]], one.span()) for one in syllable.finditer(small, start, end)]
        if len(heard) < _LEAST and (
            not _WORD.search(small, start, end) or text[start:end].isupper()
        ):
            continue  # a variable or an abbreviation: a1, AI, CEO
        beside = _CHINESE.match(before) or _CHINESE.match(after)
        sure.append(len(heard) >= _LEAST or bool(beside))
        found.append(
            _Run(start if _latin(before) else first, end if _latin(after) else last, heard)
        )
    everything = sum(len(one.heard) for one in itertools.compress(found, sure)) >= _MANY
    yield from found if everything else itertools.compress(found, sure)


def _latin(char: str) -> bool:
    return char.isascii() and char.isalpha()


@cache
def _sounds() -> _Sounds:
    file = resources.files("guard.views") / "data" / "syllables.txt"
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    common = {ord(char): chars[0] for _, chars in lines for char in chars}
    rare = {spelled: chars[-1] for spelled, chars in lines if _VOWEL.search(spelled)}
    rare |= {spelled: rare[sound] for spelled, sound in _ALSO.items()}
    one = _any_of(rare)
    # Atomic, so that a long word of other letters is given up in linear time.
    word = rf"(?>(?:{one}[1-5]?'?)+)(?![a-z0-9])"
    run = re.compile(rf"(?<![a-z]){word}(?: {word})*")
    return _Sounds(run, re.compile(one), common, rare)


def _any_of(words: Iterable[str]) -> str:
    """A pattern for the longest of the words that stands at a place; each letter is read once."""
    rest: dict[str, list[str]] = {}
    for word in words:
        if word:
            rest.setdefault(word[0], []).append(word[1:])
    ways = [letter + _any_of(tails) for letter, tails in sorted(rest.items())]
    if not ways:
        return ""
    return f"(?:{'|'.join(ways)})" + ("?" if "" in words else "")
