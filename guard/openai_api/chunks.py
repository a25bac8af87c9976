"""One chunk of a streamed chat completion -> events. Pure.

A chunk is not forwarded: `frames.FrameWriter` writes new ones from what was released. What is no
event does therefore not reach the caller; here it is listed, or refused if the policy says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from guard.openai_api.envelope import Envelope, read_envelope, read_index
from guard.openai_api.errors import UpstreamError, read_error, upstream_unreadable
from guard.openai_api.found import Found
from guard.openai_api.identifiers import FINISH_REASONS, is_identifier, is_one_of
from guard.openai_api.parts import Channel, Dropped, UnknownKeys
from guard.openai_api.response_keys import CHOICE_WITHHELD, COUNTS, MESSAGE_WITHHELD
from guard.openai_api.strict_json import serialised

_TEXTS = ("reasoning_content", "reasoning", "refusal")
_IN_CHOICE: AbstractSet[str] = {"index", "delta", "finish_reason", "usage"}
_IN_DELTA: AbstractSet[str] = {"role", "content", *_TEXTS, "tool_calls", "function_call", "audio"}
_IN_CALL: AbstractSet[str] = {"index", "id", "type", "function", "custom"}
_BESIDE_DELTA: AbstractSet[str] = CHOICE_WITHHELD | {"message"}  # MiniMax's: all of it once more
_BESIDE_CALL: AbstractSet[str] = {"extra_content", "provider_specific_fields"}
_SIGNATURE: AbstractSet[str] = {"signature"}
_SOUND: AbstractSet[str] = {"id", "data", "expires_at"}
_NONE: AbstractSet[str] = frozenset()
_CHANNELS = {name: Channel(name) for name in ("content", *_TEXTS)}


@dataclass(frozen=True, slots=True)
class RoleDelta:
    """A choice begins."""

    choice: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of one channel of a choice; never empty."""

    choice: int
    channel: Channel
    text: str


@dataclass(frozen=True, slots=True)
class ToolStart:
    """A tool call begins; its name and its arguments follow as text deltas.

    `id` is "" and `type` is "function" where the upstream says nothing else.
    """

    choice: int
    tool: int
    id: str
    type: str


@dataclass(frozen=True, slots=True)
class Finish:
    """A choice has ended."""

    choice: int
    reason: str


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """The tokens used up to here."""

    usage: dict[str, Any]


