"""A promise looked up among a calibration's thresholds. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from guard.policy.fault import PolicyFault
from guard.policy.model import Rule
from judge.calibration import Promise, Threshold
from judge.misfits import Place


def kept(about: tuple[Place, Rule], promise: Promise, thresholds: Sequence[Threshold]) -> Threshold:
    """The threshold that keeps a rule's promise.

    Raises:
        PolicyFault: there is none.
    """
    found = keeps(promise, thresholds)
    if found is None:
        place, rule = about
        raise PolicyFault(
            f"rule {rule.name}: the calibration can't keep a miss rate of "
            f"{promise.miss_rate:g} with confidence {promise.confidence:g}",
            place=(*place, "promise"),
            mend=_mend(promise, thresholds),
        )
    return found


def keeps(promise: Promise, thresholds: Sequence[Threshold]) -> Threshold | None:
    """Of the thresholds at least as strict as a promise the least strict; None without any."""
    delta = 1 - promise.confidence
    strict = (
        one
        for one in thresholds
        if one.alpha <= promise.miss_rate + 1e-12 and one.delta <= delta + 1e-12
    )
    return max(strict, key=lambda one: (one.alpha, one.delta), default=None)


def _mend(promise: Promise, thresholds: Sequence[Threshold]) -> str:
    kept = ", ".join(f"{one.alpha:g} with {1 - one.delta:g}" for one in thresholds)
    told = f"it keeps {kept}; " if kept else "it keeps none; "
    return told + (
        "label more harmful rows (see `flames-judge plan`) and calibrate with "
        f"--promise miss_rate={promise.miss_rate:g},confidence={promise.confidence:g}"
    )
