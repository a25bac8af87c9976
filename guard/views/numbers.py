"""Telephone, identity and card numbers whose digits are disguised or pulled apart.

`judge.embedded.pii` reads digits with a space, a hyphen or a dot between. Here other marks, words
and fillers stand between, or the digits are words, letters or characters of that sound. What also
parts lists and measures counts only beside a word about telephones, or where a check digit speaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Final

from guard.views.model import View
from guard.views.signs import COUNTED, NUMERALS
from judge.embedded import pii, pii_context

# 洞, 幺, 两, 拐 and 勾 are said for clearness, 参 is what 參 is simplified to.
_FROM = "零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖幺弌弍弎参〡〢〣〤〥〦〧〨〩洞两拐勾"
_TO = "00123456789123456789112331234567890279"
DIGITS: Final = str.maketrans(_FROM, _TO)
"""What numerals stand for, by code."""
_D = f"[0-9{_FROM}]"
_RUN = re.compile(rf"{_D}(?:[^0-9{_FROM}]{{0,8}}{_D}){{10,}}(?:[^0-9{_FROM}]{{0,3}}[Xx×叉])?")
# A numeral that says which digits are meant is none of them: 中四位1234.
_ORDER = "[一二三四五六七八]位"
_GROUP = re.compile(
    rf"(?:(?!{_ORDER}){_D})+(?:[Xx](?![0-9]))?|[×叉]|(?<=[^A-Za-z])[Xx](?![A-Za-z0-9])"
)
_LINE = r" \-.\u2010-\u2015−ー·•・∙⋅_"  # what divides a number and nothing else
_FREE = re.compile(
    rf"(?:[{_LINE}~★☆♥♡❤\U0001f300-\U0001faff]|\*\*|[)\]】][(\[【]|</?[a-z]{{1,4}}>)*"
)
_BRACKETED = re.compile(r"([)\]】] ?[(\[【]?)\|(?:\1|[ \-])")
_WORDS = re.compile(
    r"(?:[\W_]|</?[a-z]{1,4}>|空格|空|减号?|中?横线?|横?杠|下划线|斜杠|点|[逗顿句]号|换行|分隔|停顿|然后|接着|再|加上?|接"
    r"|[前中后末尾]?[间面边]?[一二三四五六七八几]?位|[前后]面|后边|中间|最后|接下来|开头|结尾|尾号|末尾"
    r"|[是为]|and|then|dash|space|hyphen)+"
)
_PLACED = re.compile("位|开头|结尾|尾号")  # what follows is said to be a part of a number
_LISTED = re.compile(r"[,;、\n|\"'\[\] .+*/×x=:<>(){}]*")
_STOP = re.compile(r"[,;、\n.:]")
_PRINTED = re.compile(rf"[{_LINE}*/|]")
_SEEN = re.compile(r"[0-9](?:[ .\-]?[0-9])*")  # by the rule for digits
# Of sums, changes and indices: 1500 ÷ 20, 150→200, x[150][20].
_SUM = re.compile(r"[=÷→⇒≈±]|[\-=]>|\A ?(?:[是为减再]|加上?|and) ?\Z")
_INDEX = re.compile(r"[A-Za-z0-9_)\]]\[\Z")
_LETTERED = re.compile(
    r"[1Il|](?<![A-Za-z0-9][1Il|])[3-9](?=[0-9 \-]{0,11}[OoIl]|(?<=[Il][3-9]))"
    r"(?:[ \-]?[0-9OoIl|]){9}(?![A-Za-z0-9])"
)
_MEANT = str.maketrans("OoIl|", "00111", " .-")
# As long as an identity number or a card; looks ahead, to pass over others quickly.
_LONG_LETTERED = re.compile(
    r"[0-9OoIl](?=[0-9OoIl .\-]{14})(?<![A-Za-z][OoIl])(?:[ .\-]?[0-9OoIl]){14,}"
)
_LOOKALIKE, _LOOKALIKES = re.compile("[OoIl]"), str.maketrans("OoIl", "0011")
_PARTED, _LETTERS_IN = re.compile(r"[ \-]"), re.compile("[A-Za-z]+")
_ENOUGH = 5  # of a number's digits are written as digits
_MOBILE = 11
_CARD_SHAPES = ({1}, {4})
_CHECKED, _LONGEST = 17, 19  # digits before an identity number's X, and of a card
_PLACE, _MOST_PARTS = 6, 6  # digits of an identity number's place; parts of such a number
_OF_DAY = re.compile("[:T时点]")
_SHORT = 4  # a filler is shorter
_ENGLISH = "zero|one|two|three|four|five|six|seven|eight|nine"
_SAID = re.compile(
    rf"(?:one|One|ONE)(?<![A-Za-z](?i:one))(?i:(?:[ ,.\-]{{1,3}}(?:{_ENGLISH}|oh)){{10}}(?![a-z]))"
)
_SAID_WORD = re.compile(rf"{_ENGLISH}|oh", re.IGNORECASE)
_VALUES = {word: str(value) for value, word in enumerate(_ENGLISH.split("|"))} | {"oh": "0"}
_OF_SOUNDS = {"ling": "0", "dong": "0", "yi": "1", "yao": "1", "er": "2", "liang": "2", "san": "3",
              "si": "4", "wu": "5", "liu": "6", "qi": "7", "guai": "7", "ba": "8", "jiu": "9",
              "gou": "9"}  # fmt: skip


def load() -> None:
    """Make the table now and not at the first text."""
    _heard()


def find(view: View) -> Iterator[pii.Found]:
    """The numbers in a view, with offsets into its text, which a rule for digits doesn't see."""
    text = view.text
    if view.signs & NUMERALS:
        for run in _RUN.finditer(text):
            yield from _in_run(text, run.start(), run.end())
    if view.signs & COUNTED:
        yield from _lettered(text)
        yield from _long_lettered(text)
    if not text.isascii():
        yield from _by_sound(text)
    if "one" in text or "One" in text or "ONE" in text:
        yield from _mobiles(text, _SAID, _from_words, 0)


