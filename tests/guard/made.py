"""Guards for tests of logic: a scripted judge, a scanner that knows two words, a clock by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from guard.engine import Around, Guard
from guard.event import GuardEvent
from guard.policy import Policy
from guard.policy.binding import bind
from judge.calibration import (
    Calibration,
    DimensionCalibration,
    Hazards,
    Map,
    Threshold,
)
from judge.calibration_parts import Agreement, DesignSummary
from judge.protocols import Judge
from judge.rubric import Rubrics, load_rubrics
from judge.stats.estimate import Missing
from judge.testing import ScriptedJudge

RUBRICS = load_rubrics()
BAD, SECRET = "坏话", "13800138000"


class WordScanner:
    """Finds `abuse` by one word and `pii:mobile` by one number."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def kinds(self, text: str) -> Sequence[tuple[str, str]]:
        """What is in the text."""
        self.seen.append(text)
        found = [("abuse", "plain")] if BAD in text else []
        return [*found, *([("pii:mobile", "plain")] if SECRET in text else [])]


class Memory:
    """A sink that keeps events."""

    def __init__(self) -> None:
        self.events: list[GuardEvent] = []

    async def emit(self, event: GuardEvent) -> None:
        """Keep it."""
        self.events.append(event)


class FullDisk:
    """A sink that can't write."""

    async def emit(self, event: GuardEvent) -> None:
        """Fail."""
        raise OSError("no space left")


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.today = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def clock(self) -> float:
        """Seconds."""
        return self.seconds

    def now(self) -> datetime:
        """The date."""
        return self.today


def policy(*rules: dict[str, Any], **more: Any) -> Policy:
    """A policy of these rules."""
    return Policy.model_validate({"version": 1, "judge": "llm:x", "rules": rules} | more)


ABUSE = {"evidence": "abuse", "action": "block"}
LEGAL = {"dimension": "Legality", "cut": 0.5, "action": "block"}


def guard(
    plan: Policy | None = None,
    judge: Judge | None = None,
    calibration: Calibration | None = None,
    rubrics: Rubrics = RUBRICS,
    **around: Any,
) -> Guard:
    """A guard over a scripted judge that finds everything harmless."""
    plan = plan or policy(ABUSE)
    judge = judge or ScriptedJudge(lambda _: 0.9)
    rules = bind(plan, judge, calibration, rubrics)
    return Guard(plan, rules, judge, around.pop("scanner", WordScanner()), Around(**around))


def threshold(cut: float = 0.4, alpha: float = 0.05, delta: float = 0.05) -> Threshold:
    """A threshold of 100 harmful rows without a miss."""
    return Threshold(
        alpha=alpha, delta=delta, cut=cut, method="exact", n=100, misses=0,
        attained=min(alpha, 0.03), false_alarm=Missing(confidence=0.95, n=0, why="none"),
    )  # fmt: skip


def calibration(
    judge: Judge,
    *thresholds: Threshold,
    dimension: str = "Legality",
    map_: Map | None = None,
    hazard: Hazards | None = None,
) -> Calibration:
    """A calibration of one dimension, for this judge."""
    rubric = RUBRICS[dimension]
    ref = judge.ref(rubric)
    none = Missing(confidence=0.95, n=0, why="none")
    return Calibration(
        judge=ref,
        created="2026-01-01T00:00:00+00:00",
        dimensions={
            dimension: DimensionCalibration(
                rubric=rubric.fingerprint,
                prompt=ref.fingerprint,
                signers={ref.fingerprint: ref.name},
                labels=rubric.labels,
                n=200,
                gold_sha256="0" * 64,
                design=DesignSummary(name="simple", n_eff=100.0),
                map=map_,
                thresholds=thresholds,
                agreement=_agreement(none),
                hazard=hazard,
            )
        },
    )


def _agreement(none: Missing) -> Agreement:
    rates = dict.fromkeys(("accuracy", "kappa_linear", "kappa_quadratic"), none)
    sides = {"sensitivity": none, "sensitivity_n": 0.0, "specificity": none, "specificity_n": 0.0}
    return Agreement.model_validate({"confusion": {}, "weighted": {}, **rates, **sides})
