"""A policy held against its judge and calibration: what can't be kept is refused at the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from guard.policy.bound_rule import BoundRule
from guard.policy.fault import PolicyFault
from guard.policy.hazards import check_hazard
from guard.policy.model import Policy, said_twice
from guard.policy.promised import keeps, kept
from judge.calibration import (
    Calibration,
    DimensionCalibration,
    Looks,
)
from judge.errors import InputError
from judge.protocols import Judge
from judge.rubric import Rubric, Rubrics
from judge.verdict import JudgeRef, RubricRef


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
            promise that the calibration can't keep, or was found on prompts of another hazard, or
            a doubt band that isn't its own.
    """
    if policy.band is not None:
        _check_band(policy.band, calibration)
    if calibration is not None and all(rule.dimension is None for rule in policy.rules):
        with _blaming_calibration():  # events and headers name it, so that it must be this judge's
            calibration.check(
                (name, _signer(judge, rubric, calibration), RubricRef.of(rubric))
                for name, rubric in rubrics.items()
            )
    return tuple(
        _bound(("rules", index), policy, judge, calibration, rubrics)
        for index in range(len(policy.rules))
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
        if rule.promise is not None or judge.name == "embedded":
            why = "a promise" if rule.promise is not None else "the embedded judge"
            raise PolicyFault(
                f"rule {rule.name}: {why} needs a calibration",
                place=place,
                mend="make one with `flames-judge calibrate`, and name it under `calibration:`",
            )
        return BoundRule(rule, rubric)
    with _blaming_calibration():
        found = calibration.of(
            rubric.dimension, _signer(judge, rubric, calibration), RubricRef.of(rubric)
        )
    _check_fallbacks(policy, judge, rubric, found)
    if rule.promise is None:
        return BoundRule(rule, rubric, found)
    _check_probabilities(policy, found)
    check_hazard(place, rule, policy, found)
    once = [one for one in found.thresholds if one.looks is None]
    looks = Looks(window=policy.stream.window, overlap=policy.stream.overlap)
    often = [one for one in found.thresholds if one.looks == looks]
    return BoundRule(
        rule, rubric, found, kept((place, rule), rule.promise, once), keeps(rule.promise, often)
    )


def _signer(judge: Judge, rubric: Rubric, calibration: Calibration) -> JudgeRef:
    """The judge as the gold knows it: also as one whose context has no room for the examples."""
    dimension = calibration.dimensions.get(rubric.dimension)
    known = {} if dimension is None else dimension.signers
    own = (ref for ref in judge.signers(rubric) if ref.name == judge.name)
    return next((ref for ref in own if ref.fingerprint in known), judge.ref(rubric))


def _check_fallbacks(
    policy: Policy, judge: Judge, rubric: Rubric, found: DimensionCalibration
) -> None:
    """What a fallback says counts by the gold too: it must have judged some of it.

    Raises:
        PolicyFault: the calibration doesn't know one.
    """
    signers = [ref for ref in judge.signers(rubric) if ref.name != judge.name]
    known = {ref.name for ref in signers if ref.fingerprint in found.signers}
    for ref in signers if policy.llm.fallback else ():
        if ref.name not in known:
            raise PolicyFault(
                f"the calibration was made without the fallback {ref.name} (in {rubric.dimension})",
                place=("llm", "fallback"),
                mend="leave it out, or calibrate a run that it judged some of: `score --fallback`",
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
