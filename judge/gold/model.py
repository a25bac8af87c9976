"""What gold is made of: the design that drew a row, the mark of one annotator, the task of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import from_json

from judge.errors import InputError
from judge.records import Name
from judge.rows import whole_number
from judge.rubric import Label
from judge.text import fingerprint

FORMAT: Literal[1] = 1
ADJUDICATOR = "adjudicator"
_LABELS = {"1": 1, "2": 2, "3": 3, "1.0": 1, "2.0": 2, "3.0": 3}


def _label(value: object) -> object:
    """3, 3.0 and "3" are one label; anything else is left to be refused."""
    if isinstance(value, bool):
        raise ValueError("true and false are no labels")  # noqa: TRY004 - pydantic's own way
    return _LABELS.get(str(value).strip(), value)


Mark = Annotated[Label, BeforeValidator(_label)]
Inclusion = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RowKey(NamedTuple):
    """What names a row: whose answer, which, and what it was labelled for."""

    model: str | None
    record_id: str
    dimension: str


class GoldError(InputError):
    """Gold that can't be used as it is. It names no file: whoever read one does.

    Args:
        problem: what is wrong, in a few words.
        row: the row at fault, if it is one.
        mend: what the user can do about it.
    """

    def __init__(self, problem: str, *, row: RowKey | None = None, mend: str = "") -> None:
        self.row = row
        super().__init__(problem, mend=mend)


class Design(_Value):
    """How a row came to be labelled.

    Args:
        name: `simple` or `stratified` random sampling from a frame, or `external`: unknown here.
        frame_n: rows of the frame.
        frame_sha256: hash of the frame's ids, hex.
        stratum: the row's stratum, frozen when the frame was first drawn from.
        seed: of the draw.
        draws: in how many draws the whole sample was made: more than one where it was extended.
    """

    name: Literal["simple", "stratified", "external"] = "external"
    frame_n: int | None = Field(default=None, ge=1)
    frame_sha256: Name | None = None
    stratum: str | None = None
    seed: int | None = None
    draws: int = Field(default=1, ge=1)

    @model_serializer(mode="wrap")
    def _fields(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`draws` is written only where the sample was extended."""
        written: dict[str, Any] = fields(self)
        return written if self.draws > 1 else {n: v for n, v in written.items() if n != "draws"}

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: object) -> object:
        """A null is no value, as in a Parquet file, whose rows all have the same fields."""
        if not isinstance(fields, Mapping):
            return fields
        return {name: value for name, value in fields.items() if value is not None}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = {"frame_n": self.frame_n, "frame_sha256": self.frame_sha256}
        if self.name == "stratified":
            needed["stratum"] = self.stratum
        absent = [field for field, value in needed.items() if value is None]
        if self.name != "external" and absent:
            raise ValueError(f"a {self.name} design needs {' and '.join(absent)}")
        return self


EXTERNAL = Design()


class Drawn(_Value):
    """A row, and how it was drawn. `SHAPE` is what a line of its file holds, for errors."""

    SHAPE: ClassVar[str]
    format: Literal[1] = FORMAT
    record_id: Name
    model: Name | None = None
    dimension: Name
    design: Design | None = None
    inclusion: Inclusion | None = None

    @field_validator("record_id", mode="before")
    @classmethod
    def _whole_number(cls, value: object) -> object:
        """Ids are text; a whole number is taken as the text that it is written as."""
        return whole_number(value) or value

    @field_validator("design", mode="before")
    @classmethod
    def _from_cell(cls, value: object) -> object:
        """A table's cell holds the design as JSON."""
        try:
            return from_json(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('is no object like {"name": "simple", ...}') from None

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if self.drawn_by.name != "external" and self.inclusion is None:
            raise ValueError(f"a {self.drawn_by.name} design needs `inclusion`")
        return self

    @property
    def key(self) -> RowKey:
        """Whose answer, which, for what."""
        return RowKey(self.model, self.record_id, self.dimension)

    @property
    def drawn_by(self) -> Design:
        """The design; external where none is given."""
        return self.design or EXTERNAL


class LabelTask(Drawn):
    """A line of to_label.jsonl: a row to be labelled, with its texts and without any verdict."""

    SHAPE = "{record_id, model, dimension, prompt, response, design, inclusion}"
    subcomponent: str | None = None
    prompt: str | None = None
    response: str | None = None


class GoldLabel(Drawn):
    """A line of gold.jsonl: what one annotator said about one row.

    `label` is null where the annotator skipped the row; `note` says why. An `annotator` called
    `adjudicator`, or `adjudicator:NAME`, decided a row on which others differ. `first_label` is
    what an annotator said before changing it. `inclusion` is the probability, in (0, 1], with which
    the row was drawn; without a design it is external.
    """

    SHAPE = "{record_id, model, dimension, label, annotator}"
    label: Mark | None
    annotator: Name | None = None
    at: str | None = None
    note: str | None = None
    first_label: Mark | None = None

    @field_validator("annotator", mode="before")
    @classmethod
    def _numbered(cls, value: object) -> object:
        """Annotators may be known by number."""
        return whole_number(value) or value

    @field_validator("at", mode="before")
    @classmethod
    def _time(cls, value: object) -> object:
        """A Parquet file has times of its own kind."""
        return value.isoformat() if isinstance(value, datetime) else value

    @property
    def adjudicates(self) -> bool:
        """Whether this decides over the others' marks, and isn't one of them."""
        return (self.annotator or "").split(":")[0].strip().lower() == ADJUDICATOR

    def fields(self) -> dict[str, Any]:
        """The fields in their order on disk; `first_label` only where the label was changed."""
        content = self.model_dump(mode="json")
        first = {} if self.first_label is None else {"first_label": self.first_label}
        return {name: content[name] for name in FIELDS} | first


FIELDS = (
    "format", "record_id", "model", "dimension", "label", "annotator", "at", "note", "design",
    "inclusion",
)  # fmt: skip


def gold_sha256(labels: Iterable[GoldLabel]) -> str:
    """Hash of what the gold says, hex: rows, labels, annotators, designs; in any order of lines."""
    told = (label.model_dump_json(exclude={"at", "note", "first_label"}) for label in labels)
    return fingerprint(*sorted(told))
