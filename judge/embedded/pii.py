"""Personal data by rule: what matches is what it seems; what doesn't match proves nothing.

Resident identity number: GB 11643-1999 (province, date, ISO 7064 MOD 11-2 check digit). Bank card:
ISO/IEC 7812 (issuer prefix, Luhn) and a word about cards beside it, since a tenth of all digit runs
pass Luhn. Digits may be parted by single spaces, hyphens or dots.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import NamedTuple

from judge.embedded import pii_context

# Looks back only behind a digit: texts without digits are passed over quickly.
_RUN = re.compile(r"[0-9](?<![0-9]{2})(?:[ .\-]?[0-9]){10,}[Xx]?")
_GROUP = re.compile(r"[0-9]+[Xx]?")
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9\-])"
)
_MOBILE = re.compile(r"(?:86)?1(?:3[0-9]|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])[0-9]{8}")
_CARD = re.compile(r"(?:62|4|5[1-5]|2[2-7]|35)[0-9]{13,17}|3[47][0-9]{13}")
_CARD_WORDS = re.compile(
    r"卡号|银行卡|信用卡|储蓄卡|借记卡|卡片|帐号|账号|账户|帐户|开户|银联|户名|汇款|转账|收款|打款"
    r"|\bcard|\bvisa(?![a-z])|\bmastercard|\bunionpay|\baccount|\bbank",
    re.IGNORECASE,
)
# How an identity number, a mobile number and a card may start, with separators or without.
_STARTS = re.compile(r"[1-8][ .\-]?[0-9]")
_PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
_ID_WEIGHTS = tuple(pow(2, 17 - i, 11) for i in range(17))
_MOST_DIGITS = 19
_MOBILE_LENGTHS = (11, 13)
_LENGTHS = frozenset({*_MOBILE_LENGTHS, *range(15, _MOST_DIGITS + 1)})
_SHAPES = ((3, 4, 4), (3, 8), (7, 4), (4, 3, 4), (2, 3, 4, 4), (2, 11))
_WORDS_BEFORE, _WORDS_AFTER = 24, 12


class Found(NamedTuple):
    """Personal data in a folded text."""

    kind: str
    start: int
    end: int


def find(text: str) -> Iterator[Found]:
    """The personal data in a folded text, by kind, in the order of the digits and then the e-mails.

    The time is linear in the text's length.
    """
    for run in _RUN.finditer(text):
        yield from _in_run(text, run.start(), run.end())
    if "@" in text:
        for found in _EMAIL.finditer(text):
            if not pii_context.is_no_mailbox(text, *found.span()):
                yield Found("pii:email", *found.span())


def _in_run(text: str, start: int, end: int) -> Iterator[Found]:
    """The numbers in one run of digits: the longest from each group on, none twice."""
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    first = 0
    while first < len(groups):
        found = _from(text, groups, first)
        if found is None:
            first += 1
            continue
        kind, last = found
        yield Found(kind, groups[first][0], groups[last][1])
        first = last + 1


def _from(text: str, groups: list[tuple[int, int]], first: int) -> tuple[str, int] | None:
    """Kind and last group of the longest number that starts with a group."""
    if not _STARTS.match(text, groups[first][0]):
        return None
    number, ends = "", []
    for last in range(first, min(first + _MOST_DIGITS, len(groups))):
        number += text[slice(*groups[last])]
        if len(number) > _MOST_DIGITS:
            break
        if len(number) in _LENGTHS:
            ends.append((last, number))
    for last, digits in reversed(ends):
        start, end = groups[first][0], groups[last][1]
        kind = _kind(digits, text, start, end)
        if kind and pii_context.stands_alone(text, start, end, any_word=kind == "pii:id"):
            shape = tuple(b - a for a, b in groups[first : last + 1])
            if kind != "pii:mobile" or (_dialled(shape) and _is_telephone(text, start, shape)):
                return kind, last
    return None


def _is_telephone(text: str, start: int, shape: tuple[int, ...]) -> bool:
    """Whether digits in one piece are neither a fraction nor the number of a page."""
    return len(shape) > 1 or not (
        pii_context.is_fraction(text, start) or pii_context.is_page_number(text, start)
    )


def _dialled(shape: tuple[int, ...]) -> bool:
    """Whether the digits are grouped as people write a mobile number."""
    return len(shape) == 1 or shape in _SHAPES or set(shape) == {1}


def _kind(number: str, text: str, start: int, end: int) -> str | None:
    if len(number) == 18 and is_resident_id(number):
        return "pii:id"
    if len(number) in _MOBILE_LENGTHS and _MOBILE.fullmatch(number):
        return "pii:mobile"
    return "pii:card" if is_card(number) and _about_cards(text, start, end) else None


def _about_cards(text: str, start: int, end: int) -> bool:
    return bool(
        _CARD_WORDS.search(text, max(start - _WORDS_BEFORE, 0), start)
        or _CARD_WORDS.search(text, end, end + _WORDS_AFTER)
    )


def is_resident_id(number: str) -> bool:
    """Whether 18 characters are a resident identity number: province, date and check digit."""
    if not (len(number) == 18 and number[:17].isdecimal() and number[:2] in _PROVINCES):
        return False
    if not 1900 <= int(number[6:10]) < 2100:
        return False
    try:
        dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(w * int(digit) for w, digit in zip(_ID_WEIGHTS, number, strict=False))
    return number[17].upper() == "10X98765432"[total % 11]


def is_card(number: str) -> bool:
    """Whether the digits have an issuer's prefix and length, and pass Luhn."""
    if not _CARD.fullmatch(number):
        return False
    digits = [int(digit) for digit in reversed(number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
