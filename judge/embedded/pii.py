"""Personal data by rule: what matches is what it seems; what doesn't match proves nothing.

Resident identity number: GB 11643-1999 (province, date, ISO 7064 MOD 11-2 check digit). Bank card:
ISO/IEC 7812 (issuer prefix, Luhn) and a word about cards beside it, since a tenth of all digit runs
pass Luhn. Digits may be parted by single spaces, hyphens or dots.
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from judge.embedded import pii_context

# Looks back only behind a digit: texts without digits are passed over quickly.
_RUN = re.compile(r"[0-9](?<![0-9]{2})(?:[ .\-]?[0-9]){10,}[Xx]?")
_GROUP = re.compile(r"[0-9]+[Xx]?")
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9\-])"
)
_MOBILE = re.compile(
    r"(?:(?:00)?86|0)?1(?:3[0-9]|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])[0-9]{8}"
)
_CARD = re.compile(r"(?:62|4|5[1-5]|2[2-7]|35)[0-9]{13,17}|3[47][0-9]{13}")
CARD_WORDS = re.compile(  # looks ahead: words that overlap are found too
    r"(?=(卡|帐号|账号|账户|帐户|开户|银联|户名|汇款|转账|收款|打款"
    r"|银行|[工农中建交招]行|邮储|农商|信用社"
    r"|\bcard|\bvisa(?![a-z])|\bmastercard|\bunionpay|\baccount|\bbank))",
    re.IGNORECASE,
)
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
_TELEPHONE = 11  # digits
_MOBILE_LENGTHS = (_TELEPHONE, 12, 13, 15)
# How many digits a number has that starts with a digit, the longest first.
_CARDS = tuple(range(19, 14, -1))
_LENGTHS = {
    "0": (15, 12),
    "1": (18, 11),
    "8": (18, 13),
    **dict.fromkeys("23456", _CARDS),
    "7": (18,),
}
_NO_CARDS = {**_LENGTHS, **dict.fromkeys("23456", (18,))}  # where nothing speaks of one
_DOUBLED = str.maketrans("0123456789", "0246813579")  # and their digits added
_SHAPES = (
    *((3, 4, 4), (3, 8), (7, 4), (4, 3, 4), (4, 4, 4)),
    *((2, 3, 4, 4), (2, 11), (4, 3, 4, 4), (4, 11)),
)
_CARD_SHAPES, _CODE = ((4, 6, 4), (4, 6, 5)), 3
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


@dataclass(frozen=True)
class _Run:
    """Groups of digits, each of them a mark apart from the next.

    `lengths` are the groups', `starts` where their digits begin among all, and where these end.
    """

    text: str
    groups: Sequence[tuple[int, int]]
    digits: str
    lengths: tuple[int, ...]
    starts: Sequence[int]

    @cached_property
    def spoken_of(self) -> bool:
        """Whether a word about telephones stands near; among the digits there is none."""
        return pii_context.speaks_of_telephones(self.text, self.groups[0][0], self.groups[-1][1])

    def beside(self, first: int, last: int) -> tuple[bool, bool]:
        """Whether figures stand before and behind groups as these do by each other: a table."""
        gap = self.text[self.groups[first][1]] if first < last else ""
        before = first > 0 and self.text[self.groups[first][0] - 1] == gap
        behind = last + 1 < len(self.groups) and self.text[self.groups[last][1]] == gap
        return before, behind

    def begins_at(self, first: int) -> bool:
        """Whether what is before a group is a person's number, or no figure of a table."""
        at = self.starts[first]
        if is_mobile(self.digits[max(at - _TELEPHONE, 0) : at]):
            return True
        return is_resident_id(self.digits[max(at - 18, 0) : at]) or pii_context.ends_place(
            self.text, self.groups[first][0] - 1
        )

    def ends_at(self, last: int) -> bool:
        """Whether what is behind a group is a telephone number, or no figure of a table."""
        if _MOBILE.match(self.digits, self.starts[last + 1]):
            return True
        return pii_context.is_day_or_place(self.text, self.groups[last + 1][0])


def _in_run(text: str, start: int, end: int) -> Iterator[Found]:
    """The numbers in one run of digits."""
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    digits = "".join([text[slice(*group)] for group in groups])
    lengths = tuple(b - a for a, b in groups)
    run = _Run(text, groups, digits, lengths, list(accumulate(lengths, initial=0)))

    def joined(kind: str, first: int, last: int) -> bool:
        if kind == "pii:mobile":
            return _may_be_mobile(run, first, last)
        return kind != "pii:card" or _may_be_card(run, first, last)

    yield from in_groups(text, digits, groups, joined)


