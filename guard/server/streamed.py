"""An answer that comes as a stream: what the guard releases goes on, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from guard.chat import asked_again, tries_of
from guard.decision import Decision
from guard.openai_api import (
    DONE_FRAME,
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
    serialised,
)
from guard.server.chunks import Chunks, chunks_of, joined
from guard.server.drain import shutting_down
from guard.server.event_stream import EventStream
from guard.server.question import Question, added, encoded, finish_of, said_instead
from guard.server.refused import check_status, failed_in_stream
from guard.server.state import State
from guard.server.upstream import broken_off, read_out
from guard.stream import Release, Step, StreamSession


class StreamedAnswer:
    """The answer to one question.

    Args:
        state: what all requests share.
        question: that passed its check.
        stream: what the caller reads.
    """

    def __init__(self, state: State, question: Question, stream: EventStream) -> None:
        self._state, self._guard = state, state.guard
        self._question, self._stream = question, stream
        self._writer = FrameWriter()
        self._waiting: list[Frame] = []  # judged, and not yet sent
        self._shown: set[tuple[int, Channel]] = set()
        self._finished: set[int] = set()
        self._usage: dict[str, Any] | None = None  # of this attempt
        self._total: dict[str, Any] | None = {}  # of those before it; None: unknown
        self._slow = self._guard.judges("output")

    async def give(self) -> None:
        """Send it.

        Raises:
            ApiError: the upstream refused, before anything was sent.
        """
        async with self._stream.kept_alive():
            try:
                await self._tell()
            except ApiError as error:
                await self._break_off(error)
            except asyncio.CancelledError:
                if self._question.exchange.gone or not self._state.drain.expired:
                    raise
                await self._break_off(shutting_down())
        await self._stream.end(DONE_FRAME)

    async def _tell(self) -> None:
        request, tries = self._question.request, 0
        again = await self._attempt(request.forward, tries)
        while again is not None:
            tries += 1
            forward = asked_again(request.forward, again, request.prompt)
            again = await self._attempt(forward, tries)
        usage = added(self._total, self._usage)
        if request.include_usage and usage is not None:
            self._waiting += self._writer.usage(usage)
        await self._send_waiting()

    async def _attempt(self, forward: dict[str, Any], tries: int) -> Decision | None:
        """Ask the upstream and pass its answer on.

        Returns:
            None when the caller has been told all; else why another answer is to be asked for.
        """
        asked, self._usage = self._question.asked, None
        body = serialised(forward)
        response = await self._state.upstream.complete(body, self._question.caller)
        try:
            await check_status(response, self._guard, asked.request_id)
            await self._stream.start()
            session, again = StreamSession(self._guard, asked), None
            unknown = self._guard.policy.unknown_keys
            chunks = chunks_of(response, self._state.limits, unknown)
            try:
                stop = await self._relayed(session, chunks)
                if stop is not None:
                    fresh = not self._shown and not self._finished
                    again = stop if fresh and tries < tries_of(stop) else None
                    await self._withheld(stop, chunks, again=again is not None)
            finally:
                await chunks.aclose()
                await session.close(again=again is not None)
            await read_out(response)
        finally:
            response.close()
        return again

    async def _relayed(self, session: StreamSession, chunks: Chunks) -> Decision | None:
        """Pass on what the guard releases, to the end or to where it says stop."""
        done = False
        async for batch in chunks:
            if batch is None:
                done = True
                break
            stop = await self._taken(session, batch)
            if stop is not None:
                return stop
            await self._send_waiting()
        enough = done or len(self._finished) >= len(self._question.choices)
        if self._writer.open_choices or not enough:
            raise broken_off()
        return None

    async def _taken(self, session: StreamSession, batch: Sequence[Chunk]) -> Decision | None:
        """Chunks that came together through the guard; gives why to stop."""
        for chunk in batch:
            self._writer.see(chunk)
            self._count(chunk)  # first, since a stop leaves the rest of the batch out
        for event in joined(event for chunk in batch for event in chunk.events):
            step = await self._step(session, event)
            for release in step.released:
                self._released(release)
            if step.stop is not None:
                return step.stop
            if isinstance(event, Finish):
                self._finished.add(event.choice)
                self._waiting += self._writer.finish(event.choice, event.reason)
        return None

    async def _step(self, session: StreamSession, event: StreamEvent) -> Step:
        """What follows from one event.

        Raises:
            ApiError: the upstream says that it failed.
        """
        if isinstance(event, TextDelta):
            if self._slow:
                await self._send_waiting()
            choice, channel = event.choice, event.channel
            return await session.feed(choice, channel, event.text, whole=channel.is_whole)
        if isinstance(event, Finish):
            return await session.finish(event.choice)
        if isinstance(event, UpstreamError):
            raise failed_in_stream(event)
        return Step()

    def _count(self, chunk: Chunk) -> None:
        """The tokens, where a chunk tells them."""
        for event in chunk.events:
            if isinstance(event, UsageEvent):
                self._usage = event.usage

    def _released(self, release: Release) -> None:
        if not isinstance(release.channel, Channel):
            raise TypeError("a stream's channels are the protocol's")
        self._shown.add((release.choice, release.channel))
        self._waiting += self._writer.text(release.choice, release.channel, release.text)

    async def _withheld(self, stop: Decision, chunks: Chunks, *, again: bool) -> None:
        """End every open choice with the policy's message, unless another answer is asked for.

        Raises:
            ApiError: 503; the text could not be checked.
        """
        request, exchange = self._question.request, self._question.exchange
        if stop.failed:
            raise guard_unavailable()
        if not again:
            exchange.decided(stop.withheld())
            message = stop.message(self._guard.policy, request.prompt)
            wanted = {*self._question.choices, *self._writer.open_choices}
            for choice in sorted(wanted - self._finished):
                self._waiting += self._retracted(choice)
                self._waiting += said_instead(self._writer, choice, message, finish_of(stop))
            await self._send_waiting()
        if request.include_usage and self._usage is None:
            await self._read_on(chunks)
        if again:
            self._total = added(self._total, self._usage)
            self._writer = FrameWriter()
            self._finished.clear()

    def _retracted(self, choice: int) -> list[Frame]:
        """What tells a client to take back what it shows of a choice."""
        if self._guard.policy.stream.mode != "retract":
            return []
        shown = sorted(channel for index, channel in self._shown if index == choice)
        return [frame for channel in shown for frame in self._writer.retract(choice, 0, channel)]

    async def _read_on(self, chunks: Chunks) -> None:
        """Read for a while what is not passed on, for the tokens that it ends with."""
        try:
            async with asyncio.timeout(self._state.limits.usage_s):
                async for batch in chunks:
                    for chunk in batch or ():
                        self._count(chunk)
        except (TimeoutError, ApiError):
            return

    async def _send_waiting(self) -> None:
        if self._waiting:
            frames, self._waiting = self._waiting, []
            await self._stream.write(encoded(frames))

    async def _break_off(self, error: ApiError) -> None:
        """Tell of an error: in the stream if it has begun, else as a response of its own."""
        if not self._stream.started:
            raise error
        self._waiting += self._writer.error(error)
        await self._send_waiting()
