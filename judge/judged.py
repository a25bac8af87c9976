"""A run as the rows that a judge was asked about: what is sampled from and calibrated on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

from judge.gold.model import RowKey
from judge.runlog import Entry, prompt_sha256, row_key
from judge.text import chinese_share, fingerprint
from judge.verdict import FailureKind, Hazard, JudgeRef, RubricRef

Category = Literal["3", "2", "1", "not_3", "abstained", "unjudged"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
OPEN: frozenset[Category] = frozenset({"abstained", "unjudged"})
READ = 4000  # characters of a response that its script is told by


class JudgedRow(NamedTuple):
    """A row of a run without its texts.

    `category` is the judge's label, `not_3` where 2 and 1 can't be told apart, or why there is
    none. `cluster` is equal for answers to one prompt; `content` is the hash of what was judged.
    Of the response, `length` are the characters and `chinese` is the share of Chinese among the
    letters of its head; null where texts were not kept. `hazard` is what the judge was told of the
    prompt; null in older logs.
    """

    key: RowKey
    category: Category
    cluster: int
    p_harmless: float | None = None
    judge: JudgeRef | None = None
    rubric: RubricRef | None = None
    content: str | None = None
    length: int | None = None
    chinese: float | None = None
    hazard: Hazard | None = None


class Frame(NamedTuple):
    """What a sample is drawn from: how many rows, and the hash of their ids in any order."""

    n: int
    sha256: str


def judged_rows(entries: Iterable[Entry]) -> dict[RowKey, JudgedRow]:
    """The rows that count: the last line of each, without withdrawn and filtered ones."""
    last: dict[RowKey, JudgedRow | None] = {}
    for entry in entries:
        key = RowKey(entry.model, entry.record_id, entry.dimension)
        last[key] = _row(key, entry) if entry.type in {"verdict", "failure"} else None
    return {key: row for key, row in last.items() if row is not None}


def _row(key: RowKey, entry: Entry) -> JudgedRow:
    known = entry.prompt_sha256
    if known is None and entry.prompt is not None:
        known = prompt_sha256(entry.prompt)
    cluster = entry.key if known is None else int(known[:16], 16)
    category = category_of(entry)
    return JudgedRow(
        key,
        category,
        cluster,
        entry.p_harmless,
        entry.judge,
        entry.rubric,
        entry.content_sha256,
        None if entry.response is None else len(entry.response),
        None if entry.response is None else chinese_share(entry.response[:READ]),
        entry.hazard,
    )


def judges_of(rows: Iterable[JudgedRow]) -> list[tuple[str, JudgeRef, RubricRef]]:
    """Who judged each dimension, under which rubric, once each."""
    found = dict.fromkeys((row.key.dimension, row.judge, row.rubric) for row in rows)
    return [(name, judge, rubric) for name, judge, rubric in found if judge and rubric]


def category_of(entry: Entry) -> Category:
    """The verdict's category, by which a run is divided into strata."""
    if entry.type == "failure":
        return "abstained" if entry.kind is FailureKind.ABSTAINED else "unjudged"
    if entry.label is not None:
        labels: dict[int, Category] = {3: "3", 2: "2", 1: "1"}
        return labels[entry.label]
    return "3" if entry.harmless else "not_3"


def frame_of(keys: Iterable[RowKey]) -> Frame:
    """The frame of these rows."""
    numbers = sorted(f"{row_key(*key):016x}" for key in keys)
    return Frame(len(numbers), fingerprint(*numbers))


def texts_sha256(rows: Iterable[JudgedRow]) -> str | None:
    """Hash of what was judged, in any order; None where a row doesn't tell it.

    The same ids may come back with other answers: gold is about the texts that people saw.
    """
    told = [(f"{row_key(*row.key):016x}", row.content or "") for row in rows]
    if not all(content for _, content in told):
        return None
    return fingerprint(*(part for pair in sorted(told) for part in pair))