StreamEvent = RoleDelta | TextDelta | ToolStart | Finish | UsageEvent | UpstreamError


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk taken apart; `events` in the order in which a client would take them in."""

    envelope: Envelope
    events: tuple[StreamEvent, ...]
    dropped: tuple[Dropped, ...]

    def within(self, n: int, unknown: UnknownKeys) -> Chunk:
        """The chunk without choices that were not asked for: they count as unknown keys do.

        Raises:
            ApiError: 502; there are some, and `unknown` is "block".
        """
        kept = tuple(event for event in self.events if getattr(event, "choice", 0) < n)
        if len(kept) == len(self.events):
            return self
        if unknown == "block":
            raise upstream_unreadable("choices")
        return replace(self, events=kept, dropped=(*self.dropped, Dropped("choices[?]", "unknown")))


def is_chunk(value: object) -> bool:
    """Whether an event is a chunk of a chat completion: an application has choices of its own."""
    choices = value.get("choices") if isinstance(value, dict) else None
    return isinstance(choices, list) and all(
        isinstance(one, dict) and "text" not in one and ("delta" in one or "finish_reason" in one)
        for one in choices
    )


def read_chunk(value: dict[str, Any], unknown: UnknownKeys = "drop") -> Chunk:
    """Take a chunk apart.

    A chunk without choices (usage, Azure's prompt filter results) is a chunk without text events.

    Raises:
        ApiError: 502; it is not a chunk, or something is unknown and `unknown` is "block".
    """
    found = Found(unknown, of_upstream=True)
    if not isinstance(value, dict):
        raise upstream_unreadable()
    if value.get("error"):
        return Chunk(Envelope(), (read_error(value),), ())
    choices = value.get("choices")
    if not isinstance(choices, list | None):
        raise upstream_unreadable("choices")
    envelope, counts = read_envelope(value, found)
    events = [
        event
        for place, choice in enumerate(choices or ())
        for event in _choice(choice, f"choices[{place}]", found)
    ]
    if counts.get("usage"):
        events.append(UsageEvent(counts["usage"]))
    return Chunk(envelope, tuple(events), tuple(found.dropped))


def _choice(choice: object, path: str, found: Found) -> Iterator[StreamEvent]:
    index = read_index(choice.get("index"), 0) if isinstance(choice, dict) else None
    if index is None or not isinstance(choice, dict):
        raise upstream_unreadable(path)
    delta = choice.get("delta")
    if not isinstance(delta, dict | None):
        raise upstream_unreadable(f"{path}.delta")
    _leave_out(choice, _IN_CHOICE, _BESIDE_DELTA, path, found)
    if delta:
        yield from _delta(delta, index, f"{path}.delta", found)
    usage = choice.get("usage")  # Kimi's place for it
    if usage and isinstance(counts := COUNTS.read(usage, f"{path}.usage", found), dict):
        yield UsageEvent(counts)
    reason = choice.get("finish_reason")
    if reason:
        yield Finish(index, reason if is_one_of(reason, FINISH_REASONS) else "stop")


def _delta(delta: dict[str, Any], index: int, path: str, found: Found) -> Iterator[StreamEvent]:
    _leave_out(delta, _IN_DELTA, MESSAGE_WITHHELD, path, found)
    if delta.get("role"):
        yield RoleDelta(index)
    for name in _TEXTS:
        if delta.get(name) and (text := _text(delta[name], path)):
            yield TextDelta(index, _CHANNELS[name], text)
    if content := delta.get("content"):
        yield from _content(content, index, f"{path}.content", found)
    calls = delta.get("tool_calls") or ()
    if not isinstance(calls, list | tuple):
        raise upstream_unreadable(f"{path}.tool_calls")
    for place, call in enumerate(calls):
        yield from _tool_call(call, place, index, f"{path}.tool_calls[{place}]", found)
    if function := delta.get("function_call"):
        yield from _function(function, index, f"{path}.function_call", found)
    if audio := delta.get("audio"):
        yield from _audio(audio, index, f"{path}.audio", found)


def _content(value: Any, index: int, path: str, found: Found) -> Iterator[StreamEvent]:
    """A string, or Mistral's list of text and thinking parts."""
    if not isinstance(value, list):
        if text := _text(value, path):
            yield TextDelta(index, _CHANNELS["content"], text)
        return
    for place, part in enumerate(value):
        at = f"{path}[{place}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "output_text"):
            _leave_out(part, {"type", "text"}, _NONE, at, found)
            yield from _delta({"content": _text(part.get("text"), at)}, index, at, found)
        elif kind == "thinking":
            _leave_out(part, {"type", "thinking", "closed"}, _SIGNATURE, at, found)
            yield from _thinking(part.get("thinking"), index, at, found)
        else:
            found.drop(at, "unknown")


def _thinking(value: Any, index: int, path: str, found: Found) -> Iterator[StreamEvent]:
    parts = value if isinstance(value, list) else [{"type": "text", "text": value}]
    for part in parts:
        if not isinstance(part, dict):
            raise upstream_unreadable(path)
        _leave_out(part, {"type", "text"}, _NONE, path, found)
        if text := _text(part.get("text"), path):
            yield TextDelta(index, _CHANNELS["reasoning_content"], text)


def _tool_call(call: Any, place: int, index: int, path: str, found: Found) -> Iterator[StreamEvent]:
    tool = read_index(call.get("index"), place) if isinstance(call, dict) else None
    if tool is None:
        raise upstream_unreadable(path)
    _leave_out(call, _IN_CALL, _BESIDE_CALL, path, found)
    kind = "custom" if call.get("type") == "custom" or call.get("custom") else "function"
    name = call.get("id")
    if name:
        known = is_identifier(name)
        if not known:
            found.drop(f"{path}.id", "withheld")
        yield ToolStart(index, tool, name if known else f"call_{tool}", kind)
    inner = call.get(kind)
    if inner is None:
        return
    arguments = "arguments" if kind == "function" else "input"
    if not isinstance(inner, dict):
        raise upstream_unreadable(path)
    _leave_out(inner, {"name", arguments}, _NONE, path, found)
    if isinstance(inner.get(arguments), dict):  # some servers send them whole, as an object
        inner = {**inner, arguments: serialised(inner[arguments]).decode()}
    for key, channel in (("name", "tool_name"), (arguments, "tool_arguments")):
        if text := _text(inner.get(key), path):
            yield TextDelta(index, Channel(channel, tool), text)


def _function(value: Any, index: int, path: str, found: Found) -> Iterator[StreamEvent]:
    if not isinstance(value, dict):
        raise upstream_unreadable(path)
    _leave_out(value, {"name", "arguments"}, _NONE, path, found)
    for key in ("name", "arguments"):
        if text := _text(value.get(key), path):
            yield TextDelta(index, Channel(f"function_{key}"), text)


def _audio(value: Any, index: int, path: str, found: Found) -> Iterator[StreamEvent]:
    """Speech can't be read: its transcript goes on, the sound does not."""
    if not isinstance(value, dict):
        raise upstream_unreadable(path)
    _leave_out(value, {"transcript"}, _SOUND, path, found)
    if text := _text(value.get("transcript"), path):
        yield TextDelta(index, Channel("audio_transcript"), text)


def _text(value: Any, path: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise upstream_unreadable(path)
    return value


def _leave_out(
    value: dict[str, Any],
    known: AbstractSet[str],
    withheld: AbstractSet[str],
    path: str,
    found: Found,
) -> None:
    """List what an object holds beside its known keys."""
    for key, item in value.items():
        if key in known or item is None or item in ([], {}, ""):
            continue
        if key in withheld:
            found.drop(f"{path}.{key}", "withheld")
        else:
            found.drop(f"{path}.?", "unknown")
