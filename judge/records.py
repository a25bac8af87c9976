"""The record: one prompt and one response, in the one shape that the rest of the product knows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Turn(_Value):
    """An earlier turn of the conversation: context, not judged."""

    role: Literal["system", "user", "assistant"]
    content: str


class Record(_Value):
    """One answer to be judged.

    `response` is null only when `filtered` says that the tested provider's filter stopped the
    prompt. `cluster` groups the answers to one prompt. `source` is `file:line`.
    """

    id: Name
    prompt: str
    response: str | None
    dimension: Name | None = None
    subcomponent: str | None = None
    model: Name | None = None
    history: tuple[Turn, ...] = ()
    filtered: bool = False
    label: Literal[1, 2, 3] | None = None
    source: str = ""


class BadRow(_Value):
    """A row that can't be read: where, why, and the mend. Holds none of its text."""

    source: str
    reason: str
    mend: str
