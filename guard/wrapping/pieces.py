"""Streamed answers of functions: pieces of text, or chunks in OpenAI's form."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Literal, NamedTuple, Protocol

from guard.app_streams import Form, PlainBody, Setting, mark_of, stays
from guard.chat import tries_of
from guard.decision import Decision
from guard.live import LiveAnswer
from guard.openai_api import ApiError, Channel, Frame
from guard.stream import Step, StreamSession
from guard.texts.escapes import Unescaping
from guard.texts.objects import OPAQUE, plain
from guard.texts.remade import like
from guard.wrapping.exchange import Exchange, broken
from guard.wrapping.older import as_chat, as_older, is_older
from judge.errors import InputError

Yields = Literal["deltas", "whole"]
CONTENT = Channel("content")
MOST_TEXTS: Final = 256  # of one answer
_FORM = Form()


class Out(NamedTuple):
    """What goes out, and whether the answer is over."""

    items: list[Any]
    over: bool = False


class Live(Protocol):
    """An answer as it comes."""

    @property
    def stopped(self) -> Decision | None:
        """Why it was stopped."""

    @property
    def may_be_asked_again(self) -> bool:
        """Whether the policy asks for another answer, and nothing of this one has gone out."""

    async def take(self, item: Any) -> Out:
        """One more piece; raises `AnswerBroken` or `InputError` where it can't be read."""

    async def end(self) -> Out:
        """No more pieces come; raises `AnswerBroken` where the answer has no end."""

    def last_words(self) -> list[Any]:
        """What ends an answer that was stopped."""

    async def close(self, *, again: bool = False) -> None:
        """Record what was decided."""


def live_for(sample: Any, exchange: Exchange, yields: Yields) -> Live:
    """What takes pieces like this first one.

    Raises:
        InputError: it is neither text nor a chunk.
    """
    if isinstance(sample, str):
        return live_text(exchange, yields)
    value = plain(sample)
    if isinstance(value, dict) and is_older(value):
        return LiveOlder(exchange, sample, None)  # `n` counts the answers to one prompt of several
    if isinstance(value, dict) and ("choices" in value or "error" in value):
        return LiveChunks(exchange, sample, exchange.n)
    mend = "yield text, or chunks in OpenAI's form"
    raise InputError(f"a {type(sample).__name__} was yielded, which can't be read", mend=mend)


def live_text(exchange: Exchange, yields: Yields) -> Live:
    """What takes pieces of text."""
    return LiveStrings(exchange) if yields == "deltas" else LiveWhole(exchange)


class LiveStrings:
    """Pieces of text, which may be events or lines of JSON: `GuardMiddleware` reads them so too."""

    def __init__(self, exchange: Exchange) -> None:
        guard = exchange.guard
        self._body = PlainBody(Setting(guard, exchange.asked, _FORM, exchange.n))
        self._decoder = codecs.getincrementaldecoder("utf-16-le")("replace")
        # What goes out before any text does would be there again before another answer.
        self._waits = any(one.rule.action == "regenerate" for one in guard.rules)
        self._waiting = bytearray()
        self._lengths: deque[int] = deque()  # of the pieces that came, in bytes

    @property
    def stopped(self) -> Decision | None:
        return self._body.stopped

    @property
    def may_be_asked_again(self) -> bool:
        return self.stopped is not None and not self._body.shown and tries_of(self.stopped) > 0

    async def take(self, item: Any) -> Out:
        if not isinstance(item, str):
            raise InputError(f"a {type(item).__name__} was yielded among texts")
        return await self._passed(self._body.take, self._whole_characters(item))

    async def end(self) -> Out:
        rest = self._whole_characters("", final=True)
        out = await self._passed(self._body.take, rest) if rest else Out([])
        if out.over:
            return out
        last = await self._passed(lambda _: self._body.end(), b"")
        rest_of_it = self._all() if self.stopped is None else []
        return Out([*out.items, *last.items, *rest_of_it], over=True)

    def last_words(self) -> list[Any]:
        words = self._body.last_words().decode()
        return [*self._all(), *([words] * bool(words) if self._body.is_text else _frames(words))]

    async def close(self, *, again: bool = False) -> None:
        await self._body.close(again=again)

    def _whole_characters(self, text: str, *, final: bool = False) -> bytes:
        """A text in UTF-8; halves of a character that come one by one are put together."""
        data = text.encode("utf-16-le", "surrogatepass")
        piece = self._decoder.decode(data, final).encode()
        self._lengths.append(len(piece))
        return piece

    async def _passed(self, read: Callable[[bytes], Awaitable[bytes]], data: bytes) -> Out:
        try:
            self._waiting += await read(data)
        except ApiError as error:
            if self.stopped is None:
                raise broken(error) from None
            return Out([], over=True)
        holds = self._waits and not self._body.shown
        return Out([] if holds else self._cut(), over=self._body.over)

    def _cut(self) -> list[Any]:
        """What goes out: of a text all of it, of lines each piece as it came."""
        if self._body.is_text:
            self._lengths.clear()
            return self._all()
        pieces = []
        while self._lengths and len(self._waiting) >= self._lengths[0]:
            pieces.append(self._taken(self._lengths.popleft()))
        return [piece for piece in pieces if piece]

    def _all(self) -> list[Any]:
        piece = self._taken(len(self._waiting))
        return [piece] if piece else []

    def _taken(self, length: int) -> str:
        piece = self._waiting[:length].decode()
        del self._waiting[:length]
        return piece


