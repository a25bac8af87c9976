"""What a policy's keys may hold: values as YAML writes them, without conversions."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict


class Value(BaseModel):
    """A frozen part of a policy, without further keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _no_switch(value: object) -> object:
    """To Python, and so to pydantic, true is 1."""
    if isinstance(value, bool):
        raise ValueError("must be 1")  # noqa: TRY004 - pydantic's own way
    return value


def _http(address: str) -> str:
    try:
        parts = urlsplit(address)
        named = parts.hostname and "@" not in parts.netloc and address.split() == [address]
        if parts.scheme in {"http", "https"} and named:
            return address
    except ValueError:
        pass
    raise ValueError(
        "is no plain http address: write it as in http://127.0.0.1:8000/v1, without a password"
    )


def _said(text: str) -> str:
    """A text that says something; no file's name holds a NUL, nor a variable's."""
    if "\0" in text:
        raise ValueError("holds a NUL character")
    if not text.strip():
        raise ValueError("is empty")
    return text


Text = Annotated[str, AfterValidator(_said)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Price = Annotated[Number, Field(ge=0)]
Whole = Annotated[int, Strict()]
Switch = Annotated[bool, Strict()]
Version = Annotated[Literal[1], BeforeValidator(_no_switch)]
HttpAddress = Annotated[str, AfterValidator(_http)]
