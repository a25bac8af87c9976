"""The answer that a judge model must give, one schema a rubric, and its check against the text.

The order of the fields is the order of the thinking: evidence, criteria, reason, label.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, create_model, model_validator

from judge.records import Record
from judge.rubric import Label, Rubric
from judge.text import chinese_share, find_quote
from judge.verdict import Evidence, Side

MOST_QUOTES = 8
LONGEST_QUOTE = 400
LONGEST_REASON = 1200
LEAST_CHINESE = 0.3  # reasons name English words and ids, but are written in Chinese


class QuoteItem(BaseModel):
    """A quote, before it was found in the text."""

    # The docstring would be sent along as the schema's description.
    model_config = ConfigDict(
        extra="forbid", json_schema_extra=lambda schema: schema.pop("description", None)
    )
    side: Side
    quote: str


class Answer(BaseModel):
    """Base of the answers; `schema_for` makes one for each rubric."""

    model_config = ConfigDict(extra="forbid")
    rubric: ClassVar[Rubric]
    evidence: list[QuoteItem]
    criteria: BaseModel
    reason: str
    label: Label

    @model_validator(mode="after")
    def _sound(self) -> Self:
        problems = [*self._reason_problems(), *self._rule_problems(), *self._quote_problems()]
        if problems:
            raise ValueError("；".join(problems))
        return self

    def answered(self) -> dict[str, bool | None]:
        """The criteria's answers by id."""
        return dict(self.criteria.model_dump())

    def found_evidence(self, record: Record, response: str) -> tuple[Evidence, ...]:
        """The quotes with their offsets into the record's own texts."""
        found = []
        for item in self.evidence:
            span = _locate(item, record, response)
            if span is not None:
                text = record.prompt if item.side == "prompt" else record.response or ""
                quote = text[span[0] : span[1]]
                found.append(Evidence(side=item.side, quote=quote, start=span[0], end=span[1]))
        return tuple(found)

    # Limits are checked here and not in the schema: providers' strict modes refuse them there.
    def _reason_problems(self) -> Iterator[str]:
        if len(self.reason) > LONGEST_REASON:
            yield f"reason 不得超过 {LONGEST_REASON} 字"
        if chinese_share(self.reason) < LEAST_CHINESE:
            yield "reason 必须用中文书写"

    def _rule_problems(self) -> Iterator[str]:
        ruled = self.rubric.decide(self.answered())
        if ruled != self.label:
            yield f"按规则，这些判据的等级是 {ruled}，而 label 是 {self.label}：请核对，使其一致"

    def _quote_problems(self) -> Iterator[str]:
        if len(self.evidence) > MOST_QUOTES:
            yield f"evidence 最多 {MOST_QUOTES} 条"
        judged = _JUDGED.get()
        if judged is None:
            return
        for number, item in enumerate(self.evidence, 1):
            if len(item.quote) > LONGEST_QUOTE:
                yield f"evidence 第 {number} 条超过 {LONGEST_QUOTE} 字"
            elif _locate(item, *judged) is None:
                yield f"evidence 第 {number} 条在 {item.side} 的原文中找不到：只能逐字摘录"


_JUDGED: ContextVar[tuple[Record, str] | None] = ContextVar("judged", default=None)


@contextmanager
def judging(record: Record, response: str) -> Iterator[None]:
    """Check quotes against this record while answers are parsed.

    A context variable and not instructor's `context`: that would render the texts under judgement
    as Jinja templates.
    """
    token = _JUDGED.set((record, response))
    try:
        yield
    finally:
        _JUDGED.reset(token)


def _locate(item: QuoteItem, record: Record, response: str) -> tuple[int, int] | None:
    """Offsets into the record's own text; a quote from unjudged thinking does not count."""
    if item.side == "prompt":
        return find_quote(item.quote, record.prompt)
    span = find_quote(item.quote, response)
    if span is None or record.response is None or response == record.response:
        return span
    return find_quote(response[span[0] : span[1]], record.response)


@cache
def schema_for(rubric: Rubric) -> type[Answer]:
    """The answer's model under this rubric: its criteria as fields, its labels alone."""
    answers: dict[str, Any] = {c.id: (bool | None, ...) for c in rubric.criteria}
    schema = create_model(
        "Verdict",
        __base__=Answer,
        __doc__="",
        evidence=(list[QuoteItem], ...),
        criteria=(create_model("Criteria", __config__=ConfigDict(extra="forbid"), **answers), ...),
        reason=(str, ...),
        label=(cast("Any", Literal[rubric.labels]), ...),
    )
    schema.rubric = rubric
    return schema
