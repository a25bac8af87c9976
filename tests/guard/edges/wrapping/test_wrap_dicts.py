"""Answers that are dicts of a class of their own, whose keys are often read as attributes."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guard import Blocked, wrap
from judge.errors import InputError
from tests.contracts.guard_marks import ADVERT, BAD, SORRY, marked, story


class Keys(dict[str, Any]):
    """As of DashScope's library: what isn't there is a KeyError."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Own(dict[str, Any]):
    """As of EasyDict and many a recipe: an attribute for each key."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.__dict__ = self


class Turning(dict[str, Any]):
    """As of Box: it turns what it is made of, and has something for any name."""

    def __getattr__(self, name: str) -> Any:
        found = self.get(name)
        if isinstance(found, list):
            return [Turning(one) if isinstance(one, dict) else one for one in found]
        return Turning(found or {}) if isinstance(found, dict | None) else found


class Choice(Keys):
    """A class of a part of an answer alone."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given, place=given["index"])


class Response(Keys):
    """As of DashScope: it is made of something else than its keys."""

    def __init__(self, status: int, **more: Any) -> None:
        super().__init__(status=status, **more)


class Client(dict[str, Any]):
    """It is made of something else than its keys too, but is read by them alone."""

    def __init__(self, client: object, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.client = client


class Frozen(dict[str, Any]):
    """It turns its lists into tuples."""

    def __init__(self, given: dict[str, Any]) -> None:
        assert "prompt" not in given
        super().__init__({k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})


KINDS: list[Callable[..., Any]] = [Keys, Own, Turning]


def chunks(kind: Callable[..., Any], text: str) -> Iterator[Any]:
    for piece in [text[at : at + 4] for at in range(0, len(text), 4)] or [""]:
        yield kind(choices=[kind(index=0, delta=kind(content=piece), finish_reason=None)])
    yield kind(choices=[kind(index=0, delta=kind(), finish_reason="stop")])


def streaming(kind: Callable[..., Any]) -> Any:
    """A function that streams what it is asked to say."""

    def chat(prompt: str) -> Iterator[Any]:
        yield from chunks(kind, prompt)

    return wrap(chat, marked().guard)


def said(pieces: list[Any]) -> tuple[str, list[str]]:
    """What a reader that goes by attributes finds."""
    choices = [choice for piece in pieces for choice in piece.choices]
    texts = [one.delta.content for one in choices if "content" in one.delta]
    return "".join(texts), [one.finish_reason for one in choices if one.finish_reason]


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_stay_of_their_class(kind: Callable[..., Any]) -> None:
    """To the bottom: those that pass, and those that say the message."""
    chat, text = streaming(kind), story(200)
    good = list(chat(text))
    assert {type(one) for one in good} == {kind}
    assert said(good) == (text, ["stop"])
    words, ends = said(list(chat(text + BAD)))
    assert (words.endswith(SORRY), BAD in words, ends) == (True, False, ["content_filter"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_answer_stays_of_its_class(kind: Callable[..., Any]) -> None:
    """In OpenAI's form and in another; withheld, it has the message at the same place."""

    def asked(prompt: str) -> Any:
        message = kind(role="assistant", content=prompt)
        return kind(choices=[kind(index=0, finish_reason="stop", message=message)])

    chat: Any = wrap(asked, marked().guard)
    for text, shown in (("好", "好"), (BAD, SORRY)):
        answer = chat(text)
        assert (type(answer), answer.choices[0].message.content) == (kind, shown)
    chat = wrap(lambda prompt: kind(answer=prompt, of=kind(n=1)), marked().guard)
    assert [chat(text).answer for text in ("好", BAD)] == ["好", SORRY]
    assert chat(BAD).of.n == 1


def test_a_refused_question_is_answered_in_the_class_that_a_function_names() -> None:
    """By its annotation; nested objects too."""

    def chat(prompt: str) -> Own:
        raise AssertionError("it was asked")

    answer: Any = wrap(chat, marked().guard)(ADVERT)
    assert (type(answer), answer.choices[0].message.content) == (Own, SORRY)


def test_a_part_of_an_answer_stays_of_its_own_class() -> None:
    """Where it was of another than the whole; one that can't be made refuses the answer."""

    def asked(prompt: str) -> Keys:
        message = Own(role="assistant", content=prompt)
        return Keys(choices=[Own(index=0, finish_reason="stop", message=message)])

    answer = wrap(asked, marked().guard)(BAD)
    assert (type(answer), type(answer.choices[0])) == (Keys, Own)
    assert answer.choices[0].message.content == SORRY

    def other(prompt: str) -> Keys:
        message = {"role": "assistant", "content": prompt}
        return Keys(choices=[Choice({"index": 0, "finish_reason": "stop", "message": message})])

    with pytest.raises(InputError, match="no Choice can be made"):
        wrap(other, marked().guard)("好")


def test_a_class_that_is_made_otherwise_has_no_place_for_the_message() -> None:
    """What passes is the same object; what is withheld is `Blocked`, and no chunks are made."""
    chat: Any = wrap(lambda prompt: Response(200, output=Keys(text=prompt)), marked().guard)
    assert chat("好").output.text == "好"
    with pytest.raises(Blocked, match=SORRY):
        chat(BAD)
    with pytest.raises(InputError, match="no Response can be made"):
        list(streaming(lambda **said: Response(200, **said))("好"))

    def named(prompt: str) -> Response:
        raise AssertionError("it was asked")

    with pytest.raises(Blocked, match=SORRY):
        wrap(named, marked().guard)(ADVERT)


@pytest.mark.parametrize("kind", [dict, OrderedDict, lambda **said: defaultdict(list, said)])
def test_dicts_that_show_their_keys_alone_are_given_as_such(kind: Callable[..., Any]) -> None:
    """Python's own, which nobody reads by attributes."""
    pieces = list(streaming(kind)(BAD))
    assert pieces[0]["choices"][0]["delta"]["content"] == SORRY
    chat: Any = wrap(lambda prompt: kind(answer=prompt), marked().guard)
    assert chat(BAD) == {"answer": SORRY}


@pytest.mark.parametrize("kind", [lambda **said: Client("c", said), lambda **said: Frozen(said)])
def test_a_class_that_is_read_by_its_keys_comes_as_a_plain_dict(kind: Callable[..., Any]) -> None:
    """Where it can't be made: nobody misses an attribute."""
    good = list(streaming(kind)("好"))
    assert [one["choices"][0]["delta"].get("content", "") for one in good] == ["好", ""]

    def asked(prompt: str) -> Any:
        return kind(choices=[{"index": 0, "finish_reason": "stop", "message": {"content": prompt}}])

    for text, shown in (("好", "好"), (BAD, SORRY)):
        answer = wrap(asked, marked().guard)(text)
        assert answer["choices"][0]["message"]["content"] == shown
