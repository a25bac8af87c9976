"""Panels vote, cascades pass doubt on; both say who said what and what it cost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from judge.backends import JudgeContext, load_judge
from judge.backends.fallback import FallbackJudge
from judge.backends.panel import CascadeJudge, PanelJudge
from judge.errors import BudgetReached, InputError, JudgeUnavailable
from judge.protocols import Judge
from judge.rubric import Rubric
from judge.testing import ScriptedJudge
from judge.text import fingerprint
from judge.verdict import (
    Case,
    Failure,
    FailureKind,
    JudgeRef,
    Outcome,
    RubricRef,
    Usage,
    Verdict,
)
from tests.cases import case, rubric

NOT_3 = None


class Saying(Judge):
    """A judge that gives every row one outcome: a label, null for "not 3", or a kind of failure."""

    def __init__(self, said: int | FailureKind | None, name: str = "j", **fields: Any) -> None:
        self._said, self._name, self._fields = said, name, fields
        self.asked = 0
        self.closed = False

    @property
    def name(self) -> str:
        return self._name

    def ref(self, of: Rubric) -> JudgeRef:
        return JudgeRef(name=self._name, fingerprint=fingerprint(self._name, of.fingerprint))

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        self.asked += len(cases)
        return [self._outcome(one) for one in cases]

    async def aclose(self) -> None:
        self.closed = True

    def trust(self) -> str | None:
        return f"{self._name} can be trusted"

    def _outcome(self, of: Case) -> Outcome:
        base: dict[str, Any] = {"record_id": of.record.id, "dimension": of.rubric.dimension}
        base |= {"judge": self.ref(of.rubric), "rubric": RubricRef.of(of.rubric), **self._fields}
        if isinstance(self._said, FailureKind):
            return Failure(kind=self._said, **base)
        base = {"reason": self._name, "harmless": self._said == 3} | base
        return Verdict(label=self._said, **base)


def ask(judge: Judge, of: Case | None = None) -> Outcome:
    (outcome,) = asyncio.run(judge.assess([of or case(1, "Fairness")]))
    return outcome


def panel(*said: int | FailureKind | None, vote: Any = "majority") -> Outcome:
    return ask(PanelJudge([Saying(one, f"j{n}") for n, one in enumerate(said)], vote))


def p(value: float, label: int) -> Saying:
    return Saying(label, f"p{value}", p_harmless=value, p_source="logprob")


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ((3, 3, 1), 3),
        ((3, 1, 1), 1),
        ((3, 3, 2), 3),
        ((2, 2, 3), 2),
        ((3, 2, 1), 1),
        ((3, 2), 2),
        ((3, 1), 1),
        ((2, 1), 1),
        ((3, 3, 2, 1), 1),
        ((2, 2, 1), 2),
        ((NOT_3, 2, 3), 2),
        ((NOT_3, 2, 1), 1),
        ((NOT_3, 3, 3), 3),
    ],
)
def test_the_majority_decides_and_a_tie_goes_to_the_more_harmful(
    votes: tuple[int | None, ...], label: int
) -> None:
    """Harmless needs more than half; between 2 and 1 the commoner, and 1 in a tie."""
    outcome = panel(*votes)
    assert isinstance(outcome, Verdict)
    assert (outcome.label, outcome.harmless) == (label, label == 3)
    assert [vote.label for vote in outcome.votes] == list(votes)
    assert outcome.p_harmless == pytest.approx(votes.count(3) / len(votes))


def test_when_nobody_can_tell_2_from_1_the_panel_can_not_either() -> None:
    """The verdict is "not 3"; on a scale of 3 and 1 that is a 1."""
    outcome = panel(NOT_3, NOT_3, 3)
    assert isinstance(outcome, Verdict)
    assert (outcome.label, outcome.harmless, outcome.probabilities) == (None, False, None)
    two = ask(PanelJudge([Saying(NOT_3), Saying(NOT_3)]), case(1, "Legality"))
    assert isinstance(two, Verdict)
    assert two.label == 1


def test_the_mean_weighs_how_sure_the_members_are() -> None:
    """Two that are nearly sure of harm outweigh three that lean to harmless."""
    members = [p(0.05, 1), p(0.05, 1), p(0.6, 3), p(0.6, 3), p(0.6, 3)]
    by_mean, by_majority = ask(PanelJudge(members, "mean")), ask(PanelJudge(members, "majority"))
    assert isinstance(by_mean, Verdict)
    assert isinstance(by_majority, Verdict)
    assert (by_mean.label, by_majority.label) == (1, 3)
    assert by_mean.p_harmless == pytest.approx(0.38)
    assert by_mean.p_source == "logprob"


def test_a_mean_of_exactly_one_half_is_not_harmless() -> None:
    """A tie goes to the more harmful side here, too."""
    outcome = panel(3, 2, vote="mean")
    assert isinstance(outcome, Verdict)
    assert (outcome.label, outcome.p_harmless) == (2, 0.5)


@pytest.mark.parametrize("vote", ["majority", "mean"])
def test_a_member_that_fails_is_left_out_until_half_of_them_do(vote: str) -> None:
    """Two of three decide; one of two, or two of four, don't: the commonest kind is the row's."""
    refusal, late = FailureKind.JUDGE_REFUSAL, FailureKind.TIMEOUT
    decided = panel(3, 3, late, vote=vote)
    assert isinstance(decided, Verdict)
    assert decided.label == 3
    assert [v.failure for v in decided.votes] == [None, None, late]
    assert isinstance(panel(3, refusal, vote=vote), Failure)
    undecided = panel(3, late, refusal, refusal, vote=vote)
    assert isinstance(undecided, Failure)
    assert undecided.kind is refusal
    assert [v.failure for v in undecided.votes] == [None, late, refusal, refusal]


def test_the_spokesman_of_a_panel_is_one_who_says_what_it_says() -> None:
    """Reason and criteria are those of a member that agrees with the verdict."""
    outcome = panel(3, 1, 1)
    assert isinstance(outcome, Verdict)
    assert (outcome.reason, outcome.label) == ("j1", 1)


def test_a_panel_signs_by_itself_and_adds_up_what_its_members_cost() -> None:
    """Tokens and money are summed, time is the slowest's, and cached means all of it was."""
    fresh = Saying(3, "a", cost_usd=0.5, usage=Usage(prompt=10, completion=2), latency_s=1.0)
    kept = Saying(3, "b", cached=True, latency_s=3.0)
    failed = Saying(FailureKind.TIMEOUT, "c", cost_usd=0.25, usage=Usage(prompt=5, cached=1))
    judge = PanelJudge([fresh, kept, failed])
    outcome = ask(judge)
    assert outcome.judge == judge.ref(rubric("Fairness"))
    assert outcome.judge.name == "panel:a+b+c"
    assert (outcome.cost_usd, outcome.latency_s, outcome.cached) == (0.75, 3.0, False)
    assert outcome.usage == Usage(prompt=15, cached=1, completion=2)
    free = ask(PanelJudge([Saying(3, cached=True), Saying(3, cached=True)]))
    assert (free.cost_usd, free.usage, free.cached) == (None, None, True)


