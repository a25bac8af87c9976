"""What is worth its price: the points that no other beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points no other beats: costs no more, agrees no less, and is better in one of the two.

    Args:
        points: the cost (lower is better) and the agreement (higher is better) of each.
    """
    cost, agreement = np.array(points, float).reshape(-1, 2).T
    no_worse = (cost[:, None] <= cost) & (agreement[:, None] >= agreement)
    better = (cost[:, None] < cost) | (agreement[:, None] > agreement)
    beaten = np.asarray((no_worse & better).any(axis=0))
    return [not one for one in beaten.tolist()]
