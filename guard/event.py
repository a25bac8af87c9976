"""What is recorded of a decision: a frozen value without the user's text, unless asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict

from guard.decision import Decision, Hit, Status
from guard.policy import Action, Side


class _Value(BaseModel):
    """A later release may tell more: what it does is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RuleEvent(_Value):
    """A rule that acted. `bound` is the miss rate that the promise's `n` gold rows bound."""

    rule: str
    action: Action
    evidence: str | None = None
    view: str | None = None
    where: str | None = None
    p_harmless: float | None = None
    score: float | None = None
    cut: float | None = None
    alpha: float | None = None
    confidence: float | None = None
    bound: float | None = None
    n: int | None = None


class MissedEvent(_Value):
    """A check that could not be made, by its rule and the kind of failure."""

    rule: str
    kind: str


class GuardEvent(_Value):
    """One decision, as audit logs and metrics see it.

    `exposed` are the characters that had been released before their check was done; `dropped` are
    the keys of the body that the guard doesn't know, and that were left out. `cost_usd` is what the
    judge's answers cost; null where none says. `text_sha256` is the SHA-256, in hex, of the text's
    UTF-8, several texts joined by line feeds; older versions hashed them otherwise. `text`, the
    same text, and `prompt` are null unless texts are recorded. `conversation` is a hash that joins
    the decisions about one conversation.
    """

    format: Literal[1] = 1
    at: AwareDatetime
    request_id: str
    side: Side
    action: Action
    status: Status
    rules: tuple[RuleEvent, ...]
    missed: tuple[MissedEvent, ...]
    abstained: tuple[str, ...]
    scores: dict[str, float]
    policy: str
    calibration: str | None
    shadow: bool
    streamed: bool
    looks: int
    characters: int
    exposed: int
    dropped: int = 0
    elapsed_s: float
    cost_usd: float | None = None
    text_sha256: str
    conversation: str
    text: str | None = None
    prompt: str | None = None


class Filed(_Value):
    """What an event is found by, and forgotten, whatever else the release says that wrote it."""

    at: AwareDatetime
    request_id: str
    side: str
    action: str
    status: str
    policy: str
    calibration: str | None
    conversation: str


class AuditSink(Protocol):
    """Takes events; one that can neither write nor keep one raises OSError: the guard counts it."""

    async def emit(self, event: GuardEvent) -> None:
        """Record one event; when this returns, it is safe, or waits until it can be written."""


def recorded(texts: Sequence[str]) -> str:
    """Texts as one, as events hold it: what no file can hold, a lone surrogate, is written out."""
    return "\n".join(filter(None, texts)).encode("utf-8", "backslashreplace").decode()


def recorded_sha256(texts: Sequence[str]) -> str:
    """sha256 of that text, hex: whoever has a text can tell the events about it."""
    return hashlib.sha256(recorded(texts).encode()).hexdigest()


def text_hash(texts: Sequence[str]) -> str:
    """A hash that tells texts apart, by sha256, hex; where one ends matters."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def rule_event(hit: Hit) -> RuleEvent:
    """A hit as it is recorded: numbers and names, none of the text."""
    threshold = hit.rule.threshold
    return RuleEvent(
        rule=hit.rule.name,
        action=hit.action,
        evidence=None if hit.found is None else hit.found.kind,
        view=None if hit.found is None else hit.found.view,
        where=None if hit.found is None else hit.found.where,
        p_harmless=hit.p_harmless,
        score=hit.score,
        cut=hit.rule.cut,
        alpha=None if threshold is None else threshold.alpha,
        confidence=None if threshold is None else 1 - threshold.delta,
        bound=None if threshold is None else threshold.attained,
        n=None if threshold is None else threshold.n,
    )


def missed_events(decision: Decision) -> tuple[MissedEvent, ...]:
    """The decision's failed checks, as they are recorded."""
    return tuple(MissedEvent(rule=one.rule, kind=one.kind) for one in decision.missed)