def _frames(words: str) -> list[str]:
    """Each event or line by itself, for those who take a piece for one."""
    if "\n\n" in words:
        return [one for one in re.split(r"(?<=\n\n)", words) if one]
    return words.splitlines(keepends=True)


class LiveWhole:
    """Pieces of which each is all of the text so far; one that begins otherwise is another text."""

    def __init__(self, exchange: Exchange) -> None:
        mode = exchange.guard.policy.stream.mode
        # A client that gets text alone can't be told to withdraw any.
        held = "window" if mode == "retract" else mode
        self._session = StreamSession(exchange.guard, exchange.asked, held)
        self._exchange = exchange
        self._number, self._text = 0, Unescaping()
        self._got = self._sent = self._last = self._mark = ""
        self._shown = False
        self.stopped: Decision | None = None

    @property
    def may_be_asked_again(self) -> bool:
        return self.stopped is not None and not self._shown and tries_of(self.stopped) > 0

    async def take(self, item: Any) -> Out:
        if not isinstance(item, str):
            raise InputError(f"a {type(item).__name__} was yielded among texts")
        if not item.startswith(self._got):
            if self._number == MOST_TEXTS:
                mend = 'leave out yields="whole" where each piece is what is new'
                raise InputError("too many texts that do not go on", file="wrap", mend=mend)
            self._number, self._text = self._number + 1, Unescaping()
            self._got = self._sent = ""
            self._mark = mark_of(self._last, item) or self._mark
        self._last = item
        return await self._fed(item[: stays(item, self._mark)])

    async def end(self) -> Out:
        rest = await self._fed(self._last, final=True)
        if rest.over:
            return rest
        out = self._out(await self._session.finish(0))
        return Out([*rest.items, *out.items], over=True)

    def last_words(self) -> list[Any]:
        if self.stopped is None:
            return []
        policy, prompt = self._exchange.guard.policy, self._exchange.call.prompt
        return [self._sent + self.stopped.message(policy, prompt)]

    async def close(self, *, again: bool = False) -> None:
        await self._session.close(again=again)

    @property
    def _channel(self) -> Hashable:
        return CONTENT if not self._number else f"text{self._number}"

    async def _fed(self, text: str, *, final: bool = False) -> Out:
        """What goes out once the text has come so far; a cursor behind it is none of it."""
        new, self._got = text[len(self._got) :], max(self._got, text, key=len)
        read = self._text.add(new, final=final)
        return self._out(await self._session.feed(0, self._channel, read) if read else Step())

    def _out(self, step: Step) -> Out:
        self.stopped = step.stop
        mine = [one.text for one in step.released if one.channel == self._channel]
        text = "".join(self._text.raw(len(one)) for one in mine)
        self._sent += text
        self._shown = self._shown or bool(text)
        return Out([self._sent] if text else [], over=step.stop is not None)


class LiveChunks:
    """Chunks in OpenAI's form, as dicts or objects; what goes out is of the kind that came."""

    def __init__(self, exchange: Exchange, sample: Any, n: int | None) -> None:
        self._answer = LiveAnswer(exchange.guard, exchange.asked, n)
        self._sample = sample

    @property
    def stopped(self) -> Decision | None:
        return self._answer.stopped

    @property
    def may_be_asked_again(self) -> bool:
        return self._answer.may_be_asked_again

    async def take(self, item: Any) -> Out:
        value = plain(item)
        if value is OPAQUE or not isinstance(value, dict):
            raise InputError(f"a {type(item).__name__} was yielded among chunks")
        try:
            frames = await self._answer.take(value)
        except ApiError as error:
            if self._answer.stopped is None:
                raise broken(error) from None
            return Out([], over=True)
        return Out(self._made(frames), self._answer.over)

    async def end(self) -> Out:
        try:
            return Out(self._made(await self._answer.end()), over=True)
        except ApiError as error:
            raise broken(error) from None

    def last_words(self) -> list[Any]:
        return self._made(self._answer.last_words())

    async def close(self, *, again: bool = False) -> None:
        await self._answer.close(again=again)

    def _made(self, frames: list[Frame]) -> list[Any]:
        return [like(self._sample, frame) for frame in frames]


class LiveOlder(LiveChunks):
    """The same of completions in OpenAI's older form."""

    async def take(self, item: Any) -> Out:
        value = plain(item)
        return await super().take(as_chat(value) if isinstance(value, dict) else item)

    def _made(self, frames: list[Frame]) -> list[Any]:
        return super()._made([as_older(frame) for frame in frames])
