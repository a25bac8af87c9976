"""Characters by their sounds: homophones fall together, and so does pinyin in Latin letters.

Tones don't count, and each character has its most common reading.
"""

from __future__ import annotations

import itertools
import re
import string
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
_NEARLY = 0.9
_LETTER, _WORD = re.compile("[A-Za-z]"), re.compile("[a-z]{2}")
_JOINTS = r"._\-·•*/|,+~:;="  # between syllables, the same each time
_LETTERS = re.compile(rf"[a-z][a-z0-9' {_JOINTS}]*")
_VOWEL, _CHINESE = re.compile("[aeiouv]"), re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_BOPOMOFO = re.compile("[\u3105-\u3129]{2}")
_HOST = re.compile(r"(?:://|[wW]\.|@)\Z")  # behind which a name of a site begins, often in pinyin
_NAMED, _LONGEST = f"{string.ascii_letters}{string.digits}._-", 24
_NAME = re.compile(rf"[A-Za-z0-9._\-]{{1,{_LONGEST}}}(?![A-Za-z0-9._\-])[^A-Za-z]*")
_ALSO = {"lue": "lve", "nue": "nve"}  # spellings without the umlaut that no other sound has
_LEAST = 3  # syllables that are taken for pinyin without a Chinese character beside them
_MANY = 4  # such syllables in a text, from which on every other run is taken for pinyin too


class _Run(NamedTuple):
    """A run that may be pinyin.

    `heard` has a character for each syllable, and the syllable's span; `beside` says whether it
    stands beside Chinese, `shouted` whether it may be an abbreviation: AI, CEO.
    """

    start: int
    end: int
    heard: list[tuple[str, tuple[int, int]]]
    beside: bool
    shouted: bool


class _Sounds(NamedTuple):
    """`common` maps a code to the commonest of its sound, `rare` a spelling to a rare character."""

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
    for start, end, syllables, *_ in _runs(text):
        pieces.append(text[done:start])
        spans += zip(range(done, start), range(done + 1, start + 1), strict=True)
        pieces += [char for char, _ in syllables]
        spans += [span for _, span in syllables]
        done = end
    if not done:
        return view
    spans += zip(range(done, len(text)), range(done + 1, len(text) + 1), strict=True)
    return view.shorter("pinyin", "".join([*pieces, text[done:]]), spans)


def without_bopomofo(view: View) -> View | None:
    """Bopomofo as characters of that sound; null where there is hardly any."""
    text = view.text
    if not _BOPOMOFO.search(text):
        return None
    syllable, rare = _bopomofo()
    found = [(one.span(), rare[one[1]]) for one in syllable.finditer(text)]
    if len(found) < _LEAST:
        return None
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    done = 0
    for (start, end), char in found:
        pieces += [text[done:start], char]
        spans += [*zip(range(done, start), range(done + 1, start + 1), strict=True), (start, end)]
        done = end
    spans += zip(range(done, len(text)), range(done + 1, len(text) + 1), strict=True)
    return view.shorter("bopomofo", "".join([*pieces, text[done:]]), spans)


def by_sound(view: View, start: int = 0, end: int | None = None) -> View:
    """Each Chinese character from `start` to `end` as the commonest one of its sound."""
    text = view.text
    end = len(text) if end is None else end
    heard = text[start:end].translate(_sounds().common)
    made = view.same_length("homophones", text[:start] + heard + text[end:])
    return replace(made, sound=True)


def _lowered(text: str) -> str:
    """Small letters without tones, one for each character."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that is two when lowered
        lowered = "".join([char.lower() if char.isascii() else char for char in text])
    return lowered.translate(_UNTONED) if _TONED.search(lowered) else lowered


def _runs(text: str) -> Iterator[_Run]:
    """What is pinyin in a text: enough of it in a row, or beside Chinese, or beside such runs."""
    found = list(_candidates(text))
    shouted = sum(one.shouted and one.beside for one in found) >= _LEAST and _hardly_else(
        text, found
    )
    sure = [
        one
        for one in found
        if len(one.heard) >= _LEAST or (one.beside and (shouted or not one.shouted))
    ]
    yield from found if sum(len(one.heard) for one in sure) >= _MANY else sure


def _hardly_else(text: str, found: list[_Run]) -> bool:
    """Whether nearly all Latin letters are in the runs."""
    inside = sum(len(_LETTER.findall(text, one.start, one.end)) for one in found)
    return inside >= _NEARLY * len(_LETTER.findall(text))


def _candidates(text: str) -> Iterator[_Run]:
    """Each run of syllables that is no variable."""
    run, syllable, _, rare = _sounds()
    small = _lowered(text)
    words = (run.finditer(small, *letters.span()) for letters in _LETTERS.finditer(small))
    for match in itertools.chain.from_iterable(words):
        if match["none"]:
            continue
        start, end = match.span()
        start, end = _without_names(text, start, end)
        if start == end:
            continue
        heard = [(rare[one[0]], one.span()) for one in syllable.finditer(small, start, end)]
        if len(heard) < _LEAST and not _WORD.search(small, start, end):
            continue  # a1
        first = start - (text[start - 1 : start] == " ")
        last = end + (text[end : end + 1] == " ")
        before, after = text[first - 1 : first] if first else "", text[last : last + 1]
        yield _Run(
            start if _latin(before) else first,
            end if _latin(after) else last,
            heard,
            beside=bool(_CHINESE.match(before) or _CHINESE.match(after)),
            shouted=len(heard) < _LEAST and text[start:end].isupper(),
        )


def _without_names(text: str, start: int, end: int) -> tuple[int, int]:
    """A run without the name of a site or of a mailbox, which stands at its beginning or end."""
    if text[end : end + 1] == "@":
        kept = start + len(text[start:end].rstrip(_NAMED))
        end = kept if end - kept <= _LONGEST else end
    if _HOST.search(text, max(start - 3, 0), start):
        name = _NAME.match(text, start, end)
        start = name.end() if name else start
    return start, end


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
    # Atomic, and passed over where it is no word, so that it is given up in linear time: from
    # behind each of its tones it would be read to the same end again.
    tone, joined = "(?:[1-5](?![0-9]))?", "(?:'(?=[a-z]))?"
    row = f"(?>(?:{one}{tone}{joined})+)"
    word = f"{row}(?![a-z]|[0-9](?![0-9]))"
    alone = rf"(?=[a-z]{{2}}){one}{tone}(?![a-z])"
    parted = rf"(?=[a-z]{{2,6}}[1-5]?[{_JOINTS}][a-z]){alone}([{_JOINTS}]){alone}(?:\1{alone})*"
    none = f"(?P<none>(?=[a-z]++[1-5']){row})"
    run = re.compile(rf"(?<![a-z])(?:{parted}|{word}(?: {word})*|{none})")
    return _Sounds(run, re.compile(one), common, rare)


@cache
def _bopomofo() -> tuple[re.Pattern[str], Mapping[str, str]]:
    """A syllable with its tone and the space behind it, and a rare character for each."""
    file = resources.files("guard.views") / "data" / "bopomofo.txt"
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    rare = _sounds().rare
    chars = {spelled: rare[sound] for spelled, sound in lines if sound in rare}
    return re.compile(f"({_any_of(chars)})[ˊˇˋ˙ˉ]? ?"), chars


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