def test_every_setting_of_a_panel_or_cascade_is_in_its_fingerprint() -> None:
    """Members, their order in a cascade, the vote and the band."""
    a, b, of = Saying(3, "a"), Saying(3, "b"), rubric("Fairness")
    judges = [
        PanelJudge([a, b]),
        PanelJudge([a, b], "mean"),
        PanelJudge([a, a]),
        CascadeJudge(a, b),
        CascadeJudge(b, a),
        CascadeJudge(a, b, (0.1, 0.9)),
    ]
    assert len({judge.ref(of).fingerprint for judge in judges}) == len(judges)
    assert PanelJudge([a, b]).ref(of) == PanelJudge([a, b]).ref(of)


class Changing(Saying):
    """A judge that signs otherwise once it has begun, as one that had to leave examples out."""

    def ref(self, of: Rubric) -> JudgeRef:
        return self.signers(of)[min(self.asked, 1)]

    def signers(self, of: Rubric) -> Sequence[JudgeRef]:
        return tuple(
            JudgeRef(name=self.name, fingerprint=fingerprint(self.name, way, of.fingerprint))
            for way in ("whole", "brief")
        )


@pytest.mark.parametrize(
    "make", [lambda a, b: PanelJudge([a, b]), CascadeJudge, lambda a, b: CascadeJudge(b, a)]
)
def test_what_members_may_sign_their_panel_or_cascade_may(make: Any) -> None:
    """A new run knows the rows of an old one in which a member changed its way of asking."""
    outcome = ask(make(Changing(3, "a"), p(0.99, 3)))
    fresh = make(Changing(3, "a"), p(0.99, 3))
    assert outcome.judge in fresh.signers(rubric("Fairness"))
    assert fresh.ref(rubric("Fairness")) in fresh.signers(rubric("Fairness"))


@pytest.mark.parametrize(
    ("cheap", "goes_up"),
    [
        (p(0.05, 1), False),
        (p(0.2, 1), False),
        (p(0.21, 1), True),
        (p(0.79, 3), True),
        (p(0.8, 3), False),
        (p(0.99, 3), False),
        (Saying(3), True),
        (Saying(NOT_3, p_harmless=0.01, p_source="scorer"), True),
        (Saying(FailureKind.ABSTAINED), True),
        (Saying(FailureKind.INVALID_OUTPUT), True),
    ],
)
def test_a_cascade_sends_up_what_its_cheap_judge_leaves_in_doubt(
    cheap: Saying, goes_up: bool
) -> None:
    """Inside the band, without a probability, without a label, or without a verdict."""
    strong = Saying(2, "strong", cost_usd=1.0)
    outcome = ask(CascadeJudge(cheap, strong))
    assert strong.asked == int(goes_up)
    assert [vote.judge for vote in outcome.votes] == [cheap.name, "strong"][: 1 + goes_up]
    assert outcome.judge.name == f"cascade:{cheap.name}>strong"
    if goes_up:
        assert isinstance(outcome, Verdict)
        assert (outcome.label, outcome.cost_usd) == (2, 1.0)


