"""Completions in OpenAI's older form, whose choices have a text: as chunks of chats, and back."""

from __future__ import annotations

from typing import Any, Final

OLDER: Final = frozenset({"Completion", "TextCompletionResponse"})
"""The classes of such answers, in OpenAI's and litellm's libraries."""


def is_older(value: dict[str, Any]) -> bool:
    """Whether it is a piece of such a completion; the first one may have no choices."""
    choices = value.get("choices")
    if not isinstance(choices, list):
        return False
    return any(_has_text(one) for one in choices) or (
        not choices and value.get("object") == "text_completion"
    )


def as_chat(value: dict[str, Any], said: str = "delta") -> dict[str, Any]:
    """A piece of such a completion as a chunk of a chat; a whole one with `message`."""
    if not is_older(value):
        return value
    choices = [
        {
            **{key: item for key, item in one.items() if key != "text"},
            said: {"content": one["text"]},
        }
        if _has_text(one)
        else one
        for one in value["choices"]
    ]
    return {**value, "choices": choices}


def _has_text(choice: object) -> bool:
    return isinstance(choice, dict) and "text" in choice and "delta" not in choice


def as_older(body: dict[str, Any]) -> dict[str, Any]:
    """A chat's answer, or a chunk of one, in the older form."""
    choices = []
    for one in body.get("choices") or ():
        said = one.get("delta") or one.get("message") or {}
        rest = {key: item for key, item in one.items() if key not in {"delta", "message"}}
        choices.append({**rest, "text": said.get("content") or ""})
    return {**body, "object": "text_completion", "choices": choices}
