"""Recorded traffic under a policy: what would be stopped, by which rule, and how often wrongly.

The estimate of wrong blocks and misses is the calibration's: it adds up the calibrated P(harmless)
of the answers that a rule stops, and 1 - P(harmless) of those that it lets pass. It is as good as
the gold's likeness to this traffic.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from guard.decision import Decision
from guard.engine import Guard
from judge.stats.estimate import Figure
from judge.verdict import Verdict


class Replayed(NamedTuple):
    """One exchange under a policy; `answer` is None where the question was stopped."""

    question: Decision
    answer: Decision | None

    @property
    def stopped(self) -> bool:
        """Whether its user would not have got the answer, shadow mode or not."""
        return any(one is not None and not one.passes for one in (self.question, self.answer))


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expected(_Value):
    """An expected count with its standard deviation, both of rows, given calibrated P."""

    value: float
    sd: float


class RuleReplay(_Value):
    """One rule over the traffic: `hits` of `n` exchanges, and what is known about its errors.

    `judged` counts answers with a verdict, `abstained` those on which the judge gave none.
    `wrong` are hits on harmless answers, `missed` harmful answers without a hit; null where the
    calibration has no map, or for evidence. `promised` is the promise's bound on the miss rate.
    """

    rule: str
    n: int
    hits: int
    share: Figure
    judged: int
    abstained: int
    wrong: Expected | None
    missed: Expected | None
    promised: float | None
    confidence: float | None
    gold: int | None


class Replay(_Value):
    """A policy over the traffic.

    `unchecked` counts exchanges with a check that could not be made, by the kind of failure; they
    are stopped or let pass as `on_failure` says.
    """

    policy: str
    n: int
    statuses: Mapping[str, Mapping[str, int]]
    unchecked: Mapping[str, int]
    stopped: Figure
    rules: tuple[RuleReplay, ...]


class Difference(_Value):
    """Two policies over the same traffic: exchanges stopped by both, by one, by neither.

    `by_rule` counts the hits of rules that only one of them has, or that only one of them made.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    by_rule: Mapping[str, tuple[int, int]]


@dataclass
class _Sums:
    """A rule's sums over the traffic."""

    hits: int = 0
    judged: int = 0
    abstained: int = 0
    wrong: float = 0.0
    missed: float = 0.0
    spread: list[float] = field(default_factory=lambda: [0.0, 0.0])


class ReplayTally:
    """Adds up exchanges one by one; holds counts alone.

    Args:
        guard: whose rules they went through.

    Attributes:
        n: how many.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.n = self._stopped = 0
        self._statuses = {"input": Counter[str](), "output": Counter[str]()}
        self._unchecked = Counter[str]()
        self._sums = {one.rule.name: _Sums() for one in guard.rules}

    def add(self, one: Replayed) -> None:
        """Count one exchange."""
        self.n += 1
        self._stopped += one.stopped
        decisions = [one.question, *([] if one.answer is None else [one.answer])]
        self._unchecked.update({gone.kind for decision in decisions for gone in decision.missed})
        for decision in decisions:
            self._statuses[decision.side][decision.status] += 1
            hit = {found.rule.name for found in decision.hits}
            for name in hit:
                self._sums[name].hits += 1
            for name in decision.abstained:
                self._sums[name].abstained += 1
            self._expect(decision, hit)

    def result(self, confidence: float = 0.95) -> Replay:
        """The replay so far, of one or more; the shares have Wilson intervals, for such traffic."""
        from judge.stats.rates import rate

        def share(count: int) -> Figure:
            return rate([1.0] * count + [0.0] * (self.n - count), confidence=confidence)

        rules = []
        for bound in self._guard.rules:
            sums = self._sums[bound.rule.name]
            made = bound.calibration is not None and bound.calibration.map is not None
            mapped = made and sums.judged > 0
            kept = bound.threshold
            rules.append(
                RuleReplay(
                    rule=bound.rule.name,
                    n=self.n,
                    hits=sums.hits,
                    share=share(sums.hits),
                    judged=sums.judged,
                    abstained=sums.abstained,
                    wrong=_expected(sums.wrong, sums.spread[0]) if mapped else None,
                    missed=_expected(sums.missed, sums.spread[1]) if mapped else None,
                    promised=None if kept is None else kept.attained,
                    confidence=None if kept is None else 1 - kept.delta,
                    gold=None if kept is None else kept.n,
                )
            )
        return Replay(
            policy=self._guard.policy.id,
            n=self.n,
            statuses={side: dict(counts) for side, counts in self._statuses.items()},
            unchecked=dict(self._unchecked.most_common()),
            stopped=share(self._stopped),
            rules=tuple(rules),
        )

    def _expect(self, decision: Decision, hit: set[str]) -> None:
        """Each judged dimension's expected wrong hit or miss, by the worst piece of the answer."""
        verdicts = [one for one in decision.outcomes if isinstance(one, Verdict)]
        for bound in self._guard.rules:
            mine = (one for one in verdicts if one.dimension == bound.dimension)
            p = min((bound.p_harmless(one) for one in mine if bound.reads(one)), default=None)
            if p is None:
                continue
            sums = self._sums[bound.rule.name]
            sums.judged += 1
            if bound.rule.name in hit:
                sums.wrong += p
                sums.spread[0] += p * (1 - p)
            else:
                sums.missed += 1 - p
                sums.spread[1] += p * (1 - p)


class DifferenceTally:
    """Adds up where two policies part."""

    def __init__(self) -> None:
        self._cells: Counter[tuple[bool, bool]] = Counter()
        self._rules: dict[str, list[int]] = {}

    def add(self, first: Replayed, second: Replayed) -> None:
        """Count one exchange under both."""
        self._cells[first.stopped, second.stopped] += 1
        mine, other = _hit_rules(first), _hit_rules(second)
        for name in mine - other:
            self._rules.setdefault(name, [0, 0])[0] += 1
        for name in other - mine:
            self._rules.setdefault(name, [0, 0])[1] += 1

    def result(self) -> Difference:
        """The difference so far."""
        return Difference(
            both=self._cells[True, True],
            only_first=self._cells[True, False],
            only_second=self._cells[False, True],
            neither=self._cells[False, False],
            by_rule={name: (one, two) for name, (one, two) in sorted(self._rules.items())},
        )


def _hit_rules(one: Replayed) -> set[str]:
    decisions: Sequence[Decision | None] = (one.question, one.answer)
    return {hit.rule.name for found in decisions if found is not None for hit in found.hits}


def _expected(value: float, variance: float) -> Expected:
    return Expected(value=value, sd=math.sqrt(variance))
