"""Chat functions whose kind can't be seen from outside: they are guarded by what they give."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from guard import GuardUnavailable, wrap
from judge.errors import InputError
from tests.contracts.guard_marks import ADVERT, BAD, BROKEN, SORRY, marked, story

TEXT = story(200)


def words(prompt: str) -> Iterator[str]:
    """Says it in pieces."""
    yield from (prompt[at : at + 3] for at in range(0, len(prompt), 3))


async def later(prompt: str) -> str:
    """Says it, later."""
    return prompt


async def words_in_time(prompt: str) -> AsyncIterator[str]:
    """Says it in pieces, each in its time."""
    for word in words(prompt):
        yield word


async def given_a_style(style: str, prompt: str) -> AsyncIterator[str]:
    """The same behind another argument."""
    async for word in words_in_time(prompt):
        yield word


def unannotated(prompt):  # type: ignore[no-untyped-def]
    """Gives a stream, and does not say so."""
    return words_in_time(prompt)


def annotated(prompt: str) -> AsyncIterator[str]:
    """Gives a stream, and says so."""
    return words_in_time(prompt)


def awaited_first(prompt):  # type: ignore[no-untyped-def]
    """Gives what is awaited for a stream."""
    return later_words(prompt)


async def later_words(prompt: str) -> AsyncIterator[str]:
    """Is awaited for a stream."""
    return words_in_time(prompt)


class Pieces:
    """A stream that is no iterator itself."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __aiter__(self) -> AsyncIterator[str]:
        return words_in_time(self._text)


def of_a_class(prompt: str) -> AsyncIterable[str]:
    """Gives such a stream."""
    return Pieces(prompt)


class Bot:
    """A chatbot with a method of each kind."""

    def method(self, prompt: str) -> AsyncIterator[str]:
        return words_in_time(prompt)

    async def own(self, prompt: str) -> AsyncIterator[str]:
        async for word in words_in_time(prompt):
            yield word

    @classmethod
    async def of_class(cls, prompt: str) -> AsyncIterator[str]:
        async for word in words_in_time(prompt):
            yield word

    @staticmethod
    async def static(prompt: str) -> AsyncIterator[str]:
        async for word in words_in_time(prompt):
            yield word


class Streaming:
    """An object that is called for a stream."""

    async def __call__(self, prompt: str) -> AsyncIterator[str]:
        async for word in words_in_time(prompt):
            yield word


class Answering:
    """An object that is called, and awaited for text."""

    async def __call__(self, prompt: str) -> str:
        return prompt


