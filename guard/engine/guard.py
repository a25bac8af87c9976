"""The guard: texts in, a decision out. Every edge goes through here, and nothing else decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol, get_args

from guard.decision import Decision, Missed, Part
from guard.engine.asking import Asked, PatientJudge
from guard.engine.deciding import Readings, decide
from guard.engine.limits import Breaker, Clock, DailyBudget, Now, PocketPurse, Purse
from guard.engine.passing import Passing
from guard.engine.remembered import Scanner
from guard.engine.scanning import CORE, Scanning, broke
from guard.event import (
    AuditSink,
    GuardEvent,
    missed_events,
    recorded,
    recorded_sha256,
    rule_event,
)
from guard.log import LOG
from guard.policy import Policy, Side
from guard.policy.bound_rule import BoundRule
from judge.protocols import Judge
from judge.rubric import Rubric

__all__ = ["Around", "Asked", "Facts", "Guard", "People", "Records", "Scanner"]


class People(Protocol):
    """Where answers go that people are to label."""

    def offer(self, decision: Decision, parts: Sequence[Part], asked: Asked) -> None:
        """Take an answer, or not; returns at once."""


@dataclass(frozen=True)
class Facts:
    """What an edge knows about a decision beside the text: for the record."""

    streamed: bool = False
    looks: int = 1
    exposed: int = 0
    dropped: int = 0  # keys that were left out of the body


NO_MORE: Final = Facts()


@dataclass(frozen=True, kw_only=True)
class Records:
    """Where a guard's events and the day's spend are kept.

    Args:
        sinks: take every event; one that fails is counted in `Guard.lost`.
        lost: told of that count as soon as it grows.
        observers: hear of every event, as metrics do.
        texts: record texts beside their hashes.
        purse: keeps the day's spend; in this process alone without it.
    """

    sinks: Sequence[AuditSink] = ()
    lost: Callable[[int], None] = lambda _: None
    observers: Sequence[Callable[[GuardEvent], None]] = ()
    texts: bool = False
    purse: Purse | None = None


@dataclass(frozen=True, kw_only=True)
class Around(Records):
    """What a guard is surrounded by.

    Args:
        calibration_id: what headers and events call the calibration.
        people: take answers to label.
        clock: seconds, monotonic.
        now: the time, with its zone.
    """

    calibration_id: str | None = None
    people: People | None = None
    clock: Clock = time.monotonic
    now: Now = lambda: datetime.now(UTC)


class Guard:
    """Checks texts by a policy. Make one with `guard.load_guard`; it is safe to share.

    Args:
        policy: what to do.
        rules: its rules, bound to judge and calibration.
        judge: asked about the dimensions that rules name.
        scanner: asked about evidence.
        around: sinks, observers, purse, time.
    """

    def __init__(
        self,
        policy: Policy,
        rules: Sequence[BoundRule],
        judge: Judge,
        scanner: Scanner,
        around: Around | None = None,
    ) -> None:
        around = around or Around()
        self.policy, self.rules, self.calibration_id = policy, tuple(rules), around.calibration_id
        self._judge, self._around = judge, around
        self._scanning = Scanning(scanner)
        self._policy_id = policy.id  # a hash of all of it: too dear for each event
        self._often = tuple(one.for_stream() for one in self.rules)
        self._rubrics = {side: _rubrics(self.rules, side) for side in get_args(Side)}
        self._scans = {one.rule.side for one in self.rules if one.rule.evidence is not None}
        self._clock = around.clock
        self._observers = (Passing(around.clock).observe, *around.observers)
        self._breaker = Breaker(policy.breaker, around.clock, policy.deadline_s)
        self._asking = PatientJudge(
            judge,
            policy,
            _booked(self.rules),
            self._breaker,
            DailyBudget(policy.budget_usd_per_day, around.purse or PocketPurse(), around.now),
        )
        self.lost = 0

    @property
    def judge(self) -> Judge:
        """Who is asked about dimensions, for those who judge whole records."""
        return self._judge

    @property
    def breaker_open(self) -> bool:
        """Whether the judge is being left alone after failures."""
        return self._breaker.is_open

    async def check(self, side: Side, parts: Sequence[Part], asked: Asked) -> Decision:
        """Decide about a text, and record the decision."""
        decision = await self.look(side, parts, asked)
        await self.record(decision, parts, asked)
        return decision

    async def look(
        self,
        side: Side,
        parts: Sequence[Part],
        asked: Asked,
        *,
        judged: bool = True,
        streamed: bool = False,
        once: bool = False,
    ) -> Decision:
        """Decide about a text without recording it, as for one window of a stream.

        Args:
            side: whose text it is.
            parts: every string of it.
            asked: what it stands in.
            judged: ask the judge too, and not the scanner alone.
            streamed: this is one look of several at an answer.
            once: the texts are cut out of others, and won't come again with the next turn.
        """
        start = self._clock()
        parts = [part for part in parts if part.text]
        chat = None if once else asked.chat
        readings = await self._readings(side, parts, asked, chat, judged=judged)
        rules = self._often if streamed else self.rules
        return decide(self.policy, rules, side, readings, self._clock() - start)

    def unread(self, side: Side, wheres: Sequence[str]) -> Decision:
        """The decision about content that can't be read as text, by the policy's `unread`."""
        missed = (Missed(CORE, "unread"),) if wheres else ()
        open_ = self.policy.unread == "allow"
        return Decision(
            side=side,
            action="allow" if open_ else "block",
            status="failed_open" if open_ else "blocked",
            missed=missed,
            shadow=self.policy.shadow,
        )

    async def record(
        self, decision: Decision, parts: Sequence[Part], asked: Asked, facts: Facts = NO_MORE
    ) -> GuardEvent:
        """Write a decision to every sink; the event is safe when this returns, or counted lost."""
        texts = [part.text for part in parts]
        event = GuardEvent(
            at=self._around.now(),
            request_id=asked.request_id,
            side=decision.side,
            action=decision.action,
            status=decision.status,
            rules=tuple(map(rule_event, decision.hits)),
            missed=missed_events(decision),
            abstained=decision.abstained,
            scores=decision.least,
            policy=self._policy_id,
            calibration=self.calibration_id,
            shadow=decision.shadow,
            streamed=facts.streamed,
            looks=facts.looks,
            characters=sum(map(len, texts)),
            exposed=facts.exposed,
            dropped=facts.dropped,
            elapsed_s=decision.elapsed_s,
            cost_usd=decision.cost_usd,
            text_sha256=recorded_sha256(texts),
            conversation=asked.conversation,
            text=recorded(texts) if self._around.texts else None,
            prompt=recorded([asked.prompt]) if self._around.texts else None,
        )
        for observe in self._observers:
            observe(event)
        for sink in self._around.sinks:
            try:
                await sink.emit(event)
            except OSError:
                self._lose()
        if self._around.people is not None:
            hazard = asked.hazard or self.policy.hazard  # as it was judged, so is it calibrated
            self._around.people.offer(decision, parts, replace(asked, hazard=hazard))
        return event

    def _lose(self) -> None:
        """Count an event that a sink couldn't take, and tell of the first, the tenth, and so on."""
        self.lost += 1
        self._around.lost(self.lost)
        if str(self.lost).strip("0") == "1":
            LOG.error("events lost since the start: %d; a log can't be written", self.lost)

    async def warm(self) -> None:
        """Load what the first check would wait for; a server does so before it is ready.

        Raises:
            JudgeUnavailable: the judge can't be loaded.
        """
        if any(one.rubric is not None for one in self.rules):
            await self._asking.warm()

    async def aclose(self) -> None:
        """Release the judge's connections."""
        await self._judge.aclose()

    async def _readings(
        self, side: Side, parts: Sequence[Part], asked: Asked, chat: str | None, *, judged: bool
    ) -> Readings:
        """What scanner and judge say; where one breaks, what the other finds still counts."""
        found, missed = await self._scanning.found(parts, chat) if side in self._scans else ([], [])
        texts = [part for part in parts if not part.word]
        rubrics = self._rubrics[side]
        if not (judged and texts and rubrics):
            return Readings(found=found, missed=missed)
        try:
            outcomes, unanswered = await self._asking.ask(rubrics, texts, asked)
        except Exception as error:  # noqa: BLE001 - whatever breaks, the text was not checked
            return Readings(found=found, missed=[*missed, broke(error)])
        return Readings(found=found, outcomes=outcomes, missed=[*missed, *unanswered])


def _rubrics(rules: Sequence[BoundRule], side: Side) -> list[Rubric]:
    """What the judge is asked about a side's texts: each dimension once."""
    mine = (one.rubric for one in rules if one.rule.side == side and one.rubric is not None)
    return list({rubric.dimension: rubric for rubric in mine}.values())


def _booked(rules: Sequence[BoundRule]) -> dict[str, list[str]]:
    """By dimension, the rules that can't be kept where its check fails."""
    booked: dict[str, list[str]] = {}
    for one in rules:
        if one.rubric is not None:
            booked.setdefault(one.rubric.dimension, []).append(one.rule.name)
    return booked
