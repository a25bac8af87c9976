"""Completions in OpenAI's older form, whose choices have a text: as chunks of chats, and back."""

from __future__ import annotations

from typing import Any, Final

OLDER: Final = frozenset({"Completion", "TextCompletionResponse"})
"""The classes of such answers, in OpenAI's and litellm's libraries."""


def is_older(value: dict[str, Any]) -> bool:
    """Whether it is a piece of such a completion."""
    choices = value.get("choices")
    return isinstance(choices, list) and any(
        isinstance(one, dict) and "text" in one and "delta" not in one for one in choices
    )


def as_chat(value: dict[str, Any]) -> dict[str, Any]:
    """A piece of such a completion as a chunk of a chat."""
    if not is_older(value):
        return value
    choices = [
        {**one, "delta": {"content": one.pop("text", None)}}
        for one in (dict(one) for one in value["choices"])
    ]
    return {**value, "choices": choices}


def as_older(body: dict[str, Any]) -> dict[str, Any]:
    """A chat's answer, or a chunk of one, in the older form."""
    choices = []
    for one in body.get("choices") or ():
        said = one.get("delta") or one.get("message") or {}
        rest = {key: item for key, item in one.items() if key not in {"delta", "message"}}
        choices.append({**rest, "text": said.get("content") or ""})
    return {**body, "object": "text_completion", "choices": choices}
