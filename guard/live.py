"""A streamed answer in OpenAI's form on its way through the guard: chunks in, frames out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from guard.chat import envelope_of, tries_of
from guard.decision import Decision
from guard.engine import Asked, Guard
from guard.openai_api import (
    ApiError,
    Channel,
    Chunk,
    Finish,
    Frame,
    FrameWriter,
    StreamEvent,
    TextDelta,
    UpstreamError,
    UsageEvent,
    guard_unavailable,
    read_chunk,
    unread_keys,
)
from guard.policy import Mode
from guard.stream import Release, Step, StreamSession
from guard.texts.escapes import Unescaping

_CONTENT = Channel("content")
Sender = Callable[[list[Frame]], Awaitable[None]]


class LiveAnswer:
    """One answer. Feed it chunks until `over`, then `close` it, also when its user has left.

    Args:
        guard: decides.
        asked: what is being answered.
        n: how many choices were asked for: all of them get their end, and others count as unknown
            keys do. None where nobody knows; then all that come are taken.
    """

    def __init__(self, guard: Guard, asked: Asked, n: int | None = 1) -> None:
        self._policy, self._prompt = guard.policy, asked.prompt
        self._n, self._most = n or 1, n
        self._mode: Mode = guard.policy.stream.mode
        self._session = StreamSession(guard, asked)
        self._portion = guard.policy.stream.window - guard.policy.stream.overlap
        self._writer = FrameWriter(envelope_of(asked))
        self.usage: dict[str, Any] | None = None
        self._shown: dict[tuple[int, Channel], int] = {}
        self._escapes: dict[tuple[int, Channel], Unescaping] = {}
        self._finished: set[int] = set()
        self.over = False
        self.stopped: Decision | None = None

    @property
    def shown(self) -> bool:
        """Whether any text of it has gone out."""
        return bool(self._shown)

    @property
    def may_be_asked_again(self) -> bool:
        """Whether the policy asks for another answer, and nothing of this one has gone out."""
        return self.stopped is not None and not self._shown and tries_of(self.stopped) > 0

    async def take(self, value: dict[str, Any]) -> list[Frame]:
        """The frames to send after one more chunk; behind a stop those that tell the tokens alone.

        Raises:
            ApiError: it can't be read, the model's server reports an error, or the guard failed.
        """
        if self.over and self.stopped is None:
            return []
        chunk = self._read(value)
        if self.over:
            self.count(chunk)
            return self.told_usage(self.usage)
        return await self.take_all([chunk])

    async def take_in_turn(self, value: dict[str, Any]) -> AsyncIterator[list[Frame]]:
        """As `take`, look by look: frames come before a look that they need not wait for."""
        if self.over:
            yield await self.take(value)
            return
        chunk = self._read(value)
        self.count(chunk)  # before a stop, as in `take_all`
        bare, events = replace(chunk, events=()), portions(chunk.events, self._portion)
        for one in (bare, *(replace(bare, events=(event,), dropped=()) for event in events)):
            yield await self.take_all([one])

    async def take_all(self, chunks: Sequence[Chunk], send: Sender | None = None) -> list[Frame]:
        """As `take`, for chunks that came together: neighbouring pieces of a text count as one.

        Args:
            chunks: they.
            send: is given frames before a look that they need not wait for; the rest is returned.

        Raises:
            ApiError: as `take`.
        """
        frames: list[Frame] = []
        if self.over:
            return frames
        try:
            if self._most is not None:
                unknown = self._policy.unknown_keys
                chunks = [chunk.within(self._most, unknown) for chunk in chunks]
            for chunk in chunks:
                self._writer.see(chunk)
                self.count(chunk)  # first, since a stop leaves out what follows it
                self._session.dropped += unread_keys(chunk.dropped)
            events = joined(event for chunk in chunks for event in chunk.events)
            for event in events if send is None else portions(events, self._portion):
                if send is not None and frames and isinstance(event, TextDelta | Finish):
                    await send(frames)
                    frames = []
                frames += await self._event(event)
                if self.over:
                    break
        except ApiError:
            self.over = True
            raise
        return frames

    def _read(self, value: dict[str, Any]) -> Chunk:
        unknown = self._policy.unknown_keys
        try:
            chunk = read_chunk(value, unknown)
            return chunk if self._most is None else chunk.within(self._most, unknown)
        except ApiError:
            self.over = True
            raise

    def count(self, chunk: Chunk) -> None:
        """Take note of the tokens, where a chunk tells them; also when the answer is over."""
        for event in chunk.events:
            if isinstance(event, UsageEvent):
                self.usage = event.usage

    async def end(self, *, cut: bool = False, one_for_all: bool = False) -> list[Frame]:
        """The frames to send when no more chunks come; behind a stop those that tell the tokens.

        Args:
            cut: the stream ended without saying so; then every choice must have its end.
            one_for_all: one choice's end was the end of all, as where a library drops the others'.

        Raises:
            ApiError: 502; a choice has no end. What was held of it is not released.
        """
        if self.over:
            return [] if self.stopped is None else self.told_usage(self.usage)
        frames: list[Frame] = []
        for choice in self._writer.open_choices if one_for_all and self._finished else ():
            frames += [] if self.over else await self._event(Finish(choice, "stop"))
        if self.over:
            return frames
        self.over = True
        enough = len(self._finished) >= (self._n if cut else 1)
        if self._writer.open_choices or not enough:
            raise ApiError("the model's answer broke off", status=502, code="upstream_interrupted")
        return [*frames, *self.told_usage(self.usage)]

    def told_usage(self, usage: dict[str, Any] | None) -> list[Frame]:
        """The frame that tells the tokens, where they are known."""
        return [] if usage is None else self._writer.usage(usage)

    def last_words(self) -> list[Frame]:
        """What ends every open choice of an answer that was stopped."""
        decision = self.stopped
        if decision is None:
            return []
        message = decision.message(self._policy, self._prompt)
        quiet = decision.action == "replace" and not self._shown
        frames = self.taken_back()
        for choice in sorted({*self._writer.open_choices, *range(self._n)}):
            if quiet and not self._writer.is_closed(choice):
                frames += self._writer.text(choice, _CONTENT, message)
                frames += self._writer.finish(choice, "stop")
            else:
                frames += self._writer.block(choice, message)
        return frames

    def taken_back(self) -> list[Frame]:
        """What withdraws all that is shown, where an answer breaks off and its mode retracts."""
        return self._withdrawn() if self._mode == "retract" else []

    async def close(self, *, again: bool = False) -> Decision:
        """Record what was decided; `again` where another answer is asked for instead."""
        return await self._session.close(again=again)

    async def _event(self, event: StreamEvent) -> list[Frame]:
        if isinstance(event, TextDelta):
            return await self._said(event.choice, event.channel, event.text)
        if isinstance(event, Finish) and not self._writer.is_closed(event.choice):
            frames = await self._rest(event.choice)
            if self.over:
                return frames
            frames += self._sent(await self._session.finish(event.choice))
            self._finished.add(event.choice)
            return (
                frames if self.over else [*frames, *self._writer.finish(event.choice, event.reason)]
            )
        if isinstance(event, UpstreamError):  # its text is nobody's who was judged
            code = str(event.code or event.type or "upstream_error")
            raise ApiError("the model's server reports an error", status=502, code=code)
        return []

    async def _said(
        self, choice: int, channel: Channel, text: str, *, final: bool = False
    ) -> list[Frame]:
        if channel.is_whole:
            return self._sent(await self._session.feed(choice, channel, text, whole=True))
        escapes = self._escapes.setdefault((choice, channel), Unescaping())
        read = escapes.add(text, final=final)
        return self._sent(await self._session.feed(choice, channel, read)) if read else []

    async def _rest(self, choice: int) -> list[Frame]:
        """What a choice's texts end with: no escape will be over."""
        ending = [key for key, one in self._escapes.items() if key[0] == choice and one.waits]
        return [
            frame
            for key in ending
            if not self.over
            for frame in await self._said(*key, "", final=True)
        ]

    def _sent(self, step: Step) -> list[Frame]:
        frames = [frame for release in step.released for frame in self._text(release)]
        if step.stop is None:
            return frames
        self.over, self.stopped = True, step.stop
        if step.stop.failed:
            raise guard_unavailable()
        return frames

    def _text(self, release: Release) -> list[Frame]:
        channel = release.channel
        if not isinstance(channel, Channel):
            raise TypeError("the channels of an answer in OpenAI's form are its own")
        key = (release.choice, channel)
        self._shown[key] = self._shown.get(key, 0) + len(release.text)
        escapes = self._escapes.get(key)
        text = release.text if escapes is None else escapes.raw(len(release.text))
        return self._writer.text(release.choice, channel, text)

    def _withdrawn(self) -> list[Frame]:
        """Ask the client to take back all that it shows."""
        return [
            frame
            for choice, channel in self._shown
            if not self._writer.is_closed(choice)
            for frame in self._writer.retract(choice, 0, channel)
        ]


def joined(events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
    """The events, in which neighbouring deltas of one text are one."""
    for place, group in groupby(events, key=_place):
        if place is None:
            yield from group
            continue
        texts = [event.text for event in group if isinstance(event, TextDelta)]
        yield TextDelta(*place, "".join(texts))


def portions(events: Iterable[StreamEvent], size: int) -> Iterator[StreamEvent]:
    """The events, in which no delta has more characters than this."""
    for event in events:
        if not isinstance(event, TextDelta):
            yield event
            continue
        for start in range(0, len(event.text), size):
            yield TextDelta(event.choice, event.channel, event.text[start : start + size])


def _place(event: StreamEvent) -> tuple[int, Channel] | None:
    return (event.choice, event.channel) if isinstance(event, TextDelta) else None
