"""What all requests of one worker share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from guard.engine import Guard
from guard.engine.limits import DailyBudget
from guard.loading import Given, Plan, bound, load_guard, load_policy_judge
from guard.server.counters import Counters
from guard.server.http.drain import Drain
from guard.server.http.memory import Held
from guard.server.keys.ring import KeyRing
from guard.server.records.bench import BUDGET_SHARE, Bench
from guard.server.settings import Limits, Settings
from guard.server.upstream.connection import Upstream, upstream_url
from guard.server.watchers import observers, people
from judge.errors import InputError
from judge.listening import LOOPBACK, Hosts
from judge.rubric import Rubrics

if TYPE_CHECKING:
    from guard.audit import AuditLog
    from guard.labelling import LabelQueue
    from guard.metrics import Metrics

COUNTERS = "counters.sqlite"


@dataclass(frozen=True)
class State:
    """One worker's; made by `open_state`, or by hand in tests.

    Args:
        guard: decides.
        bench: judges records.
        rubrics: by which records are judged.
        upstream: the server behind.
        keys: who may ask; None for anybody.
        hosts: the names by which this server may be addressed; None for any.
        counters: spend and quotas.
        metrics: counts decisions and requests.
        limits: how much anyone may take.
        drain: the requests that run.
        held: the memory of their bodies.
        logs: where decisions are recorded.
        queues: where answers wait to be labelled.
        retain_days: how long those are kept; None for ever.
        data: the folder of what the server keeps; None for nothing.
        closing: closed after the last request.
    """

    guard: Guard
    bench: Bench
    rubrics: Rubrics
    upstream: Upstream
    keys: KeyRing | None
    hosts: Hosts | None
    counters: Counters
    metrics: Metrics
    limits: Limits
    drain: Drain
    held: Held
    logs: Sequence[AuditLog] = ()
    queues: Sequence[LabelQueue] = ()
    retain_days: float | None = None
    data: Path | None = None
    closing: ExitStack = field(default_factory=ExitStack)


def refuse(settings: Settings) -> None:
    """Refuse what can't be served, before a folder or a log is made.

    Raises:
        InputError: the policy can't be kept, or the keys or another file can't be used.
        JudgeUnavailable: the judge can't be loaded.
    """
    bound(settings.plan, load_policy_judge(settings.plan, Given().notify, live=True))
    if settings.keys is not None:
        KeyRing(settings.keys)
    _key(settings)


def open_state(settings: Settings, given: Given | None = None) -> State:
    """Load all that a worker needs, so that what can't be served is refused at the start.

    Args:
        settings: the server's.
        given: what the guard is given beside its policy, as in tests.

    Raises:
        InputError: the policy can't be kept, or the keys or another file can't be used.
        JudgeUnavailable: the judge can't be loaded.
    """
    from guard.audit import open_audit
    from guard.metrics import Metrics

    given, metrics = given or Given(), Metrics()
    queues: list[LabelQueue] = []
    plan = settings.plan
    if settings.shadow:
        plan = replace(plan, policy=plan.policy.model_copy(update={"shadow": True}))
        settings = replace(settings, plan=plan)
    keys = None if settings.keys is None else KeyRing(settings.keys)
    upstream = Upstream(
        upstream_url(settings.upstream), _key(settings), settings.limits, lend=keys is None
    )
    with ExitStack() as stack:
        shared = settings.shared
        counters = Counters(None if shared is None else shared / COUNTERS)
        stack.callback(counters.close)
        logs = [stack.enter_context(open_audit(place, metrics.waiting)) for place in settings.audit]
        guard = load_guard(
            plan,
            replace(
                given,
                sinks=[*given.sinks, *logs],
                observers=[
                    *given.observers,
                    metrics.observe,
                    *observers(settings, metrics.drifted, stack),
                ],
                texts=settings.record_texts,
                purse=counters,
                lost=metrics.lost,
                people=people(settings, queues, metrics.lost_label, stack),
            ),
        )
        return State(
            guard=guard,
            bench=_bench(replace(plan, policy=guard.policy), given, counters),
            rubrics=plan.rubrics,
            upstream=upstream,
            keys=keys,
            hosts=Hosts(LOOPBACK) if settings.loopback_only and keys is None else None,
            counters=counters,
            metrics=metrics,
            limits=settings.limits,
            drain=Drain(settings.limits.grace_s),
            held=Held(settings.limits.held_bytes),
            logs=logs,
            queues=queues,
            retain_days=settings.retain_days,
            data=settings.data,
            closing=stack.pop_all(),
        )


def _bench(plan: Plan, given: Given, counters: Counters) -> Bench:
    """Where records are judged, by a judge that takes the model's own time for a call.

    Raises:
        JudgeUnavailable: the judge can't be loaded.
    """
    policy = plan.policy.model_copy(update={"deadline_s": plan.policy.llm.timeout_s})
    patient = replace(plan, policy=policy)
    share = policy.budget_usd_per_day
    if share is not None:
        share *= BUDGET_SHARE
    return Bench(
        given.judge or load_policy_judge(patient, given.notify),
        DailyBudget(share, counters, lambda: datetime.now(UTC)),
        plan.calibration,
    )


def _key(settings: Settings) -> str | None:
    """The server's own key for the upstream.

    Raises:
        InputError: the variable that should hold it does not.
    """
    name = settings.upstream_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise InputError(
            f"{name} holds no key", file="--upstream-key-env", mend=f"export {name}=..."
        )
    return key
