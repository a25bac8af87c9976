"""What callers and server say to each other about records to judge: /v1/judge and /v1/runs.

Server and client are built on the same models, so that neither can drift from the other.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from judge.records import BadRow
from judge.verdict import Failure, FailureKind, Probability, Verdict

Phase = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
ENDED: Final[frozenset[Phase]] = frozenset({"done", "failed", "cancelled"})
MOST_RECORDS: Final = 100
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CalibratedVerdict(Verdict):
    """A verdict with P(harmless) by the server's calibration; null where it has no map for it."""

    calibrated_p_harmless: Probability | None = None


class Filtered(_Value):
    """A record whose prompt the tested model's provider stopped: there is nothing to judge."""

    type: Literal["filtered"] = "filtered"
    record_id: str
    dimension: str


class Unreadable(BadRow):
    """A record that can't be read: where, why, and the mend. Holds none of its text."""

    type: Literal["bad_row"] = "bad_row"


Judged = Annotated[CalibratedVerdict | Failure | Filtered | Unreadable, Field(discriminator="type")]


class Judgement(_Value):
    """The answer of /v1/judge: results in the records' order.

    `calibration` names the calibration that the server has, null without one.
    """

    format: Literal[1] = 1
    judge: str
    calibration: str | None = None
    results: tuple[Judged, ...]


class RunOptions(_Value):
    """How a run's records are judged.

    `name` is the file's: rows that name no model are those of the model that it is named after, as
    with `flames-judge score`. `dimension` is that of rows that name none. `ordinary`: the prompts
    are not known to be hazardous.
    """

    model_config = ConfigDict(extra="forbid")

    name: _Name = "records.jsonl"
    dimension: _Name | None = None
    ordinary: bool = False


class RunProgress(_Value):
    """How far a run is.

    `rows` is the number of rows, null until they are counted; `done` of them are through, in
    whatever way: judged, not to be judged (`filtered`, `bad_rows`), or without a verdict
    (`failures`, by their kind). `problem` says why a run is paused or failed, without any text of
    its records.
    """

    phase: Phase = "queued"
    rows: int | None = None
    done: int = 0
    judged: int = 0
    filtered: int = 0
    failures: dict[FailureKind, int] = Field(default_factory=dict)
    bad_rows: int = 0
    problem: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the run by itself."""
        return self.phase in ENDED


class Run(RunProgress):
    """A run, as its caller is told of it; `created` is an ISO 8601 time."""

    format: Literal[1] = 1
    id: str
    created: str
    name: str
    dimension: str | None = None
    ordinary: bool = False


class RunList(_Value):
    """The caller's runs, newest first."""

    format: Literal[1] = 1
    runs: tuple[Run, ...]
