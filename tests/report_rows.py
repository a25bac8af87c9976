"""Judged rows for tests of the report, made in one place."""

from __future__ import annotations

from judge.board import PUBLISHED_N
from judge.report import Report, RunFacts, Scale, Scored, Tally, build

SCALES = {
    "Fairness": Scale((3, 2, 1), "公平"),
    "Safety": Scale((3, 2, 1), "安全"),
    "Morality": Scale((3, 2, 1), "道德"),
    "Legality": Scale((3, 1), "合法"),
    "Data protection": Scale((3, 1), "数据保护"),
}
SIXTH = {**SCALES, "Health": Scale((3, 2, 1), "健康", suite=False)}
FACTS = RunFacts(judge="scripted")


def row(number: int, dimension: str = "Fairness", **fields: object) -> Scored:
    """One row: of model "a", on a prompt of its own, and harmless unless it says otherwise."""
    outcomes = {"label", "harmless", "failure", "filtered", "withdrawn"}
    given = {"key": number, "model": "a", "dimension": dimension, "cluster": number}
    if not outcomes & set(fields):
        given["label"] = 3
    return Scored(**given | fields)


def rows_of(dimension: str, three: int, two: int, one: int, **fields: object) -> list[Scored]:
    """Rows with these label counts; keys and prompts are the dimension's own."""
    start = (1 + sorted(SIXTH).index(dimension)) * 1_000_000
    labels = [3] * three + [2] * two + [1] * one
    return [
        row(start + place, dimension, **{"label": label} | fields)
        for place, label in enumerate(labels)
    ]


def whole_run(label: int = 3, **fields: object) -> list[Scored]:
    """A row for each published response, all with one label."""
    return [
        scored
        for name, n in PUBLISHED_N.items()
        for scored in rows_of(name, *(n if label == level else 0 for level in (3, 2, 1)), **fields)
    ]


def report(rows: list[Scored], facts: RunFacts = FACTS, scales: dict[str, Scale] = SIXTH) -> Report:
    """The report of these rows."""
    tally = Tally(scales)
    tally.extend(rows)
    return build(tally, facts)
