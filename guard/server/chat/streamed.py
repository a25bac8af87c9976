"""An answer that comes as a stream: what the guard releases goes on, and nothing else does."""

from __future__ import annotations

import asyncio
from typing import Any

from guard.chat import asked_again, tries_of
from guard.decision import Decision
from guard.live import LiveAnswer
from guard.openai_api import (
    DONE_FRAME,
    ApiError,
    Frame,
    added_usage,
    encode_frames,
    ends_choice,
    serialised,
)
from guard.server.chat.question import Question
from guard.server.http.drain import shutting_down
from guard.server.http.event_stream import EventStream
from guard.server.state import State
from guard.server.upstream.chunks import Chunks, chunks_of
from guard.server.upstream.connection import read_out
from guard.server.upstream.errors import check_status


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
        self._total: dict[str, Any] | None = {}  # tokens of all attempts; None: unknown
        self._answer: LiveAnswer | None = None

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

    async def _attempt(self, forward: dict[str, Any], tries: int) -> Decision | None:
        """Ask the upstream and pass its answer on.

        Returns:
            None when the caller has been told all; else why another answer is to be asked for.
        """
        asked, again = self._question.asked, None
        body = serialised(forward)
        response = await self._state.upstream.complete(body, self._question.caller)
        try:
            await check_status(response, self._guard, asked.request_id)
            await self._stream.start()
            answer = LiveAnswer(self._guard, asked, self._question.request.n)
            self._answer = answer
            unknown = self._guard.policy.unknown_keys
            chunks = chunks_of(response, self._state.limits, unknown)
            try:
                await self._relay(answer, chunks, first=not tries)
                again = self._again(answer, tries)
                if again is None:
                    await self._end(answer)
                await self._count(answer, chunks)
            finally:
                await chunks.aclose()
                await answer.close(again=again is not None)
            if again is None and self._question.request.include_usage:
                await self._send(answer.told_usage(self._total))
            await read_out(response)
        finally:
            response.close()
        return again

    async def _relay(self, answer: LiveAnswer, chunks: Chunks, *, first: bool) -> None:
        """Pass on what the guard releases, to the end or to where it says stop.

        Some servers tell the tokens unasked, at the end of a choice: there they stay, unless they
        are not all, since this is not the first attempt.
        """
        said_done, unasked = False, first and not self._question.request.include_usage
        async for batch in chunks:
            said_done = batch is None
            frames = await answer.take_all(batch or (), self._send)
            if unasked and frames and answer.usage and ends_choice(frames[-1]):
                frames[-1] = {**frames[-1], "usage": answer.usage}
            await self._send(frames)
            if answer.over:
                return
        await answer.end(cut=not said_done)

    def _again(self, answer: LiveAnswer, tries: int) -> Decision | None:
        """Why another answer is to be asked for, if it is."""
        stop = answer.stopped
        if stop is None or not answer.may_be_asked_again or tries >= tries_of(stop):
            return None
        return stop

    async def _end(self, answer: LiveAnswer) -> None:
        """Say the policy's message in every open choice of an answer that was stopped."""
        if answer.stopped is not None:
            self._question.exchange.decided(answer.stopped.withheld())
            await self._send(answer.last_words())

    async def _count(self, answer: LiveAnswer, chunks: Chunks) -> None:
        """Add the attempt's tokens; a stopped one tells them at its end: it is read on to there."""
        if not self._question.request.include_usage:
            return
        try:
            async with asyncio.timeout(self._state.limits.usage_s):
                while answer.usage is None and (batch := await anext(chunks, None)) is not None:
                    for chunk in batch:
                        answer.count(chunk)
        except (TimeoutError, ApiError):
            pass
        self._total = added_usage(self._total, answer.usage)

    async def _send(self, frames: list[Frame]) -> None:
        if frames:
            await self._stream.write(encode_frames(frames))

    async def _break_off(self, error: ApiError) -> None:
        """Tell of an error: in the stream if it has begun, else as a response of its own."""
        if not self._stream.started:
            raise error
        back = [] if self._answer is None else self._answer.taken_back()
        await self._send([*back, error.body()])
