"""Schemas of what other routes than /v1/judge and /v1/runs send. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Shape = dict[str, Any]
TEXT: Final[Shape] = {"type": "string"}
_WHOLE: Final[Shape] = {"type": "integer", "minimum": 0}
OBJECT: Final[Shape] = {"type": "object", "additionalProperties": True}
_RATE: Final[Shape] = {"type": "number", "minimum": 0, "maximum": 1}


def told_schemas() -> dict[str, Shape]:
    """By their names in the description's components."""
    return {
        "ChatCompletion": _answer("chat.completion", "message"),
        "ChatCompletionChunk": _answer("chat.completion.chunk", "delta"),
        "ModelList": _model_list(),
        "Moderation": _moderation(),
        "GuardrailAnswer": _object(
            {"action": {"enum": ["NONE", "BLOCKED"]}, "blocked_reason": TEXT}, "action"
        ),
        "Health": _object(
            {
                "status": {"enum": ["ok", "ready", "ending"]},
                "upstream": {"enum": ["reachable", "unreachable"]},
                "judge": {"enum": ["ready", "resting"]},
            },
            "status",
        ),
    }


def _answer(kind: str, said: str) -> Shape:
    """An answer of a model's, or a piece of one, as OpenAI's clients read it."""
    choice = _object(
        {"index": _WHOLE, said: OBJECT, "finish_reason": {"type": ["string", "null"]}},
        "index",
        said,
        "finish_reason",
    )
    return _object(
        {
            "id": TEXT,
            "object": {"const": kind},
            "created": _WHOLE,
            "model": TEXT,
            "choices": _list(choice),
            "usage": {"type": ["object", "null"]},
        },
        "id",
        "object",
        "created",
        "model",
        "choices",
    )


def _model_list() -> Shape:
    told = {"id": TEXT, "object": {"const": "model"}, "created": _WHOLE, "owned_by": TEXT}
    return _object(
        {"object": {"const": "list"}, "data": _list(_object(told, *told))}, "object", "data"
    )


def _moderation() -> Shape:
    def by_category(value: Shape) -> Shape:
        return {"type": "object", "additionalProperties": value}

    result = {
        "flagged": {"type": "boolean"},
        "categories": by_category({"type": "boolean"}),
        "category_scores": by_category(_RATE),
        "category_applied_input_types": by_category(_list({"const": "text"})),
    }
    told = {"id": TEXT, "model": TEXT, "results": _list(_object(result, *result))}
    return _object(told, *told)


def _object(properties: Mapping[str, Shape], *required: str) -> Shape:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _list(of: Shape) -> Shape:
    return {"type": "array", "items": of}