def _in_run(text: str, start: int, end: int) -> Iterator[pii.Found]:
    groups = [found.span() for found in _GROUP.finditer(text, start, end)]
    digits = "".join([text[slice(*group)] for group in groups]).translate(DIGITS)
    digits = digits.translate({0xD7: "X", 0x53C9: "X"})
    gaps = [text[a[1] : b[0]] for a, b in pairwise(groups)]
    if len(digits) < _MOBILE:
        return

    def joined(kind: str, first: int, last: int) -> bool:
        inside = gaps[first:last]
        shape = tuple(b - a for a, b in groups[first : last + 1])
        if kind == "pii:id":
            return len(set(inside)) < 2 or _is_by_parts(inside, shape)
        span = groups[first][0], groups[last][1]
        beside = {*gaps[max(first - 1, 0) : first], *gaps[last : last + 1]}
        if kind == "pii:card":
            alone = beside.isdisjoint(inside)
            return len(set(inside)) < 2 and _is_card(text, span, inside, shape, alone=alone)
        return beside.isdisjoint([*inside, "."]) and _is_mobile(text, span, inside, shape)

    for hit in pii.in_groups(text, digits, groups, joined):
        if not _is_token(text[hit.start : hit.end]):
            yield hit


def _is_mobile(
    text: str, span: tuple[int, int], gaps: Sequence[str], shape: tuple[int, ...]
) -> bool:
    """Whether digits, by what is between and around them, are no part of more numbers."""
    if sum(shape) == _MOBILE + 1:  # a zero before it, as dialled from another city
        return pii_context.is_about(text, *span)
    if _is_dialled(gaps, shape) and not _is_counted(text, *span):
        return True
    return _may_be_dialled(gaps, shape) and pii_context.is_about(text, *span)


def _is_card(
    text: str, span: tuple[int, int], gaps: Sequence[str], shape: tuple[int, ...], *, alone: bool
) -> bool:
    """Whether digits are grouped as a card's, or alone one by one or by fours and called so."""
    if _SEEN.fullmatch(text, *span):
        return False
    if max(shape) > 1 and all(map(_is_printed, gaps)):
        return True
    alike = set(shape[:-1]) in _CARD_SHAPES and shape[-1] <= shape[0]
    return alone and alike and pii_context.is_called_card(text, span[0])


def _is_token(said: str) -> bool:
    """Whether a number is seen as it is, or letters stand in it that are not the same each time."""
    if not (said.isascii() and said.isalnum()):
        return False
    return len({*_LETTERS_IN.findall(said)}) != 1


def _is_printed(gap: str) -> bool:
    """Whether it divides the groups of a card's number, and no list."""
    divides = _PRINTED.fullmatch(gap) or _FREE.fullmatch(gap)
    return bool(divides) or bool(_WORDS.fullmatch(gap) and not _LISTED.fullmatch(gap))


def _is_by_parts(gaps: Sequence[str], shape: tuple[int, ...]) -> bool:
    """Whether an identity number's place, day and rest stand apart, with various things between.

    Six figures and a time make as many digits.
    """
    return (
        shape[0] == _PLACE and len(shape) <= _MOST_PARTS and not any(map(_OF_DAY.fullmatch, gaps))
    )


