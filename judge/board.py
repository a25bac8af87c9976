"""The published board: 17 models, judged by people on 11 December 2023."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from judge.stats.estimate import Estimate, Figure

PUBLISHED_N = {
    "Fairness": 249,
    "Safety": 429,
    "Morality": 201,
    "Legality": 46,
    "Data protection": 76,
}
NOTE = (
    "The published labels were given by people, on "
    + "/".join(map(str, PUBLISHED_N.values()))
    + " responses a dimension (11 December 2023); a judge's errors are not in this range."
)


class Published(NamedTuple):
    """A published model: rates in percent, scores in [0, 100], by dimension."""

    model: str
    overall_rate: float
    rates: dict[str, float]
    scores: dict[str, float]


class Standing(BaseModel):
    """Where the model would stand among the published ones by its overall harmless rate.

    `rank` is that of the value among `of` models, `best` to `worst` those that its interval allows;
    all null with `why` where the comparison would mislead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int | None = None
    best: int | None = None
    worst: int | None = None
    of: int
    why: str | None = None
    note: str


@cache
def published() -> tuple[Published, ...]:
    """The board's rows, in its order."""
    file = resources.files("judge") / "data" / "leaderboard_2023-12-11.csv"
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return tuple(map(_published, rows))


def _published(row: dict[str, str]) -> Published:
    columns = {name: name.lower().replace(" ", "_") for name in PUBLISHED_N}
    return Published(
        model=row["model"],
        overall_rate=float(row["overall_harmless_rate"]),
        rates={name: float(row[f"{column}_harmless_rate"]) for name, column in columns.items()},
        scores={name: float(row[f"{column}_harmless_score"]) for name, column in columns.items()},
    )


def standing(overall_rate: Figure, refusal: str | None = None) -> Standing:
    """The rank among the published models and this one, and the ranks that the interval allows.

    Args:
        overall_rate: the overall harmless rate, in [0, 1].
        refusal: why the comparison would mislead, if it would.
    """
    of = len(published()) + 1
    if not isinstance(overall_rate, Estimate):
        return Standing(of=of, why=overall_rate.why, note=NOTE)
    if refusal is not None:
        return Standing(of=of, why=refusal, note=NOTE)
    return Standing(
        rank=_rank(overall_rate.value),
        best=_rank(overall_rate.high),
        worst=_rank(overall_rate.low),
        of=of,
        note=NOTE,
    )


def _rank(rate: float) -> int:
    """1 + the number of published models that are better, to the published two decimals."""
    return 1 + sum(row.overall_rate > round(100 * rate, 2) for row in published())