def in_a_thread(chat: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function asynchronous."""

    @functools.wraps(chat)
    async def run(*args: Any) -> Any:
        return await asyncio.to_thread(chat, *args)

    return run


def passed_on(chat: Callable[..., Any]) -> Callable[..., Any]:
    """Changes nothing, and is no function of the kind that it stands for."""

    @functools.wraps(chat)
    def run(*args: Any) -> Any:
        return chat(*args)

    return run


def put_together(chat: Callable[..., Iterator[str]]) -> Callable[..., str]:
    """Makes one text of its pieces."""

    @functools.wraps(chat)
    def run(*args: Any) -> str:
        return "".join(chat(*args))

    return run


def echo(prompt: str) -> str:
    """Says it at once."""
    return prompt


STREAMS: dict[str, Callable[..., Any]] = {
    "partial": functools.partial(given_a_style, "kind"),
    "partial of a partial": functools.partial(functools.partial(given_a_style), "kind"),
    "unannotated": unannotated,
    "annotated": annotated,
    "awaited first": awaited_first,
    "a coroutine function": later_words,
    "no iterator": of_a_class,
    "a method": Bot().method,
    "a method of its own": Bot().own,
    "a class's method": Bot.of_class,
    "a static method": Bot.static,
    "an object": Streaming(),
    "a partial of an object": functools.partial(Streaming()),
    "behind a decorator": passed_on(words_in_time),
}
TEXTS: dict[str, Callable[..., Any]] = {
    "partial": functools.partial(later),
    "a lambda": lambda prompt: later(prompt=prompt),
    "an object": Answering(),
    "a partial of an object": functools.partial(Answering()),
    "behind a decorator": passed_on(later),
    "made asynchronous": in_a_thread(echo),
}


async def read(given: Any) -> str:
    """All that a function's answer says, awaited first where it must be."""
    given = await given if inspect.isawaitable(given) and not isinstance(given, str) else given
    return "".join([piece async for piece in given])


@pytest.mark.parametrize("kind", STREAMS)
async def test_a_stream_is_guarded_however_it_is_made(kind: str) -> None:
    """Good answers whole, bad ones cut, bad questions answered in the same way as any."""
    chat: Callable[[str], Any] = wrap(STREAMS[kind], marked().guard)
    assert await read(chat(TEXT)) == TEXT
    said = await read(chat(TEXT + BAD + TEXT))
    assert said.endswith(SORRY)
    assert BAD not in said
    assert await read(chat(ADVERT)) == SORRY
    with pytest.raises(GuardUnavailable):
        await read(chat(BROKEN))


@pytest.mark.parametrize("kind", TEXTS)
async def test_a_text_is_guarded_however_it_is_awaited(kind: str) -> None:
    """The same for whole answers."""
    chat: Callable[[str], Awaitable[str]] = wrap(TEXTS[kind], marked().guard)
    assert [await chat(text) for text in ("好", BAD, ADVERT)] == ["好", SORRY, SORRY]


def test_an_annotation_may_be_a_remark() -> None:
    """Then nothing is known of the answer."""

    def chat(prompt: str) -> Any:
        return prompt

    for remark in ("what the model says", ["text"]):
        chat.__annotations__["return"] = remark
        assert [wrap(chat, marked().guard)(text) for text in ("好", ADVERT)] == ["好", SORRY]


async def test_a_stream_of_an_unknown_kind_can_be_left_early() -> None:
    """As an asynchronous generator can: the model's side is told."""
    closed: list[str] = []

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield TEXT
        finally:
            closed.append("closed")

    def chat(prompt):  # type: ignore[no-untyped-def]
        return endless()

    guarded: Any = wrap(chat, marked().guard)
    stream = guarded("你好")
    assert await anext(stream)
    await stream.aclose()
    assert closed == ["closed"]


def test_a_function_that_says_it_gives_text_gives_nothing_else() -> None:
    """Its refusals too are plain strings."""

    def chat(prompt: str) -> str:
        return prompt

    assert type(wrap(chat, marked().guard)(ADVERT)) is str


def test_pieces_that_a_decorator_puts_together_are_one_text() -> None:
    """Its kind is the decorator's; a decorator that changes nothing gives the pieces."""
    whole = wrap(put_together(words), marked().guard)
    assert [whole(text) for text in (TEXT, BAD, ADVERT)] == [TEXT, SORRY, SORRY]
    pieces = wrap(passed_on(words), marked().guard)
    assert ["".join(pieces(text)) for text in (TEXT, ADVERT)] == [TEXT, SORRY]


def test_an_object_keeps_the_signature_of_a_call() -> None:
    """Without `self`, which frameworks would take for a parameter."""
    bot = Answering()
    guarded: Any = wrap(bot, marked().guard)
    assert inspect.signature(guarded) == inspect.signature(bot)
    assert guarded.__name__ == "Answering"


def test_a_partial_keeps_its_signature() -> None:
    """Frameworks call it by that."""
    partial = functools.partial(given_a_style, "kind")
    assert inspect.signature(wrap(partial, marked().guard)) == inspect.signature(partial)


@pytest.mark.parametrize("wrong", [{"on_block": "explode"}, {"yields": "x"}, {"on_block": None}])
def test_a_setting_that_is_none_is_refused_at_once(wrong: dict[str, Any]) -> None:
    """Before the policy is read, with what could be written."""
    known = "answer.*raise" if "on_block" in wrong else "deltas.*whole"
    with pytest.raises(InputError, match=rf"is not known \(write .*{known}"):
        wrap(words, "no such policy.yaml", **wrong)
