"""OpenAI's /v1/moderations: a request -> texts; results -> a body that its clients read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from guard.openai_api.errors import ApiError
from guard.openai_api.found import Found
from guard.openai_api.media import Media
from guard.openai_api.parts import TextPart, Unread

OPENAI_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The names that OpenAI's clients require; none of them is judged here, all are false and 0."""


@dataclass(frozen=True, slots=True)
class ModerationInput:
    """What one result is about: one string, or the texts and pictures of one list of parts."""

    parts: tuple[TextPart, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Category:
    """One category's result; `score` is in [0, 1], larger is worse."""

    flagged: bool
    score: float


@dataclass(frozen=True, slots=True)
class ModerationResult:
    """One input's result; the categories are named such as `flames/legality`."""

    flagged: bool
    categories: Mapping[str, Category]


def read_moderation(value: dict[str, Any]) -> tuple[ModerationInput, ...]:
    """The inputs of a request: a string, a list of strings, or a list of parts (one input).

    Raises:
        ApiError: 400; the input is none of these, or empty.
    """
    given = value.get("input") if isinstance(value, dict) else None
    if isinstance(given, str):
        return (_text(given, "input"),)
    if not isinstance(given, list) or not given:
        raise ApiError("input must be a string or a list that is not empty", param="input")
    if all(isinstance(item, str) for item in given):
        return tuple(_text(item, f"input[{place}]") for place, item in enumerate(given))
    return (_parts(given),)


def moderation_body(
    response_id: str, model: str, results: Iterable[ModerationResult]
) -> dict[str, Any]:
    """The answer, a result for each input in order."""
    return {"id": response_id, "model": model, "results": [_result(one) for one in results]}


def _text(text: str, path: str) -> ModerationInput:
    return ModerationInput((TextPart(path, "user", "content", text),))


def _parts(parts: list[Any]) -> ModerationInput:
    found = Found("block", role="user")
    for place, part in enumerate(parts):
        path = f"input[{place}]"
        kind = part.get("type") if isinstance(part, dict) else None
        inner = part.get(kind) if isinstance(kind, str) else None
        if kind == "text" and isinstance(inner, str):
            found.text(f"{path}.text", "content", inner)
        elif kind == "image_url" and isinstance(inner, dict) and isinstance(inner.get("url"), str):
            Media("image").read(inner["url"], f"{path}.image_url.url", found)
        else:
            raise ApiError("a part must be a text or an image_url", param=path)
    return ModerationInput(tuple(found.parts), tuple(found.unread))


def _result(result: ModerationResult) -> dict[str, Any]:
    categories = {name: Category(flagged=False, score=0.0) for name in OPENAI_CATEGORIES}
    categories |= result.categories
    return {
        "flagged": result.flagged,
        "categories": {name: one.flagged for name, one in categories.items()},
        "category_scores": {name: one.score for name, one in categories.items()},
        "category_applied_input_types": {
            name: ["text"] if name in result.categories else [] for name in categories
        },
    }
