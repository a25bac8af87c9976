"""A policy held against its judge and calibration: what can't be kept is refused at the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from guard.policy import Policy, Rule, said_twice
from guard.policy_fault import PolicyFault
from judge.calibration import (
    By,
    Calibration,
    DimensionCalibration,
    Looks,
    Promise,
    Threshold,
    score_of,
)
from judge.errors import InputError
from judge.misfits import Place
from judge.protocols import Judge
from judge.rubric import Rubric, Rubrics
from judge.verdict import Hazard, RubricRef, Verdict


@dataclass(frozen=True)
class BoundRule:
    """A rule that is ready to act.

    Args:
        rule: as the policy has it.
        rubric: of the dimension that it names.
        calibration: of that dimension, where there is one.
        threshold: what its promise was looked up as.
        streamed: the same for streamed answers, whose every look may act; null where the
            calibration has none for the policy's windows.
    """

    rule: Rule
    rubric: Rubric | None = None
    calibration: DimensionCalibration | None = None
    threshold: Threshold | None = None
    streamed: Threshold | None = None

    def for_stream(self) -> BoundRule:
        """The rule as it acts on each look at a streamed answer."""
        return self if self.streamed is None else replace(self, threshold=self.streamed)

    @property
    def dimension(self) -> str | None:
        """The dimension's own name, whatever alias the policy uses."""
        return None if self.rubric is None else self.rubric.dimension

    @property
    def cut(self) -> float | None:
        """What a score is compared with; null for evidence."""
        return self.rule.cut if self.threshold is None else self.threshold.cut

    def score(self, verdict: Verdict) -> float:
        """What the cut is compared with.

        A promise's cut goes by the judge's own score, before the map that was fitted on the same
        gold; a fixed cut by the calibrated P(harmless), where there is one. Where the gold's scores
        were labels, a label that calls for action does so whatever P(harmless) now stands beside
        it; where they were P(harmless), so does a label "not 3" that comes without.
        """
        if self.threshold is None:
            return self.p_harmless(verdict)
        own = score_of(verdict.label, verdict.p_harmless, "p_harmless")
        if self._by == "label":
            return min(own, score_of(verdict.label, verdict.p_harmless, "label"))
        silent = self._by is not None and verdict.p_harmless is None
        return 0.0 if silent and verdict.label != 3 else own

    def reads(self, verdict: Verdict) -> bool:
        """Whether a verdict says what the rule's cut needs to know.

        A cut that was found among P(harmless) can't be held against the label 3 alone.
        """
        needs_p = self.threshold is not None and self._by == "p_harmless"
        return not (needs_p and verdict.p_harmless is None and verdict.label == 3)

    def p_harmless(self, verdict: Verdict) -> float:
        """P(harmless): calibrated where the calibration has a map, else the judge's own."""
        mapped = None if self.calibration is None else self.calibration.p_harmless(verdict)
        if mapped is not None:
            return mapped
        return score_of(verdict.label, verdict.p_harmless, "p_harmless")

    @property
    def _by(self) -> By | None:
        """What the gold's scores were; None where nobody knows."""
        if self.calibration is None or self.calibration.map is None:
            return None
        return self.calibration.map.by

    def acts(self, score: float) -> bool:
        """Whether a text with this score is acted upon."""
        if self.threshold is not None:
            return self.threshold.acts(score)
        return self.rule.cut is not None and score < self.rule.cut


def named(policy: Policy, rubrics: Rubrics) -> Policy:
    """The policy with each dimension's own name, whatever alias it uses.

    Raises:
        PolicyFault: two of its rules are then the same.
    """
    known = [rule.dimension and rubrics.find(rule.dimension) for rule in policy.rules]
    rules = tuple(
        rule.model_copy(update={"dimension": rubric.dimension}) if rubric else rule
        for rule, rubric in zip(policy.rules, known, strict=True)
    )
    twice = said_twice(rules)
    if twice is not None:
        place, problem = twice
        raise PolicyFault(problem, place=place)
    return policy.model_copy(update={"rules": rules})


def bind(
    policy: Policy, judge: Judge, calibration: Calibration | None, rubrics: Rubrics
) -> tuple[BoundRule, ...]:
    """The policy's rules, with their rubrics and cuts looked up.

    Raises:
        PolicyFault: a calibration of another judge or rubric, a dimension without a rubric, a
            promise that the calibration can't keep, or a doubt band that isn't its own.
    """
    if policy.band is not None:
        _check_band(policy.band, calibration)
    if calibration is not None and all(rule.dimension is None for rule in policy.rules):
        with _blaming_calibration():  # events and headers name it, so that it must be this judge's
            calibration.check(
                (name, judge.ref(rubric), RubricRef.of(rubric)) for name, rubric in rubrics.items()
            )
    return tuple(
        _bound(("rules", index), policy, judge, calibration, rubrics)
        for index in range(len(policy.rules))
    )


