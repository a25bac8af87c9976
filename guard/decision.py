"""What is done with a text, and why: frozen values, and how two of them become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from guard.policy import PASSES, SEVERITY, Action, Messages, Policy, Side
from guard.policy.bound_rule import BoundRule
from judge.llm.bill import total_usd
from judge.text import chinese_share
from judge.verdict import Outcome

Finish = Literal["stop", "content_filter"]
Status = Literal[
    "allowed", "flagged", "blocked", "replaced", "regenerated", "human", "failed_open", "failed"
]
# What a caller is told of several decisions: the last of these that occurred.
_RANK: Final[tuple[Status, ...]] = (
    "allowed",
    "flagged",
    "failed_open",
    "regenerated",
    "replaced",
    "human",
    "blocked",
    "failed",
)
STATUS: Final[dict[Action, Status]] = {
    "allow": "allowed",
    "flag": "flagged",
    "block": "blocked",
    "replace": "replaced",
    "regenerate": "regenerated",
    "human": "human",
}


class Part(NamedTuple):
    """One string that is checked, and where in the message it stands: `messages[0].content`.

    `word`: a single word or number beside the texts, such as an identifier. Personal data is looked
    for in it, and nothing else: heads and judges know texts.
    """

    where: str
    text: str
    word: bool = False


class Found(NamedTuple):
    """Evidence of a kind in a part; `view` names the disguise under which it was found."""

    kind: str
    where: str
    view: str = "plain"


@dataclass(frozen=True)
class Missed:
    """A check that could not be made.

    `kind` is `deadline`, `breaker`, `budget`, `unread`, `closed` (the stream ended before it was
    due: nothing failed), `error:...` or one of the judge's failures.
    """

    rule: str
    kind: str


@dataclass(frozen=True)
class Hit:
    """A rule that acts.

    `p_harmless` is calibrated where the calibration has a map; `score` is what the cut is compared
    with.
    """

    rule: BoundRule
    p_harmless: float | None = None
    score: float | None = None
    found: Found | None = None

    @property
    def action(self) -> Action:
        return self.rule.rule.action


@dataclass(frozen=True)
class Decision:
    """What is done with a text, and why.

    `action` is what the policy says; an edge acts by `stops`, which shadow mode keeps false.
    `least` holds each judged dimension's least P(harmless), as the rules compare it. `cost_usd` is
    what the judge's answers cost, as far as that is known; null where nothing is.
    """

    side: Side
    action: Action
    status: Status
    hits: tuple[Hit, ...] = ()
    missed: tuple[Missed, ...] = ()
    abstained: tuple[str, ...] = ()
    least: dict[str, float] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    shadow: bool = False
    elapsed_s: float = 0.0
    cost_usd: float | None = None

    @property
    def passes(self) -> bool:
        """Whether the policy lets the text through, which shadow mode does with every text."""
        return self.action in PASSES

    @property
    def stops(self) -> bool:
        """Whether the text is withheld."""
        return not self.shadow and not self.passes

    @property
    def finish(self) -> Finish:
        """How an answer ends that has the policy's message in the text's place."""
        return "stop" if self.action == "replace" else "content_filter"

    @property
    def failed(self) -> bool:
        """Whether the text is withheld because it could not be checked."""
        return self.status == "failed"

    @property
    def reported(self) -> Status:
        """What came of it, as callers are told: shadow mode withholds nothing."""
        if not self.shadow or self.status in {"allowed", "flagged"}:
            return self.status
        return "failed_open" if self.missed else "allowed"

    @property
    def hit(self) -> Hit | None:
        """The hit that the action comes from: the first of the most severe ones."""
        return next((hit for hit in self.hits if hit.action == self.action), None)

    @property
    def late(self) -> frozenset[str]:
        """The rules whose check was slower than its deadline."""
        return frozenset(one.rule for one in self.missed if one.kind == "deadline")

    def withheld(self) -> Decision:
        """The decision to regenerate, where no other answer is asked for: the text is blocked.

        Take the message from the decision itself.
        """
        if self.action != "regenerate":
            return self
        status: Status = "blocked" if self.status == "regenerated" else self.status
        return replace(self, action="block", status=status)

    def unheard(self, rules: Iterable[BoundRule]) -> Decision:
        """The decision about a stream that ended before the judge was asked about all of it.

        It acts as before: nothing failed, and what was not released stays inside.
        """
        mine = (one for one in rules if one.rule.side == self.side and one.rubric is not None)
        missed = (*self.missed, *(Missed(one.rule.name, "closed") for one in mine))
        return replace(self, missed=tuple(dict.fromkeys(missed)))

    def message(self, policy: Policy, asked: str) -> str:
        """What the user sees in place of the text, in the language of what was asked."""
        own = None if self.hit is None else self.hit.rule.rule.messages
        said = {} if own is None else own.model_dump(exclude_unset=True)
        return spoken(policy.messages.model_copy(update=said), asked)


def worst(*statuses: Status) -> Status:
    """What a caller is told of several decisions; there is at least one."""
    return max(statuses, key=_RANK.index)


def spoken(messages: Messages, asked: str) -> str:
    """The message in the language of what was asked: Chinese unless all its letters are others."""
    foreign = any(map(str.isalpha, asked)) and chinese_share(asked) == 0
    return messages.en if foreign else messages.zh


def merged(first: Decision, second: Decision) -> Decision:
    """Two decisions about parts of one text as one: the more severe, with what both found.

    A rule that blocks one part does so whether or not the other could be checked.
    """
    worse = max(first, second, key=lambda one: (SEVERITY.index(one.action), not one.failed))
    least = dict(first.least)
    for name, score in second.least.items():
        least[name] = min(score, least.get(name, 1.0))
    missed = tuple(dict.fromkeys(first.missed + second.missed))
    hits: dict[str, Hit] = {}
    for hit in first.hits + second.hits:
        name = hit.rule.name
        hits[name] = min(hits.get(name, hit), hit, key=lambda one: one.score or 0.0)
    open_ = worse.status in {"allowed", "flagged"} and bool(missed)
    return replace(
        worse,
        status="failed_open" if open_ else worse.status,
        hits=tuple(hits.values()),
        missed=missed,
        abstained=tuple(dict.fromkeys(first.abstained + second.abstained)),
        least=least,
        outcomes=first.outcomes + second.outcomes,
        elapsed_s=first.elapsed_s + second.elapsed_s,
        cost_usd=total_usd((first.cost_usd, second.cost_usd)),
    )