def _may_be_mobile(run: _Run, first: int, last: int) -> bool:
    shape, span = run.lengths[first : last + 1], (run.groups[first][0], run.groups[last][1])
    if not is_dialled(shape) or pii_context.is_amount(run.text, *span):
        return False
    if len(shape) == 1 and pii_context.is_fraction_or_page(run.text, span[0]):
        return False
    near = (*run.lengths[max(first - 1, 0) : first], *run.lengths[last + 1 : last + 2])
    if max(shape) == 1 and 1 in near:
        return False  # a row of more digits
    before, behind = run.beside(first, last)
    doubtful = (
        (before and not run.begins_at(first))
        or (behind and not run.ends_at(last))
        or run.digits.startswith("01", run.starts[first])  # as dialled from another city
    )
    return not doubtful or pii_context.has_country_code(run.text, span[0]) or run.spoken_of


def _may_be_card(run: _Run, first: int, last: int) -> bool:
    """Whether the groups are those of a card, with no more figures than its code behind."""
    if pii_context.is_called_card(run.text, run.groups[first][0]):
        return True
    shape = run.lengths[first : last + 1]
    before, behind = run.beside(first, last)
    if before or (behind and run.lengths[last + 1] > _CODE and not run.ends_at(last)):
        return False
    alike = len(set(shape[:-1])) == 1 and shape[-1] <= shape[0]
    return len(shape) < 3 or alike or shape in _CARD_SHAPES


def in_groups(
    text: str,
    digits: str,
    groups: Sequence[tuple[int, int]],
    joined: Callable[[str, int, int], bool],
) -> Iterator[Found]:
    """The numbers in groups of digits: the longest from each group on, none twice.

    Args:
        text: where they stand.
        digits: those of all groups.
        groups: where each group stands; as many characters as it has digits.
        joined: whether the groups from one to another may be one number of a kind.
    """
    words = _card_words(text, groups[0][0], groups[-1][1])
    lengths = _LENGTHS if words else _NO_CARDS
    starts = list(accumulate((end - start for start, end in groups), initial=0))
    ends = {end: last for last, end in enumerate(starts[1:])}
    first = 0
    while first < len(groups):
        at, after = starts[first], first + 1
        for length in lengths.get(digits[at], ()):
            last = ends.get(at + length)
            if last is None:
                continue
            span = groups[first][0], groups[last][1]
            kind = _kind(digits[at : at + length], cards=bool(words) and _is_near(words, *span))
            alone = kind and pii_context.stands_alone(text, *span, any_word=kind == "pii:id")
            if kind and alone and joined(kind, first, last):
                yield Found(kind, *span)
                after = last + 1
                break
        first = after


def is_dialled(shape: tuple[int, ...]) -> bool:
    """Whether the digits are grouped as people write a mobile number."""
    return len(shape) == 1 or shape in _SHAPES or set(shape) == {1}


def kind_at(text: str, number: str, start: int, end: int) -> str | None:
    """What kind of number stands at a place, whatever is written for its digits; null for none."""
    return _kind(number, cards=_is_near(_card_words(text, start, end), start, end))


def _kind(number: str, *, cards: bool) -> str | None:
    if len(number) == 18 and is_resident_id(number):
        return "pii:id"
    if len(number) in _MOBILE_LENGTHS and is_mobile(number):
        return "pii:mobile"
    return "pii:card" if cards and is_card(number) else None


def _card_words(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The words about cards in and near a place, by where they begin."""
    near = CARD_WORDS.finditer(text, max(start - _WORDS_BEFORE, 0), end + _WORDS_AFTER)
    return [word.span(1) for word in near]


def _is_near(words: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of some words stands in or near a number."""
    at = bisect_left(words, (start - _WORDS_BEFORE,))  # no word stands within another
    return any(ended <= end + _WORDS_AFTER for _, ended in words[at : at + 1])


def is_mobile(number: str) -> bool:
    """Whether the digits are a mainland mobile number, perhaps with the country's code."""
    return _MOBILE.fullmatch(number) is not None


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
    return (
        sum(map(int, number[::-2])) + sum(map(int, number[-2::-2].translate(_DOUBLED)))
    ) % 10 == 0
