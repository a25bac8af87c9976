"""Whether a change moves a judge's labels more often than judging the same text again does.

Each row is judged three times: as it is (the base), once more as it is, and changed. Where the
change does nothing, the second and the third judgement are draws of one law, so that which of them
is called the changed one makes no difference: of the rows on which just one of the two differs from
the base, each is as likely to be the one as the other. That is McNemar's test, exact and one-sided
here, and it needs no independence between rows.
"""

from __future__ import annotations

from math import ceil, log2
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc


class More(NamedTuple):
    """How many rows moved under the change alone, and under the repeat alone, of `n`."""

    n: int
    change_alone: int
    repeat_alone: int
    p: float


def more_often(changed: ArrayLike, repeated: ArrayLike) -> More:
    """One-sided exact McNemar test of "the change moves no more rows than the repeat".

    Args:
        changed: shape (n,), boolean: the row moved under the change.
        repeated: shape (n,), boolean: the same row moved when it was judged again.

    Returns:
        `p` = P(Bin(d, 1/2) >= change_alone) for d rows that moved under just one; 1 without any.
    """
    changed, repeated = np.asarray(changed, bool), np.asarray(repeated, bool)
    mine, other = int((changed & ~repeated).sum()), int((repeated & ~changed).sum())
    p = float(bdtrc(mine - 1, mine + other, 0.5)) if mine else 1.0
    return More(len(changed), mine, other, p)


def least_visible(tests: int, level: float) -> int:
    """How many rows a change must move, and the repeat none of them, for any of `tests` tests.

    The least d with `tests * 2 ** -d <= level`: Holm's first step.

    Args:
        tests: how many hypotheses are tested at once, >= 1.
        level: of the whole family, in (0, 1).
    """
    return ceil(log2(tests / level))