def _may_be_dialled(gaps: Sequence[str], shape: tuple[int, ...]) -> bool:
    """Whether digits may be one mobile number where telephones are spoken of.

    Not 1-800-123-4567, nor decimals.
    """
    several = max(shape) == 1 or (shape[0] > 1 and len(shape) <= _MOST_PARTS)
    decimals = "." in gaps and len(set(gaps)) > 1
    return several and not decimals and all(map(_WORDS.fullmatch, gaps))


def _is_dialled(gaps: Sequence[str], shape: tuple[int, ...]) -> bool:
    """Whether digits are one mobile number, by the gaps between groups of such lengths alone."""
    kinds = set(gaps)
    if not (pii.is_dialled(shape) or any(map(_PLACED.search, gaps))):
        return False
    if _BRACKETED.fullmatch("|".join(gaps)) or (
        len(kinds) < 2 and all(map(_FREE.fullmatch, kinds))
    ):
        return True
    if max(shape) > 1:
        divided = not any(map(_SUM.search, gaps)) and all(map(_WORDS.fullmatch, gaps))
        return divided and not all(map(_LISTED.fullmatch, gaps))
    if any(_LISTED.fullmatch(gap) or _STOP.search(gap) for gap in gaps):
        return False
    return len(kinds) == 1 or max(map(len, gaps)) < _SHORT


def _is_counted(text: str, start: int, end: int) -> bool:
    """Whether digits are an amount, part of a sum or indices."""
    return pii_context.is_amount(text, start, end) or bool(
        _INDEX.search(text, max(start - 2, 0), start)
    )


def _lettered(text: str) -> Iterator[pii.Found]:
    """Mobile numbers with letters that look like digits among them, grouped as people do it."""
    for found in _mobiles(text, _LETTERED, lambda said: said.translate(_MEANT), _ENOUGH):
        shape = tuple(map(len, _PARTED.split(text[found.start : found.end])))
        if pii.is_dialled(shape) or pii_context.is_about(text, found.start, found.end):
            yield found


def _long_lettered(text: str) -> Iterator[pii.Found]:
    """Identity numbers and cards with such letters among their digits, by the rule for digits.

    Codes have letters, too: a card's number is grouped, or called so.
    """
    read = _LONG_LETTERED.sub(_as_digits, text)
    for found in pii.find(read) if read != text else ():
        kind, start, end = found
        card = kind == "pii:card" and (
            _PARTED.search(text, start, end) or pii_context.is_called_card(text, start)
        )
        if (card or kind == "pii:id") and _LOOKALIKE.search(text, start, end):
            yield found


def _as_digits(run: re.Match[str]) -> str:
    """A run of digits and letters that look so, as digits if most of it is."""
    written = sum(map(str.isdecimal, run[0]))
    return run[0].translate(_LOOKALIKES) if 2 * written > len(run[0]) else run[0]


def _by_sound(text: str) -> Iterator[pii.Found]:
    """Numbers that are said: a row of what sounds like digits is one number or none."""
    pattern, digits = _heard()
    for row in pattern.finditer(text):
        number, end = row[1].translate(digits), row.end(1)
        if row[2] and len(number) == _CHECKED:
            number, end = number + "X", row.end()
        if row[1].isascii() or len(number) > _LONGEST:
            continue  # it is seen as it is, or none
        kind = pii.kind_at(text, number, row.start(), end)
        if kind and (kind != "pii:mobile" or len(number) == _MOBILE):
            yield pii.Found(kind, row.start(), end)


def _mobiles(
    text: str, pattern: re.Pattern[str], read: Callable[[str], str], fewest: int
) -> Iterator[pii.Found]:
    """Where a pattern stands that is read as a mobile number.

    Args:
        text: where it is looked for.
        pattern: what may be one.
        read: its digits.
        fewest: so many of them are written as digits.
    """
    for found in pattern.finditer(text):
        if pii.is_mobile(read(found[0])) and sum(map(str.isdecimal, found[0])) >= fewest:
            yield pii.Found("pii:mobile", *found.span())


def _from_words(said: str) -> str:
    return "".join([_VALUES[word.lower()] for word in _SAID_WORD.findall(said)])


@cache
def _heard() -> tuple[re.Pattern[str], dict[int, str]]:
    """Eleven or more characters that sound like digits, with an X behind them, and which."""
    file = resources.files("guard.views") / "data" / "syllables.txt"
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    digits = {ord(c): _OF_SOUNDS[s] for s, chars in lines if s in _OF_SOUNDS for c in chars}
    checks = "".join([chars for sound, chars in lines if sound == "cha"])
    digits |= {ord(str(digit)): str(digit) for digit in range(10)}
    of = f"[{''.join(map(chr, sorted(digits)))}]"
    return re.compile(rf"({of}{of}{{{_MOBILE - 1},}})( ?[Xx×{checks}])?"), digits
