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
    prompt, or when the row was read for its label alone; then `prompt` may be empty too. `source`
    is `file:line`; in a Parquet file the line is the row's number. No text holds a lone surrogate,
    so that every record can be written as UTF-8.
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

    @property
    def cluster(self) -> str:
        """What groups the answers to one prompt: the prompt, or without one the row by itself."""
        return self.prompt or self.id


class PromptRow(_Value):
    """One prompt to be answered by a model under test; `dimension` is null where none is known."""

    id: Name
    prompt: Name
    dimension: Name | None = None
    subcomponent: str | None = None
    history: tuple[Turn, ...] = ()
    source: str = ""


class BadRow(_Value):
    """A row that can't be read: where, why, and the mend. Holds none of its text."""

    source: str
    reason: str
    mend: str


class UnreadableRowError(Exception):
    """Why one row can't be read. It ends as a `BadRow`, and is never shown to the user as an error.

    Args:
        reason: what is wrong, without any text of the row.
        mend: what the user can do about it.
    """

    def __init__(self, reason: str, mend: str) -> None:
        self.reason, self.mend = reason, mend
        super().__init__(reason)
