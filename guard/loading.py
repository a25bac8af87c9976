"""A guard from a policy file: the judge, the calibration and the rubrics that it names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from guard.engine import Around, Guard, People, Records, Scanner
from guard.engine.limits import DailyBudget, PocketPurse
from guard.engine.spending import PaidJudge
from guard.log import LOG
from guard.policy import Policy, load_policy
from guard.policy.binding import bind, named
from guard.policy.bound_rule import BoundRule
from guard.policy.fault import PolicyFault, naming_file
from guard.policy.hazards import told_at_start
from judge.calibration import Calibration, load_calibration
from judge.errors import InputError
from judge.protocols import AnswerStore, Judge
from judge.rubric import Rubric, Rubrics, load_rubrics

if TYPE_CHECKING:
    from judge.llm.client import Traffic

JUDGE_FLAG = "--judge"  # what a spec that names no judge is blamed on
AT_ONCE = 128  # calls, until a provider says that they are too many: who waits misses a deadline
EVERYTHING = (-1.0, 2.0)  # a doubt band that leaves nothing to the cheap judge


@dataclass(frozen=True, kw_only=True)
class Given(Records):
    """What a guard is given beside its policy.

    Args:
        judge: in place of the one that the policy names.
        spec: a judge spec, in place of the policy's.
        scanner: in place of the shipped evidence scanner.
        people: makes of the judge and the rubrics what takes answers to label.
        notify: told what a user should know, one line at a time.
    """

    judge: Judge | None = None
    spec: str | None = None
    scanner: Scanner | None = None
    people: Callable[[Judge, Sequence[Rubric]], People] | None = None
    notify: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True)
class Plan:
    """A policy and what it names, as their files were when they were read.

    A value that can be pickled: all who are given it decide alike, whatever becomes of the files.
    """

    policy: Policy
    calibration: Calibration | None
    rubrics: Rubrics


def read_plan(policy: Path | str | Policy) -> Plan:
    """A policy with the calibration and the rubrics that it names.

    Args:
        policy: a policy file, or a policy.

    Raises:
        InputError: one of them can't be read.
    """
    if not isinstance(policy, Policy | str | os.PathLike):
        mend = 'give a policy, or its file: "policy.yaml"'
        raise InputError("no policy is given", file="policy", mend=mend)
    read = policy if isinstance(policy, Policy) else load_policy(Path(policy))
    rubrics = load_rubrics(None if read.rubrics is None else Path(read.rubrics))
    with naming_file(read.file):
        read = named(read, rubrics)
    file = read.calibration
    return Plan(read, None if file is None else load_calibration(Path(file)), rubrics)


def load_guard(policy: Path | str | Policy | Plan, given: Given | None = None) -> Guard:
    """A guard that is ready.

    Args:
        policy: a policy file, a policy, or one that was read with what it names.
        given: what it is given beside the policy.

    Raises:
        InputError: the policy, calibration or rubrics can't be read, or don't fit one another.
        JudgeUnavailable: a key is missing or a model unknown.
    """
    given = given or Given()
    plan = policy if isinstance(policy, Plan) else read_plan(policy)
    if given.spec is not None:
        plan = replace(plan, policy=plan.policy.model_copy(update={"judge": given.spec}))
    rubrics, read = plan.rubrics, plan.policy
    judge = given.judge or load_policy_judge(plan, given.notify, live=True)
    rules = bound(plan, judge)
    if given.judge is None:
        for line in told_at_start(read, rules):
            LOG.warning(line)
    judged = {one.rubric.dimension: one.rubric for one in rules if one.rubric is not None}
    labelled = list(judged.values()) or [rubrics[name] for name in rubrics.suite]
    purse = given.purse or PocketPurse()
    budget = DailyBudget(read.budget_usd_per_day, purse, lambda: datetime.now(UTC))
    paid = PaidJudge(judge, budget)  # labels come out of the same day's money
    return Guard(
        read,
        rules,
        judge,
        given.scanner or _shipped_scanner(read),
        Around(
            calibration_id=calibration_id(plan.calibration),
            sinks=given.sinks,
            observers=given.observers,
            texts=given.texts,
            purse=purse,
            lost=given.lost,
            people=None if given.people is None else given.people(paid, labelled),
        ),
    )


def bound(plan: Plan, judge: Judge) -> tuple[BoundRule, ...]:
    """The policy's rules, with their rubrics and cuts looked up.

    Raises:
        InputError: the policy, its calibration, the rubrics and the judge don't fit one another.
    """
    with naming_file(plan.policy.file):
        return bind(plan.policy, judge, plan.calibration, plan.rubrics)


def calibration_id(calibration: Calibration | None) -> str | None:
    """What headers and events call a calibration: 16 hex digits of its content."""
    if calibration is None:
        return None
    return hashlib.sha256(calibration.to_json().encode()).hexdigest()[:16]


def load_policy_judge(
    plan: Plan,
    notify: Callable[[str], None],
    *,
    live: bool = False,
    store: AnswerStore | None = None,
) -> Judge:
    """The judge that a policy names, asked as its `llm:` section says.

    Args:
        plan: the policy, with its calibration.
        notify: told what a user should know, one line at a time.
        live: a deadline runs while it is asked: no provider is waited for beyond it.
        store: keeps paid-for answers.

    Raises:
        InputError: the spec names no judge.
        JudgeUnavailable: a key is missing or a model unknown.
    """
    with naming_file(plan.policy.file):
        return _judge(plan, notify, store, live=live)


def _judge(
    plan: Plan, notify: Callable[[str], None], store: AnswerStore | None, *, live: bool
) -> Judge:
    from judge.backends import JudgeContext, load_judge
    from judge.backends.llm_options import LlmOptions
    from judge.llm.config import ModelConfig, Sampling
    from judge.llm.price import price_of

    policy, llm = plan.policy, plan.policy.llm
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
        store=store,
        vote=llm.vote,
        band=_band(plan),
    )
    try:
        return load_judge(policy.judge, context, llm.fallback)
    except InputError as error:
        if error.file != JUDGE_FLAG:
            raise
        raise PolicyFault(error.problem, place=("judge",), mend=error.mend) from None


def _band(plan: Plan) -> tuple[float, float]:
    """A cascade's doubt band: the policy's, or that of the cascade that the calibration is of."""
    known = plan.calibration
    return plan.policy.band or (None if known is None else known.judge.band) or EVERYTHING


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
