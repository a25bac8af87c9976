"""The one error of this package, and what an upstream's error body says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guard.openai_api.identifiers import is_identifier
from judge.errors import FlamesJudgeError

_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


class ApiError(FlamesJudgeError):
    """A body that can't be read, or a request that is refused: all that the caller is told.

    Nothing in it comes from the texts: `message` is written here or by the policy, and `param`
    names known keys alone.

    Args:
        message: one sentence for a person.
        status: the HTTP status to answer with.
        code: OpenAI's `error.code`.
        param: the place in the body, such as `messages[2].role`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str = "invalid_request",
        param: str | None = None,
    ) -> None:
        self.message, self.status, self.code, self.param = message, status, code, param
        self.type = "invalid_request_error" if status < 500 else "server_error"
        super().__init__(message)

    def body(self) -> dict[str, Any]:
        """The error as OpenAI's JSON body; the same object is an error frame in a stream."""
        return error_object(self.message, self.type, self.code, self.param)


@dataclass(frozen=True, slots=True)
class UpstreamError:
    """What an upstream's error body says.

    Attributes:
        type: its identifier, or "".
        code: an identifier, a number, or None.
        message: free text, which may quote what was asked: judge it or leave it out.
    """

    type: str
    code: str | int | None
    message: str

    def body(self, message: str) -> dict[str, Any]:
        """An error body of ours with the upstream's identifiers and the given message."""
        return error_object(message, self.type or "upstream_error", self.code, None)


def error_object(
    message: str, kind: str, code: str | int | None, param: str | None
) -> dict[str, Any]:
    """OpenAI's error body."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def input_blocked(message: str) -> ApiError:
    """The refusal of a request whose text the policy blocks; `message` is the policy's."""
    return ApiError(message, status=400, code="content_filter")


def guard_unavailable() -> ApiError:
    """The answer when the guard itself fails and its policy says to block."""
    message = "the guard could not judge this text"
    return ApiError(message, status=503, code="guard_unavailable")


def upstream_unreadable(param: str | None = None) -> ApiError:
    """The answer when the upstream's body or stream is not what the protocol says."""
    message = "the upstream's answer can't be read"
    return ApiError(message, status=502, code="upstream_unreadable", param=param)


def read_error(value: object) -> UpstreamError:
    """What an upstream's error body says, whatever its shape; nothing is refused.

    Known shapes: OpenAI's `{"error": {...}}`, `{"error": "text"}`, vLLM's
    `{"object": "error", "message", "type", "code"}` and FastAPI's `{"detail": "text"}`.
    """
    outer = value if isinstance(value, Mapping) else {}
    inner = outer.get("error") or outer
    if isinstance(inner, str):
        return UpstreamError("", None, inner)
    if not isinstance(inner, Mapping):
        return UpstreamError("", None, "")
    message = inner.get("message") or inner.get("detail")
    code = inner.get("code")
    return UpstreamError(
        type=_word(inner.get("type")) or "",
        code=code if type(code) is int and abs(code) < 100_000 else _word(code),
        message=message if isinstance(message, str) else "",
    )


def _word(value: object) -> str | None:
    """An identifier without room for a sentence, else None."""
    known = isinstance(value, str) and _WORD.fullmatch(value) and is_identifier(value)
    return value if known and isinstance(value, str) else None
