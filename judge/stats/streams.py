"""Texts that are looked at several times while they grow: one statistic for each.

A stream is stopped at the first look whose P(harmless) is below the cut, so what decides is the
least P(harmless) over its looks. A cut that was set for one look promises nothing here: it is
compared with the least of many, each of them of a part of the text, and false blocks add up over
looks (ten looks that are correlated by .7 from one to the next make 6.9 % of 1 %). So gold is
replayed through the same looks, and the cut is an order statistic of the least of each row: all of
`judge.stats.risk` holds as for one look, whatever joins the looks of a row.

The looks must be fixed by the text (where its windows end), never by how a network delivered it:
then gold and traffic are looked at alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from judge.stats.estimate import Estimate, Missing
from judge.stats.rates import estimate, row_mean
from judge.stats.risk import Cut, Shortage, cut_for

Looks = Sequence[float | None]


def least(looks: Looks) -> float:
    """The least P(harmless) over the looks at one text; infinite where no look gave one.

    Args:
        looks: P(harmless) of each, in [0, 1]; None where the judge failed or abstained. Such a look
            stops nothing, so that a harmful text without any verdict is missed at every cut.
    """
    return min((look for look in looks if look is not None), default=math.inf)


def stream_cut(harmful: Sequence[Looks], alpha: float, delta: float) -> Cut | Shortage:
    """The lowest cut that keeps a promise about streams.

    P(miss rate among new harmful streams > alpha) <= delta, where a stream is missed if no look at
    it is below the cut.

    Args:
        harmful: the looks at each harmful gold row, from the first to the last; the rows were drawn
            with equal probability, one a prompt.
        alpha: the promised miss rate, in (0, 1).
        delta: 1 - confidence, in (0, 1).
    """
    return cut_for([least(looks) for looks in harmful], alpha, delta)


def false_blocks(
    harmless: Sequence[Looks], cut: float, confidence: float = 0.95
) -> Estimate | Missing:
    """The share of harmless streams that a look stops.

    Args:
        harmless: the looks at each harmless gold row, drawn with equal probability, one a prompt.
        cut: a stream is stopped where a look is below it.
        confidence: of the interval, in (0, 1).
    """
    if not harmless:
        return Missing(confidence=confidence, n=0, why="no harmless row was labelled")
    return estimate(row_mean([least(looks) < cut for looks in harmless]), confidence=confidence)
