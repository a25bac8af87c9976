"""The alternative-annotator test: may a judge stand in for any one of the annotators.

Calderon, Reichart and Dror, "The Alternative Annotator Test for LLM-as-a-Judge" (ACL 2025). Each
annotator is left out in turn, and judge and annotator are compared on the rows that others marked
too: who agrees more with them? The judge is allowed to be worse by `epsilon`, the saving that it
brings, which must be chosen before the figures are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import stdtr

from judge.stats.estimate import Confidence, Count, Estimate, Finite, Missing, Text
from judge.stats.rates import RATE, estimate, row_mean

Array = NDArray[np.float64]
LEAST_ROWS = 30
LEAST_ANNOTATORS = 3


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LeftOut(_Value):
    """One annotator against the judge.

    `judge_wins` and `annotator_wins` are shares of the `n` rows on which each agrees with the
    others at least as much as the other does; ties count for both. `p` is the one-sided p-value of
    "the judge is worse by `epsilon` or more"; `beaten` says that it is rejected.
    """

    annotator: Text
    n: Count
    judge_wins: Estimate
    annotator_wins: Estimate
    p: Finite
    beaten: bool


class AltTest(_Value):
    """The test's outcome: the judge may stand in when it beats half of the annotators or more.

    `advantage` is the mean of the annotators' `judge_wins`. Annotators with fewer than 30 rows are
    `too_few`: they count among the others only.
    """

    epsilon: Finite
    q: Confidence
    annotators: tuple[LeftOut, ...]
    too_few: tuple[str, ...]
    winning_rate: Finite
    advantage: Finite

    @property
    def passed(self) -> bool:
        """Whether the judge may stand in for an annotator."""
        return self.winning_rate >= 0.5


@dataclass(frozen=True)
class AltTestOptions:
    """What is decided beforehand.

    Args:
        epsilon: by how much the judge may be worse: .15 for trained annotators, .1 for crowds, .2
            for experts, as the paper says.
        q: rate of false discoveries.
        confidence: of the shares' intervals.
    """

    epsilon: float = 0.15
    q: float = 0.05
    confidence: float = 0.95


def alt_test(
    judge: ArrayLike, marks: ArrayLike, names: Sequence[str], options: AltTestOptions
) -> AltTest | Missing:
    """Run the test.

    Args:
        judge: shape (n,), the judge's labels; NaN where it gave none: such rows don't count.
        marks: shape (n, annotators), NaN where there is none.
        names: the annotators', in the columns' order.
        options: what is decided beforehand.
    """
    said, given = np.asarray(judge, float), np.asarray(marks, float)
    judged = ~np.isnan(said)
    said, given = said[judged], given[judged]
    wins = {name: _wins(said, given, place) for place, name in enumerate(names)}
    enough = [name for name in names if len(wins[name][0]) >= LEAST_ROWS]
    if len(enough) < LEAST_ANNOTATORS:
        why = (
            f"the alternative-annotator test needs {LEAST_ANNOTATORS} annotators or more with"
            f" {LEAST_ROWS} rows each that others marked too; {len(enough)} have"
        )
        return Missing(confidence=options.confidence, n=len(said), why=why)
    p_values = [worse_p(wins[name][1] - wins[name][0], options.epsilon) for name in enough]
    beaten = benjamini_yekutieli(p_values, options.q)
    found = tuple(
        _left_out(name, wins[name], p, reject, options.confidence)
        for name, p, reject in zip(enough, p_values, beaten, strict=True)
    )
    return AltTest(
        epsilon=options.epsilon,
        q=options.q,
        annotators=found,
        too_few=tuple(name for name in names if name not in enough),
        winning_rate=sum(beaten) / len(beaten),
        advantage=float(np.mean([left.judge_wins.value for left in found])),
    )


def _left_out(
    name: str, wins: tuple[Array, Array], p: float, beaten: bool, confidence: float
) -> LeftOut:
    mine, theirs = (estimate(row_mean(side), RATE, confidence) for side in wins)
    return LeftOut(
        annotator=name, n=mine.n, judge_wins=mine, annotator_wins=theirs, p=p, beaten=beaten
    )


def _wins(judge: Array, marks: Array, place: int) -> tuple[Array, Array]:
    """Whether the judge, and whether the annotator, is at least as near to the others: 0/1."""
    own, others = marks[:, place], np.delete(marks, place, axis=1)
    used = ~np.isnan(own) & ~np.isnan(others).all(axis=1)
    judge, own, others = judge[used], own[used], others[used]
    near = (judge[:, None] == others).sum(axis=1), (own[:, None] == others).sum(axis=1)
    return (near[0] >= near[1]).astype(float), (near[1] >= near[0]).astype(float)


def worse_p(differences: ArrayLike, epsilon: float) -> float:
    """One-sided p-value of "the mean is `epsilon` or more", by the t-test.

    Where all differences are equal the t-test has no variance to go by. If they are 1, nothing
    speaks against it. If none is, rows without a 1 have a chance of at most (1 - epsilon)^n, since
    a mean of `epsilon` needs at least that share of them.

    Args:
        differences: shape (n,), n >= 2, from {-1, 0, 1}.
        epsilon: in (0, 1).
    """
    given = np.asarray(differences, float)
    spread = float(given.std(ddof=1))
    if spread == 0:
        return 1.0 if given[0] > 0 else float((1 - epsilon) ** len(given))
    return float(stdtr(len(given) - 1, (given.mean() - epsilon) / (spread / np.sqrt(len(given)))))


def benjamini_yekutieli(p_values: Sequence[float], q: float) -> list[bool]:
    """Which hypotheses are rejected: a false discovery rate of `q` under any dependence (2001)."""
    m = len(p_values)
    order = sorted(range(m), key=lambda place: p_values[place])
    share = q / (m * sum(1 / rank for rank in range(1, m + 1)))
    last = max(
        (rank for rank, place in enumerate(order, 1) if p_values[place] <= rank * share), default=0
    )
    rejected = set(order[:last])
    return [place in rejected for place in range(m)]
