"""Streamed answers of functions: pieces of text, or chunks in OpenAI's form."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

from guard.answers import look_at_texts
from guard.chat import tries_of
from guard.decision import Decision, Part
from guard.emptied import said_in
from guard.engine import Told
from guard.escapes import Unescaping, unescaped
from guard.framed import framed_beside, is_framed, objects_in
from guard.json_replies import REPLIES, Paths
from guard.live import LiveAnswer
from guard.objects import OPAQUE, plain
from guard.openai_api import ApiError, Channel, Frame, serialised
from guard.remade import like
from guard.stream import Step, StreamSession
from guard.wrapping.exchange import Exchange, broken
from guard.wrapping.older import as_chat, as_older, is_older
from judge.errors import InputError

Yields = Literal["deltas", "whole"]
CONTENT = Channel("content")
_DONE = "data: [DONE]\n\n"
_REPLIES = Paths.parse(["choices[*].delta.content", "choices[*].text", *REPLIES])


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

    async def close(self, *, again: bool = False) -> Decision:
        """Record what was decided."""


def live_for(sample: Any, exchange: Exchange, yields: Yields) -> Live:
    """What takes pieces like this first one.

    Raises:
        InputError: it is neither text nor a chunk.
    """
    if isinstance(sample, str):
        return LiveEvents(exchange) if is_framed(sample) else LiveText(exchange, yields)
    value = plain(sample)
    if isinstance(value, dict) and is_older(value):
        return LiveOlder(exchange, sample)
    if isinstance(value, dict) and ("choices" in value or "error" in value):
        return LiveChunks(exchange, sample)
    mend = "yield text, or chunks in OpenAI's form"
    raise InputError(f"a {type(sample).__name__} was yielded, which can't be read", mend=mend)


class LiveText:
    """Pieces of text; with `whole`, each piece is all of the text so far."""

    def __init__(self, exchange: Exchange, yields: Yields) -> None:
        mode = exchange.guard.policy.stream.mode
        # A client that gets text alone can't be told to withdraw any.
        held = "window" if mode == "retract" else mode
        self._session = StreamSession(exchange.guard, exchange.asked, held)
        self._exchange, self._whole = exchange, yields == "whole"
        self._text = Unescaping()
        self._got = self._sent = ""  # of whole texts
        self._shown = False
        self.stopped: Decision | None = None

    @property
    def may_be_asked_again(self) -> bool:
        return self.stopped is not None and not self._shown and tries_of(self.stopped) > 0

    async def take(self, item: Any) -> Out:
        if not isinstance(item, str):
            raise InputError(f"a {type(item).__name__} was yielded among texts")
        new = item
        if self._whole:
            if not item.startswith(self._got):
                raise InputError("a text was yielded that does not go on from the one before")
            new = item[len(self._got) :]
            self._got = item
        return await self._fed(self._text.add(new))

    async def end(self) -> Out:
        rest = await self._fed(self._text.add("", final=True))
        if rest.over:
            return rest
        out = self._out(await self._session.finish(0))
        return Out([*rest.items, *out.items], over=True)

    def last_words(self) -> list[Any]:
        if self.stopped is None:
            return []
        message = self.stopped.message(self._exchange.guard.policy, self._exchange.call.prompt)
        return [self._sent + message if self._whole else message]

    async def close(self, *, again: bool = False) -> Decision:
        return await self._session.close(again=again)

    async def _fed(self, text: str) -> Out:
        return self._out(await self._session.feed(0, CONTENT, text) if text else Step())

    def _out(self, step: Step) -> Out:
        self.stopped = step.stop
        text = "".join(self._text.raw(len(release.text)) for release in step.released)
        self._shown = self._shown or bool(text)
        if self._whole:
            self._sent += text
        items = [self._sent if self._whole else text] if text else []
        return Out(items, over=step.stop is not None)


class LiveEvents:
    """Texts that are events or lines of JSON, as for a browser: they wait until all has passed.

    Such a stream is guarded while it runs by `GuardMiddleware`.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._got = exchange, list[str]()
        self._decision: Decision | None = None

    @property
    def stopped(self) -> Decision | None:
        return self._decision if self._decision is not None and self._decision.stops else None

    @property
    def may_be_asked_again(self) -> bool:
        return self.stopped is not None and tries_of(self.stopped) > 0

    async def take(self, item: Any) -> Out:
        if not isinstance(item, str):
            raise InputError(f"a {type(item).__name__} was yielded among texts")
        self._got.append(item)
        return Out([])

    async def end(self) -> Out:
        exchange, parts = self._exchange, await self._parts()
        self._decision = await look_at_texts(exchange.guard, parts, exchange.asked)
        return Out([] if self._decision.stops else self._got, over=True)

    def last_words(self) -> list[Any]:
        if self.stopped is None:
            return []
        message = self.stopped.message(self._exchange.guard.policy, self._exchange.call.prompt)
        text = "".join(self._got)
        said = (said_in(one, _REPLIES, message) for one in objects_in(text))
        written = serialised(next(filter(None, said), {"reply": message})).decode()
        if "data:" not in text:
            return [f"{written}\n"]
        return [f"data: {written}\n\n", *[_DONE] * (_DONE in text)]

    async def close(self, *, again: bool = False) -> Decision:
        exchange, parts = self._exchange, await self._parts()
        decision = self._decision or await look_at_texts(exchange.guard, parts, exchange.asked)
        done = decision if again else decision.withheld()
        await exchange.guard.record(done, parts, exchange.asked, Told(streamed=True))
        return done

    async def _parts(self) -> list[Part]:
        text = "".join(self._got)
        return [Part("body", unescaped(text)), *await framed_beside(text)]  # however it was cut


class LiveChunks:
    """Chunks in OpenAI's form, as dicts or objects; what goes out is of the kind that came."""

    def __init__(self, exchange: Exchange, sample: Any) -> None:
        self._answer = LiveAnswer(exchange.guard, exchange.asked, exchange.n)
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

    async def close(self, *, again: bool = False) -> Decision:
        return await self._answer.close(again=again)

    def _made(self, frames: list[Frame]) -> list[Any]:
        return [like(self._sample, frame) for frame in frames]


class LiveOlder(LiveChunks):
    """The same of completions in OpenAI's older form."""

    async def take(self, item: Any) -> Out:
        value = plain(item)
        return await super().take(as_chat(value) if isinstance(value, dict) else item)

    def _made(self, frames: list[Frame]) -> list[Any]:
        return super()._made([as_older(frame) for frame in frames])
