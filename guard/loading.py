"""A guard from a policy file: the judge, the calibration and the rubrics that it names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from guard.engine import Around, Guard, People, Scanner
from guard.engine.limits import DailyBudget, PocketPurse, Purse
from guard.engine.spending import PaidJudge
from guard.event import AuditSink, GuardEvent
from guard.log import LOG
from guard.policy import CASCADE, Policy, load_policy
from guard.policy.binding import bind, named
from guard.policy.fault import PolicyFault, naming_file
from guard.policy.hazards import told_at_start
from judge.calibration import Calibration, load_calibration
from judge.errors import InputError
from judge.protocols import Judge
from judge.rubric import Rubric, Rubrics, load_rubrics

if TYPE_CHECKING:
    from judge.llm.client import Traffic

JUDGE_FLAG = "--judge"  # what a spec that names no judge is blamed on
AT_ONCE = 128  # calls, until a provider says that they are too many: who waits misses a deadline
EVERYTHING = (-1.0, 2.0)  # a doubt band that leaves nothing to the cheap judge


@dataclass(frozen=True)
class Given:
    """What a guard is given beside its policy.

    Args:
        judge: in place of the one that the policy names.
        spec: a judge spec, in place of the policy's.
        scanner: in place of the shipped evidence scanner.
        sinks: take every event.
        observers: hear of every event.
        texts: record texts beside their hashes.
        purse: keeps the day's spend.
        lost: told how many events a sink could not take, as soon as that grows.
        people: makes of the judge and the rubrics what takes answers to label.
        notify: told what a user should know, one line at a time.
    """

    judge: Judge | None = None
    spec: str | None = None
    scanner: Scanner | None = None
    sinks: Sequence[AuditSink] = ()
    observers: Sequence[Callable[[GuardEvent], None]] = ()
    texts: bool = False
    purse: Purse | None = None
    lost: Callable[[int], None] = lambda _: None
    people: Callable[[Judge, Sequence[Rubric]], People] | None = None
    notify: Callable[[str], None] = field(default=lambda _: None)


def load_guard(policy: Path | str | Policy, given: Given | None = None) -> Guard:
    """A guard that is ready.

    Args:
        policy: a policy file, or a policy.
        given: what it is given beside the policy.

    Raises:
        InputError: the policy, calibration or rubrics can't be read, or don't fit one another.
        JudgeUnavailable: a key is missing or a model unknown.
    """
    given = given or Given()
    plan, judge, calibration, rubrics = load_parts(policy, given, live=True)
    with naming_file(plan.file):
        rules = bind(plan, judge, calibration, rubrics)
    if given.judge is None:
        for line in told_at_start(plan, rules):
            LOG.warning(line)
    judged = {one.rubric.dimension: one.rubric for one in rules if one.rubric is not None}
    labelled = list(judged.values()) or [rubrics[name] for name in rubrics.suite]
    purse = given.purse or PocketPurse()
    budget = DailyBudget(plan.budget_usd_per_day, purse, lambda: datetime.now(UTC))
    paid = PaidJudge(judge, budget)  # labels come out of the same day's money
    return Guard(
        plan,
        rules,
        judge,
        given.scanner or _shipped_scanner(plan),
        Around(
            calibration_id=None if calibration is None else calibration_id(calibration),
            sinks=given.sinks,
            observers=given.observers,
            texts=given.texts,
            purse=purse,
            lost=given.lost,
            people=None if given.people is None else given.people(paid, labelled),
        ),
    )


class Parts(NamedTuple):
    """What a policy names, loaded."""

    policy: Policy
    judge: Judge
    calibration: Calibration | None
    rubrics: Rubrics


def load_parts(policy: Path | str | Policy, given: Given, *, live: bool = False) -> Parts:
    """The policy, and the judge, calibration and rubrics that it names.

    Args:
        policy: a policy file, or a policy.
        given: what the guard is given beside it.
        live: as of `load_policy_judge`.

    Raises:
        InputError: one of them can't be read.
        JudgeUnavailable: a key is missing or a model unknown.
    """
    if not isinstance(policy, Policy | str | os.PathLike):
        mend = 'give a policy, or its file: "policy.yaml"'
        raise InputError("no policy is given", file="policy", mend=mend)
    plan = policy if isinstance(policy, Policy) else load_policy(Path(policy))
    if given.spec is not None:
        plan = plan.model_copy(update={"judge": given.spec})
    rubrics = load_rubrics(None if plan.rubrics is None else Path(plan.rubrics))
    with naming_file(plan.file):
        plan = named(plan, rubrics)
    calibration = None if plan.calibration is None else load_calibration(Path(plan.calibration))
    judge = given.judge or load_policy_judge(plan, given.notify, live=live)
    return Parts(plan, judge, calibration, rubrics)


def calibration_id(calibration: Calibration) -> str:
    """What headers and events call a calibration: 16 hex digits of its content."""
    return hashlib.sha256(calibration.to_json().encode()).hexdigest()[:16]


def load_policy_judge(
    policy: Policy, notify: Callable[[str], None], *, live: bool = False
) -> Judge:
    """The judge that a policy names, asked as its `llm:` section says.

    Args:
        policy: the policy.
        notify: told what a user should know, one line at a time.
        live: a deadline runs while it is asked: no provider is waited for beyond it.

    Raises:
        InputError: the spec names no judge.
        JudgeUnavailable: a key is missing or a model unknown.
    """
    with naming_file(policy.file):
        return _judge(policy, notify, live=live)


def _judge(policy: Policy, notify: Callable[[str], None], *, live: bool) -> Judge:
    from judge.backends import JudgeContext, load_judge
    from judge.backends.llm_options import LlmOptions
    from judge.llm.config import ModelConfig, Sampling
    from judge.llm.price import price_of

    llm = policy.llm
    heat = llm.temperature if llm.temperature is not None else 0.7 if llm.samples > 1 else 0.0
    sampling = Sampling.model_validate(
        {
            "temperature": heat,
            "max_tokens": llm.max_tokens,
            "seed": llm.seed,
            "reasoning_effort": llm.reasoning_effort,
        }
    )

    patience = {"patience_s": policy.deadline_s} if live else {}

    def model(name: str) -> ModelConfig:
        config = ModelConfig(
            model=name,
            api_base=llm.api_base,
            api_key_env=llm.api_key_env,
            timeout_s=min(llm.timeout_s, policy.deadline_s),
            retries=llm.retries,
            price=llm.price,
            sampling=sampling,
            **patience,
        )
        if policy.budget_usd_per_day is not None and price_of(config) is None:
            raise PolicyFault(
                f"no price is known of {name}, so that budget_usd_per_day can't be kept",
                place=("budget_usd_per_day",),
                mend="write `llm: {price: [IN, OUT]}`, in USD for a million tokens",
            )
        return config

    context = JudgeContext(
        model=model,
        options=LlmOptions(
            samples=llm.samples,
            response_format=llm.response_format,
            logprobs=llm.logprobs,
            max_chars=llm.max_chars,
        ),
        traffic=None if policy.judge == "embedded" else _traffic(policy, notify, live=live),
        vote=llm.vote,
        band=policy.band or _calibrated_band(policy) or EVERYTHING,
    )
    try:
        return load_judge(policy.judge, context, llm.fallback)
    except InputError as error:
        if error.file != JUDGE_FLAG:
            raise
        raise PolicyFault(error.problem, place=("judge",), mend=error.mend) from None


def _calibrated_band(policy: Policy) -> tuple[float, float] | None:
    """The doubt band of the cascade that the policy's calibration was made of, if it was.

    Raises:
        InputError: the calibration can't be read.
    """
    if policy.calibration is None or CASCADE not in policy.judge:
        return None
    return load_calibration(Path(policy.calibration)).judge.band


def _traffic(policy: Policy, notify: Callable[[str], None], *, live: bool) -> Traffic:
    from judge.llm.client import Traffic
    from judge.llm.limits import AdaptiveConcurrency

    width = policy.llm.concurrency
    if width is None:
        gate = AdaptiveConcurrency(AT_ONCE, AT_ONCE) if live else AdaptiveConcurrency()
    else:
        gate = AdaptiveConcurrency(width, width)
    return Traffic(concurrency=gate, notify=notify)


def _shipped_scanner(policy: Policy) -> Scanner:
    from guard.evidence import Scanner as Shipped

    return Shipped.shipped(sounds=policy.sounds)
