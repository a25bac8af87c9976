"""Plain text that streams."""

from __future__ import annotations

import codecs
from typing import Final

from guard.app_streams.body import Sender, passed_on
from guard.app_streams.setting import Setting
from guard.decision import Decision
from guard.openai_api import ApiError, guard_unavailable, upstream_unreadable
from guard.stream import Step, StreamSession
from guard.texts.escapes import Unescaping
from guard.texts.framed import framed_beside

MOST_OF_A_TEXT: Final = 10_000_000


class TextBody:
    """Plain text; a client that reads it can't be told to withdraw any, nor of an error."""

    def __init__(self, setting: Setting) -> None:
        held = "window" if setting.mode == "retract" else setting.mode
        self._session = StreamSession(setting.guard, setting.asked, held)
        self._setting = setting
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = Unescaping()
        stream = setting.guard.policy.stream
        self._portion = stream.window - stream.overlap  # what a look may let go
        self._pieces: list[str] = []
        self._size = 0
        self.over = self.shown = False
        self.stopped: Decision | None = None

    async def take(self, data: bytes, send: Sender | None = None) -> bytes:
        self._size += len(data)
        text = self._text.add(self._decoded(data))
        self._pieces.append(text)
        if self._size > MOST_OF_A_TEXT:
            raise upstream_unreadable()
        out = b""
        for at in range(0, len(text), self._portion):
            piece = text[at : at + self._portion]
            out += await passed_on(self._out(await self._session.feed(0, "body", piece)), send)
            if self.over:
                break
        return out

    async def end(self) -> bytes:
        text = self._text.add(self._decoded(b"", final=True), final=True)
        self._pieces.append(text)
        out = self._out(await self._session.feed(0, "body", text)) if text else b""
        if not self.over and (said := await framed_beside("".join(self._pieces))):
            out += self._out(await self._session.aside(said))  # events or lines behind the first
        return out if self.over else out + self._out(await self._session.finish(0))

    def last_words(self) -> bytes:
        return b"" if self.stopped is None else self._setting.message(self.stopped).encode()

    def broken(self, _: ApiError) -> bytes | None:
        return None

    async def close(self, *, again: bool = False) -> Decision | None:
        return await self._session.close(again=again)

    def _decoded(self, data: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise upstream_unreadable() from None

    def _out(self, step: Step) -> bytes:
        text = "".join(self._text.raw(len(release.text)) for release in step.released)
        self.shown = self.shown or bool(text)
        self.over, self.stopped = step.stop is not None, step.stop
        if step.stop is not None and step.stop.failed:
            raise guard_unavailable()
        return text.encode()
