"""Streamed responses of plain text."""

from __future__ import annotations

import codecs
from typing import Final

from guard.asgi.question import Question
from guard.decision import Decision
from guard.engine import Guard
from guard.escapes import Unescaping
from guard.openai_api import ApiError, guard_unavailable, upstream_unreadable
from guard.stream import Step, StreamSession

MOST_OF_A_TEXT: Final = 10_000_000


class TextBody:
    """Plain text; a client that reads it can't be told to withdraw any, nor of an error."""

    def __init__(self, guard: Guard, question: Question) -> None:
        mode = guard.policy.stream.mode
        held = "window" if mode == "retract" else mode
        self._session = StreamSession(guard, question.asked, held)
        self._guard, self._question = guard, question
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = Unescaping()
        self._size = 0
        self.over = False

    async def take(self, data: bytes) -> bytes:
        self._size += len(data)
        text = self._text.add(self._decoded(data))
        if self._size > MOST_OF_A_TEXT:
            raise upstream_unreadable()
        return self._out(await self._session.feed(0, "body", text)) if text else b""

    async def end(self) -> bytes:
        text = self._text.add(self._decoded(b"", final=True), final=True)
        out = self._out(await self._session.feed(0, "body", text)) if text else b""
        return out if self.over else out + self._out(await self._session.finish(0))

    def broken(self, _: ApiError) -> bytes | None:
        return None

    async def close(self) -> None:
        await self._session.close()

    def _decoded(self, data: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise upstream_unreadable() from None

    def _out(self, step: Step) -> bytes:
        text = "".join(self._text.raw(len(release.text)) for release in step.released)
        return (text + self._message(step.stop)).encode()

    def _message(self, stop: Decision | None) -> str:
        if stop is None:
            return ""
        self.over = True
        if stop.failed:
            raise guard_unavailable()
        return stop.message(self._guard.policy, self._question.asked.prompt)
