"""What a guarded function is given in other ways than as a text, and another guard around it."""

from __future__ import annotations

import asyncio
import functools
import io
from pathlib import Path
from typing import Any

import pytest

from guard import wrap
from judge.errors import InputError
from tests.contracts.guard_marks import ADVERT, SORRY, marked

FLAGS = [{"evidence": "abuse", "side": "input", "action": "flag"}]


def fine(prompt: str, **_: Any) -> str:
    """Says nothing of what it was asked."""
    return "好"


def opened(folder: Path) -> Any:
    path = folder / "a.png"
    path.write_bytes(b"png")
    return path.open("rb")


class Upload:
    """A framework's upload: it is read later."""

    async def read(self) -> bytes:
        return b"png"

    async def seek(self, _: int) -> None:
        pass


class Turn:
    """A turn of a class that nobody knows."""

    content = ADVERT


def test_files_and_pictures_are_not_read() -> None:
    """So they count as the policy says, wherever they stand; what is written to is no file."""
    picture = type("Image", (), {"__module__": "PIL.Image"})()
    for unread in (io.BytesIO(b"png"), Upload(), picture, [picture], {"a": io.StringIO("x")}):
        assert wrap(fine, marked().guard)("问", about=unread) == SORRY
        assert wrap(fine, marked(unread="allow").guard)("问", about=unread) == "好"
    closed = io.BytesIO()
    closed.close()
    assert wrap(fine, marked().guard)("问", log=closed) == "好"


def test_an_open_file_is_not_read(tmp_path: Path) -> None:
    """Unless it is open for writing alone."""
    with opened(tmp_path) as file:
        assert wrap(fine, marked().guard)("问", file=file) == SORRY
    with (tmp_path / "log").open("w") as log:
        assert wrap(fine, marked().guard)("问", log=log) == "好"


@pytest.mark.parametrize("name", ["history", "chat_history", "message"])
def test_turns_of_an_unknown_class_are_not_read(name: str) -> None:
    """They are for the model, unlike a connection or a handler."""
    assert wrap(fine, marked().guard)("问", **{name: [Turn()]}) == SORRY
    assert wrap(fine, marked().guard)("问", handlers=[Turn()], tools=[fine]) == "好"


def test_a_key_that_a_partial_has_bound_is_no_text() -> None:
    """By its place as by its name: it would be judged, and recorded."""

    def talk(api_key: str, prompt: str) -> str:
        return "好"

    for bound in (functools.partial(talk, ADVERT), functools.partial(talk, api_key=ADVERT)):
        given = marked()
        assert wrap(bound, given.guard)(prompt="问") == "好"
        assert given.events.of("input")[0].characters == 1


def test_what_a_partial_has_bound_is_judged() -> None:
    """It reaches the model as an argument does; what is asked for may be bound too."""

    def chat(style: str, prompt: str, history: Any = ()) -> str:
        return "好"

    for bound in (
        functools.partial(chat, ADVERT),
        functools.partial(chat, "kind", history=[{"role": "user", "content": ADVERT}]),
    ):
        assert wrap(bound, marked().guard)(prompt="问") == SORRY
    assert wrap(functools.partial(chat, "kind"), marked().guard)(prompt="问") == "好"
    given = marked()
    assert wrap(functools.partial(fine, prompt=ADVERT), given.guard)() == SORRY
    assert len(given.events.all) == 1


def test_words_about_the_asker_are_judged() -> None:
    """Whatever a client of a library calls its settings, an application means texts by them."""
    for name in ("client", "organization", "timeout"):
        assert wrap(fine, marked().guard)("问", **{name: ADVERT}) == SORRY


async def test_two_guards_may_stand_around_one_function() -> None:
    """What the inner one says to a question is a text to the outer one too."""

    def chat(prompt):  # type: ignore[no-untyped-def]
        return prompt

    async def later(prompt):  # type: ignore[no-untyped-def]
        return prompt

    twice: Any = wrap(wrap(chat, marked().guard), marked(FLAGS).guard)
    assert (twice("好"), twice(ADVERT)) == ("好", SORRY)
    assert isinstance(twice(ADVERT), str)
    twice = wrap(wrap(later, marked().guard), marked(FLAGS).guard)
    assert (await twice("好"), await twice(ADVERT)) == ("好", SORRY)


def test_a_framework_s_request_beside_the_question_is_no_text() -> None:
    """An endpoint of FastAPI's takes one: it is a mapping of what is known of the connection."""
    from starlette.requests import Request

    headers = [(b"user-agent", b"curl")]
    request = Request({"type": "http", "path": "/chat", "raw_path": b"/chat", "headers": headers})

    async def chat(message: str, request: Request) -> str:
        return message

    guarded = wrap(chat, marked().guard)
    assert [asyncio.run(guarded(text, request)) for text in ("好", ADVERT)] == ["好", SORRY]
    with pytest.raises(InputError, match="the prompt is a Request, no text"):
        wrap(lambda request: "好", marked().guard)(request)
