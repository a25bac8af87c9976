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
from judge.embedded import pii

# 洞, 幺, 两, 拐 and 勾 are said for clearness, 参 is what 參 is simplified to.
_FROM = "零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖幺弌弍弎参〡〢〣〤〥〦〧〨〩洞两拐勾"
_TO = "00123456789123456789112331234567890279"
DIGITS: Final = str.maketrans(_FROM, _TO)
"""What numerals stand for, by code."""
_D = f"[0-9{_FROM}]"
_RUN = re.compile(rf"{_D}(?:[^0-9{_FROM}]{{0,8}}{_D}){{10,}}(?:[^0-9{_FROM}]{{0,3}}[Xx×叉])?")
_GROUP = re.compile(rf"{_D}+[Xx]?|[×叉]|(?<=[^A-Za-z])[Xx](?![A-Za-z])")
_LINE = r" \-.\u2010-\u2015−ー·•・∙⋅_"  # what divides a number and nothing else
_FREE = re.compile(
    rf"(?:[{_LINE}~★☆♥♡❤\U0001f300-\U0001faff]|\*\*|[)\]】][(\[【]|</?[a-z]{{1,4}}>)*"
)
_BRACKETED = re.compile(r"([)\]】] ?[(\[【]?)\|(?:\1|[ \-])")
_WORDS = re.compile(
    r"(?:[\W_]|</?[a-z]{1,4}>|空格|空|减号?|中?横线?|横?杠|下划线|斜杠|点|[逗顿句]号|换行|分隔|停顿|然后|接着|再|加上?|接"
    r"|[前后]面|[前中后]间?[三四]?位|后边|中间|最后|开头|结尾|[是为]|and|then|dash|space|hyphen)+"
)
_LISTED = re.compile(r"[,;、\n|\"'\[\] .+*/×x=:<>(){}]*")
_STOP = re.compile(r"[,;、\n.:]")
_PRINTED = re.compile(rf"[{_LINE}*/|]")
_WORD = (
    r"(?:电话|手机|号码|联系|微信|薇信|[加+][我微薇vV]|短信|打给|拨打|来电|致电|热线|咨询"
    r"|(?<![A-Za-z])(?:tel|phone|mobile|call|whatsapp|wechat|wx|vx|sms)(?![a-z]))"
)
_ABOUT = re.compile(rf"{_WORD}(?:号码?|方式|[我是为在打发]|[\W_]){{0,6}}\Z", re.IGNORECASE)
_CALLED = re.compile(rf"[\W_]{{0,3}}(?:这?就?是)?(?:我|本人)?的?{_WORD}", re.IGNORECASE)
_MEASURE = re.compile(r" ?[元块岁人年月日万千百套档个米件斤%]")
_BEFORE = 24
_LETTERED = re.compile(
    r"[1Il|](?<![A-Za-z0-9][1Il|])[3-9](?=[0-9 \-]{0,11}[OoIl]|(?<=[Il][3-9]))"
    r"(?:[ \-]?[0-9OoIl|]){9}(?![A-Za-z0-9])"
)
_MEANT = str.maketrans("OoIl|", "00111", " .-")
_ENOUGH = 5  # of a number's digits are written as digits
_MOBILE = 11
_MOST_PARTS = 6  # of an identity number with various things between
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
        yield from _mobiles(text, _LETTERED, lambda said: said.translate(_MEANT), _ENOUGH)
    if not text.isascii():
        pattern, digits = _heard()
        yield from _mobiles(text, pattern, lambda said: said.translate(digits), 0)
    if "one" in text or "One" in text or "ONE" in text:
        yield from _mobiles(text, _SAID, _from_words, 0)


def _in_run(text: str, start: int, end: int) -> Iterator[pii.Found]:
    groups = [found.span() for found in _GROUP.finditer(text, start, end)]
    digits = "".join([text[slice(*group)] for group in groups]).translate(DIGITS)
    digits = digits.translate({0xD7: "X", 0x53C9: "X"})
    gaps = [text[a[1] : b[0]] for a, b in pairwise(groups)]

    def joined(kind: str, first: int, last: int) -> bool:
        inside = gaps[first:last]
        shape = tuple(b - a for a, b in groups[first : last + 1])
        if kind == "pii:id":
            return len(set(inside)) < 2 or len(shape) <= _MOST_PARTS
        if kind == "pii:card":
            return max(shape) > 1 and len(set(inside)) < 2 and all(map(_PRINTED.fullmatch, inside))
        if {*gaps[max(first - 1, 0) : first], *gaps[last : last + 1]} & {*inside, "."}:
            return False  # a part of more numbers
        return _is_dialled(inside, shape) or (
            _may_be_dialled(inside, shape) and is_about(text, groups[first][0], groups[last][1])
        )

    for hit in pii.in_groups(text, digits, groups, joined):
        if not text[hit.start : hit.end].isalnum() or not text[hit.start : hit.end].isascii():
            yield hit


def is_about(text: str, start: int, end: int) -> bool:
    """Whether a word about telephones stands directly beside, and no measure."""
    if _MEASURE.match(text, end):
        return False
    return bool(_ABOUT.search(text, max(start - _BEFORE, 0), start) or _CALLED.match(text, end))


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
    if not pii.is_dialled(shape):
        return False
    if _BRACKETED.fullmatch("|".join(gaps)) or (
        len(kinds) < 2 and all(map(_FREE.fullmatch, kinds))
    ):
        return True
    if max(shape) > 1:
        return all(map(_WORDS.fullmatch, gaps)) and not all(map(_LISTED.fullmatch, gaps))
    if any(_LISTED.fullmatch(gap) or _STOP.search(gap) for gap in gaps):
        return False
    return len(kinds) == 1 or max(map(len, gaps)) < _SHORT


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
    """Eleven characters that sound like digits, and which."""
    file = resources.files("guard.views") / "data" / "syllables.txt"
    lines = (line.split("\t") for line in file.read_text(encoding="utf-8").splitlines())
    digits = {ord(c): _OF_SOUNDS[s] for s, chars in lines if s in _OF_SOUNDS for c in chars}
    digits |= {ord(str(digit)): str(digit) for digit in range(10)}
    of = f"[{''.join(map(chr, sorted(digits)))}]"
    one = f"[{''.join([chr(code) for code, digit in digits.items() if digit == '1'])}]"
    # Looks back only behind a one: others are passed over quickly.
    rest = rf"(?<!{of}{one})(?<![0-9](?=[0-9]{{{_MOBILE - 1}}})){of}{{{_MOBILE - 1}}}(?!{of})"
    return re.compile(one + rest), digits
