"""How many labels a figure takes, before any is made. Pure.

With labels spread as they help most (Neyman), the corrected rate of N rows in strata of shares W
and standard deviations S has the variance

    (sum W S)^2 / n - sum W S^2 / N                    for this run,
    the same + S_y^2 / N                               for the model on such prompts,

so that the latter can't be known better than +- z S_y / sqrt(N), however many rows are labelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, sqrt
from typing import Literal, NamedTuple

from judge.calibration import Calibration
from judge.judged import OPEN, JudgedRow
from judge.sampling import SPREAD_OPEN, Spread, Stratum
from judge.stats.estimate import Target
from judge.stats.rates import normal_quantile
from judge.stats.risk import rows_needed

Unreachable = Literal["unreachable"]
UNREACHABLE: Unreachable = "unreachable"


class Part(NamedTuple):
    """A stratum as it is planned for: its rows, and the standard deviation of their labels."""

    size: int
    spread: float


class Cell(NamedTuple):
    """A dimension of one model: its strata, and the harmless rate that is expected."""

    dimension: str
    model: str | None
    parts: tuple[Part, ...]
    rate: float

    @property
    def n(self) -> int:
        """Its rows."""
        return sum(part.size for part in self.parts)


def labels_needed(
    cell: Cell, half_width: float, target: Target, confidence: float = 0.95
) -> int | Unreachable:
    """The labels that give the corrected rate an interval of +- `half_width`, or "unreachable".

    Args:
        cell: what is labelled.
        half_width: in (0, 1).
        target: this run, or the model on such prompts.
        confidence: in (0, 1).
    """
    allowed = (half_width / normal_quantile(confidence)) ** 2
    if target == "population":
        allowed -= cell.rate * (1 - cell.rate) / cell.n
    if allowed <= 0:
        return UNREACHABLE
    first = sum(part.size * part.spread for part in cell.parts) / cell.n
    second = sum(part.size * part.spread**2 for part in cell.parts) / cell.n
    wanted = ceil(first**2 / (allowed + second / cell.n))
    return min(cell.n, max(wanted, len(cell.parts)))


def least_half_width(cell: Cell, confidence: float = 0.95) -> float:
    """What the model's own rate can't be known better than: z S_y / sqrt(N)."""
    return normal_quantile(confidence) * sqrt(cell.rate * (1 - cell.rate) / cell.n)


class PromiseRow(NamedTuple):
    """So many misses, the harmful rows that they take, and the labels by dimension.

    A dimension's labels are null where it is expected to have no harmful row.
    """

    misses: int
    harmful: int
    labels: Mapping[str, int | None]


def promise_table(
    harmful_rates: Mapping[str, float], alpha: float, delta: float, most: int
) -> list[PromiseRow]:
    """What a promise takes for 0 to `most` misses, by the exact binomial tail.

    Args:
        harmful_rates: the share of harmful rows expected in each dimension.
        alpha: the promised miss rate, in (0, 1).
        delta: 1 - confidence, in (0, 1).
        most: misses, >= 0.
    """
    table = []
    for misses in range(most + 1):
        needed = rows_needed(misses, alpha, delta)
        labels = {d: ceil(needed / r) if r > 0 else None for d, r in harmful_rates.items()}
        table.append(PromiseRow(misses, needed, labels))
    return table


def cells_of(
    rows: Iterable[JudgedRow], spread: Spread, calibration: Calibration | None = None
) -> list[Cell]:
    """A run's dimensions and models, as they are planned for.

    Args:
        rows: the run.
        spread: of the labels in a stratum.
        calibration: the judge's quality so far; without it the judge's own rate is expected.
    """
    found: dict[tuple[str, str | None], Counter[str]] = {}
    for row in rows:
        found.setdefault((row.key.dimension, row.key.model), Counter())[row.category] += 1
    return [
        Cell(
            dimension,
            model,
            tuple(Part(n, spread(Stratum(model, dimension, c))) for c, n in sizes.items()),
            _expected_rate(dimension, sizes, calibration),
        )
        for (dimension, model), sizes in sorted(found.items(), key=str)
    ]


def _expected_rate(
    dimension: str, sizes: Mapping[str, int], calibration: Calibration | None
) -> float:
    judged = {c: n for c, n in sizes.items() if c not in OPEN}
    raw = (judged.get("3", 0) + 0.5) / (sum(judged.values()) + 1)
    known = None if calibration is None else calibration.dimensions.get(dimension)
    if known is None:
        return raw
    harmless = {c: _harmless(known.agreement.confusion.get(c, {})) for c in judged}
    total = sum(judged.values())
    return sum(n * harmless[c] for c, n in judged.items()) / total if total else raw


def _harmless(counts: Mapping[str, int]) -> float:
    """The share of harmless rows, kept off 0 and 1."""
    return (counts.get("3", 0) + 0.5) / (sum(counts.values()) + 1)


def spread_of_accuracy(accuracy: float) -> Spread:
    """The spread in every stratum of a judge that is right in this share of rows."""
    judged = sqrt(accuracy * (1 - accuracy))
    return lambda stratum: SPREAD_OPEN if stratum.category in OPEN else judged


def known_spread(calibration: Calibration) -> Spread:
    """The spread of labels by verdict that a calibration found; one half where it has none."""

    def spread(stratum: Stratum) -> float:
        known = calibration.dimensions.get(stratum.dimension or "")
        counts = {} if known is None else known.agreement.confusion.get(stratum.category or "", {})
        rate = _harmless(counts)
        return sqrt(rate * (1 - rate))

    return spread


def assumed_cells(sizes: Mapping[str, int], rate: float, accuracy: float) -> Sequence[Cell]:
    """Dimensions of these sizes, half of them judged rightly harmless at an assumed rate."""
    spread = sqrt(accuracy * (1 - accuracy))
    return [
        Cell(name, None, (Part(round(n * rate), spread), Part(n - round(n * rate), spread)), rate)
        for name, n in sizes.items()
    ]
