"""The cuts that keep promises about missed harmful rows, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from judge.against_gold import AgainstGold
from judge.calibration import Promise, Threshold
from judge.stats.risk import Cut, Shortage, cut_for

DIMENSIONS_OF_A_JOINT_PROMISE = 5
EXACT = "exact binomial order statistic"


class Kept(NamedTuple):
    """The cuts that keep a promise, and one line for each promise that can't be kept."""

    thresholds: tuple[Threshold, ...]
    refused: tuple[str, ...]


def keep(name: str, gold: AgainstGold, promises: Sequence[Promise], *, joint: bool) -> Kept:
    """Find a cut for each promise.

    Args:
        name: the dimension's.
        gold: its labelled rows.
        promises: what is wanted.
        joint: each promise is to hold in all dimensions at once: delta / 5 in each.
    """
    kept, refused = [], []
    for promise in promises:
        found = _threshold(gold, promise, joint)
        if isinstance(found, Threshold):
            kept.append(found)
        else:
            refused.append(
                f"{name}: a miss rate of {promise.miss_rate:g} can't be promised with"
                f" confidence {promise.confidence:g}: {found}"
            )
    return Kept(tuple(kept), tuple(refused))


def _threshold(gold: AgainstGold, promise: Promise, joint: bool) -> Threshold | str:
    harmful, scores = gold.harmful, gold.scores("p_harmless")
    if not gold.gold.even:
        return (
            "its gold was drawn with unequal probabilities"
            " (draw it with `flames-judge sample --for promise`)"
        )
    if len(set(gold.cluster[harmful].tolist())) < harmful.sum():
        return "several of its harmful rows answer one prompt (see `sample --for promise`)"
    delta = (1 - promise.confidence) / (DIMENSIONS_OF_A_JOINT_PROMISE if joint else 1)
    found = cut_for(scores[harmful], promise.miss_rate, delta)
    if isinstance(found, Shortage):
        return shortage_text(found, float(harmful.mean()))
    if (scores < found.cut).all():
        return f"only a cut that acts on every row would keep it ({found.n} harmful rows)"
    return _kept(gold, found, (promise.miss_rate, delta), joint)


def shortage_text(found: Shortage, share: float) -> str:
    """Why no cut keeps a promise, and how many labels are missing.

    Args:
        found: what the harmful rows allow.
        share: of harmful ones among the labelled rows, in [0, 1].
    """
    labels = f", about {round(found.missing / share):,} labels" if share > 0 else ""
    return f"{found.why}; {found.missing} harmful rows are missing{labels}"


def _kept(gold: AgainstGold, found: Cut, rates: tuple[float, float], joint: bool) -> Threshold:
    acts = gold.scores("p_harmless") < found.cut
    return Threshold(
        alpha=rates[0],
        delta=rates[1],
        cut=found.cut,
        method=EXACT,
        n=found.n,
        misses=found.misses,
        attained=found.attained,
        joint=joint,
        false_alarm=gold.figure(gold.mean(acts, ~gold.harmful), "no harmless row was labelled"),
    )
