"""The chunks that we send: only what was released, in a form that every client reads.

Clients differ in what they forgive. Some need the id, the type and the name of a tool call in its
first chunk; some index `choices[0]`; all need one finish per choice and nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from guard.openai_api.chunks import Chunk, Finish, RoleDelta, TextDelta, ToolStart
from guard.openai_api.envelope import Envelope
from guard.openai_api.parts import ARGUMENTS, NAMES, Channel

_OBJECT = "chat.completion.chunk"
_CONTENT = Channel("content")

Frame = dict[str, Any]


@dataclass(slots=True)
class _Call:
    """A tool call, or the one legacy function call: what is known of it and what was sent."""

    id: str
    type: str = "function"
    name: str = ""
    started: bool = False


@dataclass(slots=True)
class _Choice:
    begun: bool = False
    closed: bool = False
    calls: dict[int | None, _Call] = field(default_factory=dict)

    def call(self, tool: int | None) -> _Call:
        return self.calls.setdefault(tool, _Call(f"call_{tool}"))


class FrameWriter:
    """Writes the chunks of one answer; every method gives the frames to send, in order.

    What was not passed to `text` is not in any frame; after `finish` or `block` a choice is silent,
    whatever the upstream goes on saying.

    Args:
        envelope: identifiers to use where the upstream has given none (yet).
    """

    def __init__(self, envelope: Envelope | None = None) -> None:
        self._fallback = envelope or Envelope()
        self._learned = Envelope()
        self._envelope = self._fallback
        self._choices: dict[int, _Choice] = {}

    @property
    def open_choices(self) -> tuple[int, ...]:
        """The choices that have begun and have no finish yet, in order."""
        return tuple(sorted(i for i, choice in self._choices.items() if not choice.closed))

    def is_closed(self, choice: int) -> bool:
        """Whether the choice has got its finish."""
        return choice in self._choices and self._choices[choice].closed

    def see(self, chunk: Chunk) -> None:
        """Learn what a chunk says beside its texts: the identifiers, and tool calls' ids."""
        if self._learned != chunk.envelope:
            self._learned = self._learned.or_else(chunk.envelope)
            self._envelope = self._learned.or_else(self._fallback)
        for event in chunk.events:
            if isinstance(event, RoleDelta | TextDelta | ToolStart | Finish):
                choice = self._choice(event.choice)
                if isinstance(event, ToolStart) and event.tool not in choice.calls:
                    choice.calls[event.tool] = _Call(event.id, event.type)

    def text(self, choice: int, channel: Channel, text: str) -> list[Frame]:
        """Send text that was released. A call's name waits for its arguments or for the finish."""
        state = self._choice(choice)
        if state.closed or not text:
            return []
        if channel.kind in NAMES:
            call = state.call(channel.tool)
            if not call.started:
                call.name += text
                return []
            return [self._delta(choice, _call_delta(call, channel.tool, name=text))]
        if channel.kind in ARGUMENTS:
            call = state.call(channel.tool)
            start = self._start(choice, channel.tool, call)
            return [*start, self._delta(choice, _call_delta(call, channel.tool, arguments=text))]
        if channel.kind == "audio_transcript":
            return [self._delta(choice, {"audio": {"transcript": text}})]
        return [self._delta(choice, {channel.kind: text})]

    def finish(self, choice: int, reason: str) -> list[Frame]:
        """Close a choice; calls without arguments are sent now."""
        state = self._choice(choice)
        if state.closed:
            return []
        calls = [
            frame
            for tool, call in state.calls.items()
            if call.name
            for frame in self._start(choice, tool, call)
        ]
        state.closed = True
        return [*calls, self._frame(choice, {}, reason)]

    def block(self, choice: int, message: str) -> list[Frame]:
        """Say the policy's message and close the choice with `content_filter`."""
        state = self._choice(choice)
        if state.closed:
            return []
        said = self.text(choice, _CONTENT, message)
        state.closed = True
        return [*said, self._frame(choice, {}, "content_filter")]

    def retract(self, choice: int, start: int, channel: Channel = _CONTENT) -> list[Frame]:
        """Ask the client to take back what it shows of a channel, from character `start` on.

        An extension of ours, `flames_guard`, beside an empty delta: clients that don't know it show
        nothing new. It may follow the finish.
        """
        place = {"choice": choice, "channel": channel.kind, "from": start}
        if channel.tool is not None:
            place["tool"] = channel.tool
        return [{**self._frame(choice, {}, None), "flames_guard": {"retract": True, **place}}]

    def usage(self, usage: dict[str, Any]) -> list[Frame]:
        """The chunk without choices that tells the tokens used."""
        return [{**self._body([]), "usage": usage}]

    def _choice(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())

    def _start(self, choice: int, tool: int | None, call: _Call) -> list[Frame]:
        if call.started:
            return []
        call.started = True
        return [self._delta(choice, _call_delta(call, tool, name=call.name, first=True))]

    def _delta(self, choice: int, delta: dict[str, Any]) -> Frame:
        state = self._choice(choice)
        if not state.begun:
            state.begun = True
            delta = {"role": "assistant", **delta}
        return self._frame(choice, delta, None)

    def _frame(self, choice: int, delta: dict[str, Any], reason: str | None) -> Frame:
        return self._body([{"index": choice, "delta": delta, "finish_reason": reason}])

    def _body(self, choices: list[dict[str, Any]]) -> Frame:
        return self._envelope.body(_OBJECT, choices)


def said_frames(envelope: Envelope, message: str, *, n: int, finish: str) -> list[Frame]:
    """An answer of our own as a stream, as `said` is one as a whole."""
    writer = FrameWriter(envelope)
    told = ([*writer.text(one, _CONTENT, message), *writer.finish(one, finish)] for one in range(n))
    return [frame for frames in told for frame in frames]


def ends_choice(frame: Frame) -> bool:
    """Whether a chunk closes a choice."""
    return any(choice["finish_reason"] for choice in frame["choices"])


def _call_delta(
    call: _Call, tool: int | None, *, name: str = "", arguments: str = "", first: bool = False
) -> dict[str, Any]:
    """A call's delta: the first with everything that is known, later ones with what is new."""
    words = {"name": name} if name or first else {}
    texts = "input" if call.type == "custom" else "arguments"
    inner = {**words, texts: arguments} if first or arguments else words
    if tool is None:
        return {"function_call": inner}
    names = {"id": call.id, "type": call.type} if first else {}
    return {"tool_calls": [{"index": tool, **names, call.type: inner}]}
