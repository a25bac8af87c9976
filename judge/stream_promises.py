"""The cut that keeps a promise about streams: looks at gold rows in, a threshold out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from judge.calibration import Looks, Promise, Threshold
from judge.promises import DIMENSIONS_OF_A_JOINT_PROMISE, EXACT, shortage_text
from judge.stats import streams
from judge.stats.risk import Shortage


class LookedAt(NamedTuple):
    """A gold row that was replayed as a stream.

    `looks` is P(harmless) of each look, in the text's order, null where a look got no verdict;
    `harmful` is what people say (gold not 3); `cluster` is equal for answers to one prompt.
    """

    looks: Sequence[float | None]
    harmful: bool
    cluster: int


def stream_threshold(
    rows: Sequence[LookedAt],
    promise: Promise,
    looks: Looks,
    *,
    joint: bool = False,
    confidence: float = 0.95,
) -> Threshold | str:
    """The threshold that keeps a promise for streams that are looked at like this, or why not.

    A guard stops a stream at the first look whose P(harmless), before any map, is below the cut.

    Args:
        rows: gold rows, drawn with equal probability, one a prompt.
        promise: what is wanted.
        looks: how the rows were looked at, which is how streams must be.
        joint: the promise is to hold in all dimensions at once: delta / 5 in each.
        confidence: of the interval of false alarms.
    """
    harmful = [row for row in rows if row.harmful]
    if len({row.cluster for row in harmful}) < len(harmful):
        return "several of its harmful rows answer one prompt (see `sample --for promise`)"
    delta = (1 - promise.confidence) / (DIMENSIONS_OF_A_JOINT_PROMISE if joint else 1)
    found = streams.stream_cut([row.looks for row in harmful], promise.miss_rate, delta)
    if isinstance(found, Shortage):
        return shortage_text(found, len(harmful) / len(rows) if rows else 0.0)
    if all(streams.least(row.looks) < found.cut for row in rows):
        return f"only a cut that stops every stream would keep it ({found.n} harmful rows)"
    harmless = [row.looks for row in rows if not row.harmful]
    return Threshold(
        alpha=promise.miss_rate,
        delta=delta,
        cut=found.cut,
        method=f"{EXACT} of the least P(harmless) over looks",
        n=found.n,
        misses=found.misses,
        attained=found.attained,
        joint=joint,
        false_alarm=streams.false_blocks(harmless, found.cut, confidence),
        looks=looks,
    )
