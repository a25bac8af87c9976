"""From what was found to what is done: pure functions over frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from guard.decision import STATUS, Decision, Found, Hit, Missed
from guard.policy import SEVERITY, Policy, Side
from guard.policy.bound_rule import BoundRule
from judge.calibration import score_of
from judge.llm.bill import total_usd
from judge.verdict import FailureKind, Outcome, Verdict


@dataclass(frozen=True)
class Readings:
    """All that the checks of one text gave.

    Args:
        found: evidence.
        outcomes: the judge's, by dimension; several where a long text was judged in pieces.
        missed: checks that could not be made.
    """

    found: Sequence[Found] = ()
    outcomes: Sequence[tuple[str, Outcome]] = ()
    missed: Sequence[Missed] = ()


def decide(
    policy: Policy,
    rules: Iterable[BoundRule],
    side: Side,
    readings: Readings,
    elapsed_s: float = 0.0,
) -> Decision:
    """Apply the rules of one side; the most severe action of those that hit is taken.

    A check that failed or abstained acts as the policy says, and is in the decision either way.

    Args:
        policy: says what failures and abstentions do.
        rules: of both sides.
        side: whose text it is.
        readings: what was found.
        elapsed_s: how long that took, in seconds.
    """
    hits: list[Hit] = []
    missed = list(readings.missed)
    abstained: list[str] = []
    heard = readings.found or readings.outcomes  # mostly neither: then no rule has a say
    for bound in (bound for bound in rules if bound.rule.side == side) if heard else ():
        if bound.rule.evidence is not None:
            found = next((one for one in readings.found if bound.rule.matches(one.kind)), None)
            hits += [] if found is None else [Hit(bound, found=found)]
            continue
        outcomes = [outcome for name, outcome in readings.outcomes if name == bound.dimension]
        hits += _hits(bound, outcomes)
        for outcome in outcomes:
            if isinstance(outcome, Verdict):
                if not bound.reads(outcome):
                    missed.append(Missed(bound.rule.name, FailureKind.INVALID_OUTPUT.value))
            elif outcome.kind is FailureKind.ABSTAINED:
                abstained.append(bound.rule.name)
            else:
                missed.append(Missed(bound.rule.name, outcome.kind.value))
    return _settled(
        policy,
        Decision(
            side=side,
            action=max((hit.action for hit in hits), key=SEVERITY.index, default="allow"),
            status="allowed",
            hits=tuple(hits),
            missed=tuple(dict.fromkeys(missed)),
            abstained=tuple(dict.fromkeys(abstained)),
            least=_least(readings.outcomes),
            outcomes=tuple(outcome for _, outcome in readings.outcomes),
            shadow=policy.shadow,
            elapsed_s=elapsed_s,
            cost_usd=total_usd(one.cost_usd for _, one in readings.outcomes if not one.cached),
        ),
    )


def _settled(policy: Policy, decision: Decision) -> Decision:
    """The decision with its status; failures and abstentions act where no rule does more."""
    if decision.action == "block":
        return replace(decision, status="blocked")
    if decision.missed and policy.on_failure == "block":
        return replace(decision, action="block", status="failed")
    if decision.abstained and policy.on_abstain == "block":
        return replace(decision, action="block", status="blocked")
    if decision.missed and decision.passes:
        return replace(decision, status="failed_open")
    if decision.action == "allow":
        return decision
    return replace(decision, status=STATUS[decision.action])


def _hits(bound: BoundRule, outcomes: Sequence[Outcome]) -> list[Hit]:
    """The hit of the outcome that is furthest below the rule's cut, if one is below it."""
    read = [
        (bound.score(outcome), bound.p_harmless(outcome))
        for outcome in outcomes
        if isinstance(outcome, Verdict) and bound.reads(outcome)
    ]
    if not read:
        return []
    score, p = min(read)
    return [Hit(bound, p_harmless=p, score=score)] if bound.acts(score) else []


def _least(outcomes: Sequence[tuple[str, Outcome]]) -> dict[str, float]:
    """Each judged dimension's least score before any map, which streams and drift go by."""
    least: dict[str, float] = {}
    for name, outcome in outcomes:
        if isinstance(outcome, Verdict):
            score = score_of(outcome.label, outcome.p_harmless, "p_harmless")
            least[name] = min(score, least.get(name, 1.0))
    return least