def test_a_cascade_s_rows_stay_in_their_order() -> None:
    """Some go up, some stay; each outcome is its row's."""
    cheap = ScriptedJudge(lambda c: 0.5 if c.record.id in {"r1", "r3"} else 0.99, name="cheap")
    strong = ScriptedJudge(lambda _: 1, name="strong")
    outcomes = asyncio.run(CascadeJudge(cheap, strong).assess([case(n) for n in range(5)]))
    assert [o.record_id for o in outcomes] == [f"r{n}" for n in range(5)]
    assert [o.label for o in outcomes if isinstance(o, Verdict)] == [3, 1, 3, 1, 3]
    assert [c.record.id for c in strong.seen] == ["r1", "r3"]


def test_panel_and_cascade_close_their_members_and_pass_their_trust_on() -> None:
    """Threads and connections of members end with them."""
    a, b = Saying(3, "a"), Saying(3, "b")
    for judge in (PanelJudge([a, b]), CascadeJudge(a, b), FallbackJudge(a, [b])):
        a.closed = b.closed = False
        asyncio.run(judge.aclose())
        assert (a.closed, b.closed) == (True, True)
        assert judge.trust() == "a can be trusted"


def test_a_fallback_s_outcome_counts_what_the_first_one_cost() -> None:
    """Tokens and money of both, and the first one's failure among the votes."""
    first = Saying(FailureKind.JUDGE_REFUSAL, "a", cost_usd=0.0, usage=Usage(prompt=7))
    second = Saying(3, "b", cost_usd=0.5, usage=Usage(prompt=3, completion=1))
    outcome = ask(FallbackJudge(first, [second]))
    assert outcome.judge.name == "b"
    assert (outcome.cost_usd, outcome.usage) == (0.5, Usage(prompt=10, completion=1))
    assert [vote.failure for vote in outcome.votes] == [FailureKind.JUDGE_REFUSAL]


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.OVERSIZE])
def test_what_would_fail_elsewhere_too_goes_to_no_fallback(kind: FailureKind) -> None:
    """And an abstaining fallback leaves the first failure as it is."""
    second = Saying(3, "b")
    assert ask(FallbackJudge(Saying(kind, "a"), [second])).judge.name == "a"
    assert second.asked == 0
    shy = Saying(FailureKind.ABSTAINED, "b")
    stays = ask(FallbackJudge(Saying(FailureKind.PROVIDER_FILTER_INPUT, "a"), [shy]))
    assert isinstance(stays, Failure)
    assert stays.kind is FailureKind.PROVIDER_FILTER_INPUT


class Ends(Saying):
    """A judge whose call raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__(3, "ends")
        self._error = error

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        raise self._error


class Slow(Saying):
    """A judge that takes a few turns, and tells how it ended."""

    ended = ""

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        try:
            for _ in range(20):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.ended = "given up"
            raise
        self.ended = "finished"
        return await super().assess(cases)


@pytest.mark.parametrize(
    ("error", "ended"), [(BudgetReached("b"), "finished"), (JudgeUnavailable("j"), "given up")]
)
def test_when_a_member_ends_the_run_no_other_is_left_running(error: Exception, ended: str) -> None:
    """What is being paid for is waited for; on a dead end it is given up, but never left behind."""
    slow = Slow(3, "slow")
    with pytest.raises(type(error)):
        ask(PanelJudge([Ends(error), slow]))
    assert slow.ended == ended


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("panel:embedded+embedded", "panel:embedded+embedded"),
        ("cascade:embedded>panel:embedded+embedded", "cascade:embedded>panel:embedded+embedded"),
    ],
)
def test_specs_nest(spec: str, name: str) -> None:
    """A member is any spec of the grammar, not a model alone."""
    assert load_judge(spec, JudgeContext()).name == name


@pytest.mark.parametrize(
    "spec",
    ["", "x", "panel:", "panel:a", "panel:+", "cascade:a", "cascade:>b", "llm:", "embedded:x"],
)
def test_a_spec_that_names_no_judge_is_one_clear_line(spec: str) -> None:
    """With the grammar, or with what is missing."""
    with pytest.raises(InputError, match="write"):
        load_judge(spec, JudgeContext())
