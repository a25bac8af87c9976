"""Completions in OpenAI's older form, as base models and llama.cpp's own library stream them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from guard import AnswerBroken, wrap
from tests.contracts.guard_marks import ADVERT, BAD, SORRY, marked, story


def piece(text: str, end: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": end}
    return {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}


def chat(prompt: str, n: int = 1) -> Iterator[dict[str, Any]]:
    """Says it in pieces."""
    for index in range(n):
        yield from (piece(prompt[at : at + 5], None, index) for at in range(0, len(prompt), 5))
    yield from (piece("", "stop", index) for index in range(n))


def said(chunks: Any, index: int = 0) -> tuple[str, list[str]]:
    choices = [one["choices"][0] for one in chunks]
    mine = [one for one in choices if one["index"] == index]
    ends = [one["finish_reason"] for one in mine if one["finish_reason"]]
    return "".join(one["text"] for one in mine), ends


def test_a_stream_of_the_older_form_passes_and_is_judged() -> None:
    """In the form in which it came, with the end that it has."""
    guarded = wrap(chat, marked().guard)
    chunks = list(guarded(story(200)))
    assert said(chunks) == (story(200), ["stop"])
    assert {one["object"] for one in chunks} == {"text_completion"}
    text, ends = said(guarded(story(200) + BAD + story(200)))
    assert text.endswith(SORRY)
    assert BAD[:2] not in text
    assert ends == ["content_filter"]
    two = list(guarded(story(50), n=2))
    assert [said(two, index) for index in (0, 1)] == [(story(50), ["stop"])] * 2


def test_an_answer_of_the_older_form_that_breaks_off_is_an_error() -> None:
    """As one of the newer form is."""

    def broken(prompt: str) -> Iterator[dict[str, Any]]:
        yield piece(prompt)

    with pytest.raises(AnswerBroken):
        list(wrap(broken, marked().guard)("好"))


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_of_the_older_form_too(stream: bool) -> None:
    """Where the class of a function's answers says so."""
    from openai.types import Completion

    def complete(prompt: str, stream: bool = False) -> Any:
        raise AssertionError("it was asked")

    complete.__annotations__["return"] = Completion
    answer: Any = wrap(complete, marked().guard)(ADVERT, stream=stream)
    parts = list(answer) if stream else [answer]
    assert all(isinstance(one, Completion) for one in parts)
    assert "".join(one.choices[0].text for one in parts) == SORRY
    assert parts[-1].choices[0].finish_reason == "content_filter"


def test_no_key_of_the_older_form_is_unknown() -> None:
    """A policy that refuses those takes it, and nothing counts as left out."""
    given = marked(unknown_keys="block")
    assert said(list(wrap(chat, given.guard)(story(200)))) == (story(200), ["stop"])
    assert [one.dropped for one in given.events.of("output")] == [0]


def test_the_first_piece_may_have_no_choices() -> None:
    """So some providers begin, with what their filters say of the prompt."""

    def begun(prompt: str) -> Iterator[dict[str, Any]]:
        yield {**piece(""), "choices": []}
        yield from chat(prompt)

    chunks = [one for one in wrap(begun, marked().guard)(story(200)) if one["choices"]]
    assert said(chunks) == (story(200), ["stop"])