def never_judged(policy: Policy, rules: Sequence[BoundRule]) -> Iterator[str]:
    """A line for each rule on which the judge abstains whatever is said, and the text passes."""
    if policy.judge != "embedded" or policy.hazard is Hazard.KNOWN or policy.on_abstain == "block":
        return
    for one in rules:
        if one.rubric is not None:
            kept = "" if one.threshold is None else ", and its promise is not kept"
            yield (
                f"rule {one.rule.name} never acts{kept}: the embedded judge abstains on ordinary"
                " prompts (name an LLM judge; or `hazard: known`, where every prompt is a probe)"
            )


@contextmanager
def _blaming_calibration() -> Iterator[None]:
    """A calibration of something else is the fault of the line that names it.

    Raises:
        PolicyFault: in place of such a fault.
    """
    try:
        yield
    except InputError as error:
        raise PolicyFault(error.problem, place=("calibration",), mend=error.mend) from None


def _check_band(band: tuple[float, float], calibration: Calibration | None) -> None:
    """A doubt band is worth its gold.

    Raises:
        PolicyFault: it has none, or is another one than the calibration's.
    """
    if calibration is None:
        raise PolicyFault(
            "a doubt `band` needs a calibration",
            place=("band",),
            mend="calibrate the cascade with it; without `band` all goes to the strong judge",
        )
    known = calibration.judge.band
    if known is not None and known != band:
        raise PolicyFault(
            f"`band` is {list(band)}, but the calibration was made with {list(known)}",
            place=("band",),
            mend="leave `band` out to take the calibration's, or calibrate with this one",
        )


def _bound(
    place: tuple[str, int],
    policy: Policy,
    judge: Judge,
    calibration: Calibration | None,
    rubrics: Rubrics,
) -> BoundRule:
    rule = policy.rules[place[1]]
    if rule.dimension is None:
        return BoundRule(rule)
    rubric = rubrics.find(rule.dimension)
    if rubric is None:
        raise PolicyFault(
            f"rule {rule.name}: no rubric has the dimension {rule.dimension!r}",
            place=(*place, "dimension"),
            mend=f"there are {', '.join(rubrics)}; add your own with `rubrics:`",
        )
    if calibration is None:
        if rule.promise is not None or policy.judge == "embedded":
            why = "a promise" if rule.promise is not None else "the embedded judge"
            raise PolicyFault(
                f"rule {rule.name}: {why} needs a calibration",
                place=place,
                mend="make one with `flames-judge calibrate`, and name it under `calibration:`",
            )
        return BoundRule(rule, rubric)
    with _blaming_calibration():
        found = calibration.of(rubric.dimension, judge.ref(rubric), RubricRef.of(rubric))
    if rule.promise is None:
        return BoundRule(rule, rubric, found)
    _check_probabilities(policy, found)
    once = [one for one in found.thresholds if one.looks is None]
    looks = Looks(window=policy.stream.window, overlap=policy.stream.overlap)
    often = _strict(rule.promise, [one for one in found.thresholds if one.looks == looks])
    return BoundRule(
        rule, rubric, found, _kept((place, rule), rule.promise, once), _least_strict(often)
    )


def _check_probabilities(policy: Policy, found: DimensionCalibration) -> None:
    """A cut among P(harmless) needs one of every answer.

    Raises:
        PolicyFault: the policy asks the model for none.
    """
    silent = policy.judge.startswith("llm:") and not policy.llm.logprobs and policy.llm.samples == 1
    if silent and found.map is not None and found.map.by == "p_harmless":
        raise PolicyFault(
            "the calibration's cuts go by token probabilities, which `logprobs: false` forgoes",
            place=("llm", "logprobs"),
            mend="leave `logprobs` out, or calibrate a run of `score --no-logprobs`",
        )


def _kept(
    about: tuple[Place, Rule], promise: Promise, thresholds: Sequence[Threshold]
) -> Threshold:
    """The threshold that keeps a rule's promise: of those at least as strict, the least strict.

    Raises:
        PolicyFault: there is none.
    """
    strict = _strict(promise, thresholds)
    found = _least_strict(strict)
    if found is None:
        place, rule = about
        raise PolicyFault(
            f"rule {rule.name}: the calibration can't keep a miss rate of "
            f"{promise.miss_rate:g} with confidence {promise.confidence:g}",
            place=(*place, "promise"),
            mend=_mend(promise, thresholds),
        )
    return found


def _strict(promise: Promise, thresholds: Sequence[Threshold]) -> list[Threshold]:
    """The thresholds that keep a promise."""
    delta = 1 - promise.confidence
    return [
        one
        for one in thresholds
        if one.alpha <= promise.miss_rate + 1e-12 and one.delta <= delta + 1e-12
    ]


def _least_strict(thresholds: Sequence[Threshold]) -> Threshold | None:
    return max(thresholds, key=lambda one: (one.alpha, one.delta), default=None)


def _mend(promise: Promise, thresholds: Sequence[Threshold]) -> str:
    kept = ", ".join(f"{one.alpha:g} with {1 - one.delta:g}" for one in thresholds)
    told = f"it keeps {kept}; " if kept else "it keeps none; "
    return told + (
        "label more harmful rows (see `flames-judge plan`) and calibrate with "
        f"--promise miss_rate={promise.miss_rate:g},confidence={promise.confidence:g}"
    )
