"""A whole chat completion -> what to judge, what to forward; and answers of our own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from guard.openai_api.envelope import Envelope, read_envelope, read_index
from guard.openai_api.errors import upstream_unreadable
from guard.openai_api.found import Found
from guard.openai_api.parts import Dropped, TextPart, UnknownKeys
from guard.openai_api.response_keys import CHOICE

_OBJECT = "chat.completion"
NO_TOKENS: Final = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
"""The usage of an answer of our own."""


@dataclass(frozen=True, slots=True)
class CompletionChoice:
    """One of the answers.

    Attributes:
        index: the choice's number in the body; unique.
        parts: every text of it; the kinds are those of a stream's channels, and `joined`.
    """

    index: int
    parts: tuple[TextPart, ...]

    @property
    def said(self) -> tuple[tuple[str, str], ...]:
        """Its texts, each with its kind and once."""
        return tuple((part.kind, part.text) for part in self.parts if part.kind != "joined")


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer taken apart.

    Attributes:
        forward: the body for the caller, rebuilt from known keys; log probabilities, annotations,
            sound and pictures are not in it.
        choices: the answers, in the order of the body.
        envelope: the identifiers around them.
        dropped: what is not forwarded.
    """

    forward: dict[str, Any]
    choices: tuple[CompletionChoice, ...]
    envelope: Envelope
    dropped: tuple[Dropped, ...]


def is_completion(value: object) -> bool:
    """Whether JSON is a completion, by its name or a choice's message: a quiz has choices too."""
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(choices, list):
        return False
    return value.get("object") == _OBJECT or any(
        isinstance(one, dict) and isinstance(one.get("message"), dict) for one in choices
    )


def read_completion(
    value: dict[str, Any], unknown: UnknownKeys = "drop", n: int | None = None
) -> Completion:
    """Take an answer's body apart.

    Args:
        value: the parsed body.
        unknown: what happens to keys that the tables don't know.
        n: how many choices were asked for: others count as unknown keys do. None takes all.

    Raises:
        ApiError: 502; it is not a completion, two choices have one number, none was asked for, or
            something is unknown and `unknown` is "block".
    """
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or value.get("error"):
        raise upstream_unreadable("choices")
    around = Found(unknown, of_upstream=True)
    envelope, counts = read_envelope(value, around)
    dropped = around.dropped
    rebuilt: list[dict[str, Any]] = []
    read: list[CompletionChoice] = []
    for place, choice in enumerate(choices):
        one = Found(unknown, of_upstream=True, role="assistant")
        body = _choice(choice, place, one)
        if n is not None and body["index"] >= n:
            around.drop(f"choices[{place}]", "unknown")
            continue
        rebuilt.append(body)
        read.append(CompletionChoice(body["index"], tuple(one.parts)))
        dropped += one.dropped
    if len({choice.index for choice in read}) < len(read) or (choices and not read):
        raise upstream_unreadable("choices")
    forward = {**envelope.body(_OBJECT, rebuilt), **counts}
    return Completion(forward, tuple(read), envelope, tuple(dropped))


def _choice(choice: object, place: int, found: Found) -> dict[str, Any]:
    path = f"choices[{place}]"
    index = read_index(choice.get("index"), place) if isinstance(choice, dict) else None
    if index is None or not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise upstream_unreadable(path)
    body = CHOICE.read(choice, path, found)
    found.join(f"{path}.message.content")
    for tool, call in enumerate(body["message"].get("tool_calls") or ()):
        call["id"] = call.get("id") or f"call_{tool}"  # as in a stream, where clients need one
    return {**body, "index": index}


def blocked(
    completion: Completion, messages: Mapping[int, str], finish: str = "content_filter"
) -> dict[str, Any]:
    """The body in which some choices say a message of the policy instead.

    Args:
        completion: the answer as it was read.
        messages: choice number -> what that choice says now; all else of it is gone.
        finish: their reason to end: `content_filter`, or `stop` for a text that replaces quietly.
    """
    choices = [
        _spoken(choice["index"], messages[choice["index"]], finish)
        if choice["index"] in messages
        else choice
        for choice in completion.forward["choices"]
    ]
    return {**completion.forward, "choices": choices}


def said(
    envelope: Envelope, message: str, *, n: int = 1, finish: str = "content_filter"
) -> dict[str, Any]:
    """A whole answer of our own, such as a refusal given with status 200; it has used no tokens."""
    choices = [_spoken(index, message, finish) for index in range(n)]
    return {**envelope.body(_OBJECT, choices), "usage": {**NO_TOKENS}}


def _spoken(index: int, message: str, finish: str) -> dict[str, Any]:
    spoken = {"role": "assistant", "content": message, "refusal": None}
    return {"index": index, "message": spoken, "logprobs": None, "finish_reason": finish}
