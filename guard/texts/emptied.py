"""A chatbot's own JSON with the policy's message as its reply, and no other text in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from guard.openai_api import is_nobodys
from guard.texts.json_replies import LONG_NUMBER, WORD, Paths

# Keys whose values are identifiers.
NAMES: Final = (
    "id",
    "event_id",
    "message_id",
    "conversation_id",
    "session_id",
    "request_id",
    "trace_id",
    "created_at",
    "timestamp",
    "type",
    "event",
    "object",
    "model",
    "role",
    "status",
    "finish_reason",
)


def said_in(value: object, replies: Paths, message: str, names: Collection[str] = NAMES) -> Any:
    """The value with the policy's message as its reply, and with no other text in it.

    Keys that are no single ASCII words, or are numbers, go with what stands under them. None when
    the value has no place for a reply.

    Args:
        value: an answer that was withheld.
        replies: where its reply may stand.
        message: the policy's.
        names: keys whose values stay where they are single words: clients go by them.
    """
    if isinstance(value, str):
        return message
    path = next((path for path, _ in replies.texts(value)), None)
    return None if path is None else path.replaced(_emptied(value, names), lambda _: message)


def _emptied(value: Any, names: Collection[str]) -> Any:
    if isinstance(value, str):
        return ""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if _is_key(key)}
        return {
            key: item if key in names and _is_name(item) else _emptied(item, names)
            for key, item in kept.items()
        }
    if isinstance(value, list):
        return [_emptied(item, names) for item in value]
    return value if isinstance(value, bool | None) or abs(value) < LONG_NUMBER else 0


def _is_key(key: str) -> bool:
    """Whether a key may stay: a word, and no number that could be somebody's."""
    return _is_name(key) and not re.search(r"\d{7}", key)


def _is_name(value: object) -> bool:
    """Whether an identifier may: nothing but personal data is looked for in one."""
    return isinstance(value, str) and bool(WORD.fullmatch(value)) and is_nobodys(value)
