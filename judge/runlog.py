"""`verdicts.jsonl`: one JSON object a line, append-only; the last line of a key counts.

The log alone is enough to report, calibrate and resume from: each line holds the record, who judged
it under which rubric, and the outcome.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from judge.errors import InputError
from judge.journal import is_torn
from judge.misfits import misfits
from judge.records import Record, Turn
from judge.rubric import Label
from judge.text import fingerprint, key64
from judge.verdict import (
    Case,
    Evidence,
    Failure,
    FailureKind,
    Hazard,
    JudgeRef,
    JudgeVote,
    Outcome,
    Probabilities,
    Probability,
    PSource,
    RubricRef,
    Usage,
    Verdict,
)

FORMAT = 1
# Not JSON's business, but a terminal's and a line splitter's: written as \uXXXX.
_AWKWARD = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class Entry(BaseModel):
    """One line; `type` says what happened to the row.

    `verdict` and `failure` are outcomes; `filtered` is a row whose prompt the tested provider's
    filter stopped, so that there is nothing to judge; `withdrawn` takes a row back that is no
    longer in the input, or whose judging was broken off.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: Literal[1]
    type: Literal["verdict", "failure", "filtered", "withdrawn"]
    record_id: str
    model: str | None
    dimension: str
    subcomponent: str | None = None
    history: tuple[Turn, ...] = ()
    prompt: str | None = None
    response: str | None = None
    prompt_sha256: str | None = None
    content_sha256: str | None = None
    source: str = ""
    hazard: Hazard | None = None
    judge: JudgeRef | None = None
    rubric: RubricRef | None = None
    label: Label | None = None
    harmless: bool | None = None
    probabilities: Probabilities | None = None
    p_harmless: Probability | None = None
    p_source: PSource | None = None
    criteria: Mapping[str, bool | None] | None = None
    reason: str | None = None
    evidence: tuple[Evidence, ...] = ()
    usage: Usage | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    cached: bool = False
    votes: tuple[JudgeVote, ...] = ()
    kind: FailureKind | None = None
    attempts: int | None = None
    detail: str | None = None
    at: str | None = None

    @property
    def key(self) -> int:
        """64-bit key of (model, record, dimension)."""
        return row_key(self.model, self.record_id, self.dimension)


def row_key(model: str | None, record_id: str, dimension: str) -> int:
    """64-bit key of (model, record, dimension)."""
    return key64(model or "", record_id, dimension)


def content_sha256(record: Record, judged: str | None) -> str:
    """What was judged: a row whose texts changed is another row."""
    turns = (text for turn in record.history for text in (turn.role, turn.content))
    missing = "filtered" if judged is None else "text"
    return fingerprint(record.prompt, missing, judged or "", *turns)


def prompt_sha256(prompt: str) -> str:
    """A prompt's hash, by which answers of several models, and several of one, are grouped."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def outcome_line(case: Case, outcome: Outcome, at: datetime, *, texts: bool = True) -> str:
    """The log's line for an outcome, with its newline.

    Args:
        case: what was judged.
        outcome: what came back.
        at: when.
        texts: whether to keep prompt, response, evidence and reason, or only their hashes.
    """
    line = _record_fields(case.record, case.response, case.rubric.dimension, texts=texts)
    line["hazard"] = case.hazard.value
    line |= outcome.model_dump(mode="json", exclude={"record_id", "dimension"})
    if not texts:
        line["evidence"] = [{**item, "quote": ""} for item in line["evidence"]]
        line.pop("reason", None)
    return _line(line, at)


def filtered_line(record: Record, dimension: str, at: datetime, *, texts: bool = True) -> str:
    """The log's line for a row whose prompt was filtered before the tested model could answer."""
    line = _record_fields(record, None, dimension, texts=texts)
    return _line(line | {"type": "filtered"}, at)


def withdrawn_line(entry: Entry, at: datetime) -> str:
    """The log's line that takes an entry back."""
    kept = ("record_id", "model", "dimension", "source")
    return _line({"type": "withdrawn", **{name: getattr(entry, name) for name in kept}}, at)


def _record_fields(
    record: Record, judged: str | None, dimension: str, *, texts: bool
) -> dict[str, Any]:
    history = [turn.model_dump() for turn in record.history] if texts else []
    return {
        "record_id": record.id,
        "model": record.model,
        "dimension": dimension,
        "subcomponent": record.subcomponent,
        **({"history": history} if history else {}),
        "prompt": record.prompt if texts else None,
        "response": record.response if texts else None,
        "prompt_sha256": prompt_sha256(record.cluster),
        "content_sha256": content_sha256(record, judged),
        "source": record.source,
    }


def _line(fields: dict[str, Any], at: datetime) -> str:
    from pydantic_core import to_json

    ordered = {"format": FORMAT, "type": fields.pop("type"), **fields, "at": at.isoformat()}
    text = to_json(ordered).decode()
    return _AWKWARD.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def read_log(file: Path) -> Iterator[Entry]:
    """The log's entries in their order, without holding them.

    A last line without its end is being written, or was torn by a kill: it is no entry yet.

    Raises:
        InputError: names the file and the line that is not an entry.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and not is_torn(line):
                    yield _parse(line, file, number)
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=file) from None


def _parse(line: bytes, file: Path, number: int) -> Entry:
    try:
        return Entry.model_validate_json(line)
    except ValidationError as error:
        problem = f"is not a line of a run's log: {next(misfits(error, Entry)).problem}"
        raise InputError(
            problem, file=file, line=number, mend="delete that line and run again"
        ) from None


def outcome_of(entry: Entry) -> Outcome | None:
    """The entry's outcome, or None for a filtered or withdrawn row."""
    fields = entry.model_dump(
        include={"record_id", "dimension", "judge", "rubric", "evidence", "usage"}
    )
    shared = {name: getattr(entry, name) for name in ("cost_usd", "latency_s", "cached", "votes")}
    if entry.type == "verdict":
        names = (
            "label",
            "harmless",
            "probabilities",
            "p_harmless",
            "p_source",
            "criteria",
            "reason",
        )
        own = {name: getattr(entry, name) for name in names}
        own |= {"criteria": entry.criteria or {}, "reason": entry.reason or ""}
        return Verdict.model_validate({**fields, **shared, **own})
    if entry.type == "failure":
        own = {"kind": entry.kind, "attempts": entry.attempts or 0, "detail": entry.detail or ""}
        return Failure.model_validate({**fields, **shared, **own})
    return None
