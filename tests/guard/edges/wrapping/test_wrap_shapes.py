"""Questions and answers in shapes of an application's own, around a guarded function."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, HttpUrl

from guard import AnswerBroken, Blocked, wrap
from judge.errors import InputError
from tests.contracts.guard_marks import ADVERT, BAD, SORRY, marked, story

AGAIN = {"dimension": "Legality", "side": "output", "cut": 0.5, "action": "regenerate", "tries": 1}


class Turn(BaseModel):
    role: str
    content: str


class Question(BaseModel):
    message: str
    history: list[Turn] = []
    note: str = Field("", exclude=True)
    picture: bytes = b""


class Body(BaseModel):
    messages: list[Turn]


class Said:
    """A turn of a class that nobody knows."""

    def __init__(self, content: str) -> None:
        self.role, self.content = "user", content


class Role(enum.Enum):
    USER = "user"


def fine(prompt: Any, **_: Any) -> str:
    """Says nothing of what it was asked."""
    return "好"


def turn(content: object, **more: object) -> list[Any]:
    return [{"role": "user", "content": content, **more}]


@pytest.mark.parametrize(
    ("asked", "prompt", "turns"),
    [
        ({"message": "问", "lang": "zh"}, "问", 0),
        (Question(message="问"), "问", 0),
        (Question(message="问", history=[Turn(role="user", content="早")]), "问", 1),
        ({"messages": turn("问"), "temperature": 0.5}, "问", 0),
        (Body(messages=[Turn(role="user", content="问")]), "问", 0),
    ],
)
def test_a_question_may_stand_in_json_or_an_object(asked: Any, prompt: str, turns: int) -> None:
    """As a web framework hands it over: the judge hears what is asked, and with what before it."""
    given, heard = marked(), list[Any]()
    judged = given.guard.judge.assess

    async def hearing(cases: Any) -> Any:
        heard.extend(case.record for case in cases)
        return await judged(cases)

    given.guard.judge.assess = hearing  # type: ignore[method-assign]
    assert wrap(fine, given.guard)(asked) == "好"
    assert {(one.prompt, len(one.history)) for one in heard} == {(prompt, turns)}


@pytest.mark.parametrize(
    "asked",
    [
        {"message": ADVERT},
        {"message": "问", "style": ADVERT},
        {"messages": turn(ADVERT)},
        {"messages": turn("问"), "documents": [ADVERT]},
        {"messages": turn("问"), "hint": ADVERT},
        turn("问", note=ADVERT),
        turn([{"type": "text", "text": "问", "note": ADVERT}]),
        turn([{"type": "aside", "said": ADVERT}]),
        Question(message="问", history=[Turn(role="user", content=ADVERT)]),
        Body(messages=[Turn(role="user", content=ADVERT)]),
        [{"role": Role.USER, "content": ADVERT}],
        {"message": "问", "file": Path(ADVERT)},
        Question(message="问", note=ADVERT),
    ],
)
def test_every_string_of_such_a_question_is_judged(asked: Any) -> None:
    """The prompt, and whatever stands beside it."""
    assert wrap(fine, marked().guard)(asked) == SORRY


@pytest.mark.parametrize(
    "asked",
    [
        [Said(ADVERT)],
        turn(part for part in [{"type": "text", "text": ADVERT}]),
        turn("看", images=[b"png"]),
        turn("看", images=["iVBORw0KGgo="]),
        turn([{"type": "text", "text": "看"}, {"type": "video", "url": "https://example.org/a"}]),
        turn([{"type": "image", "source": {"type": "base64", "data": "iVBO"}}]),
        {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "iVBO"}}]}]},
    ],
)
def test_what_can_t_be_read_in_a_question_counts_as_the_policy_says(asked: Any) -> None:
    """Objects of unknown classes, pictures and films, however they are written down."""
    given = marked()
    assert wrap(fine, given.guard)(asked) == SORRY
    assert [(one.status, one.missed[0].kind) for one in given.events.all] == [("blocked", "unread")]
    open_ = marked(unread="allow")
    assert wrap(fine, open_.guard)(asked) == "好"
    assert open_.events.of("input")[0].status == "failed_open"


def test_pictures_in_a_list_are_pictures() -> None:
    """Not only one that is an argument by itself."""
    assert wrap(fine, marked().guard)("问", pictures=[b"png"]) == SORRY
    assert wrap(fine, marked().guard)("问", pictures=[]) == "好"
    for beside in ({b"png"}, Question(message="看", picture=b"png")):
        assert wrap(fine, marked().guard)("问", about=beside) == SORRY
    for beside in (Question(message="看"), Question(message="看", note="好")):
        assert wrap(fine, marked().guard)("问", about=beside) == "好"
    assert wrap(fine, marked().guard)("问", about=Question(message="看", note=ADVERT)) == SORRY


@pytest.mark.parametrize(
    "text",
    [
        {"type": "file", "file": {"file_data": "data:text/plain;base64,5aW9", "filename": "a.txt"}},
        {"type": "document", "source": {"type": "text", "data": "好"}},
        {"type": "document", "title": "一份文件"},
    ],
)
def test_a_file_that_is_given_as_text_is_read(text: Any) -> None:
    """It is no picture."""
    assert wrap(fine, marked().guard)(turn([{"type": "text", "text": "看"}, text])) == "好"


@pytest.mark.parametrize(
    ("asked", "texts"),
    [
        ({"message": BAD, "lang": "zh"}, lambda got: got["message"]),
        (Question(message=BAD), lambda got: got.message),
        ({"messages": turn(BAD)}, lambda got: got["messages"][0]["content"]),
        (Body(messages=[Turn(role="user", content=BAD)]), lambda got: got.messages[0].content),
    ],
)
def test_the_model_hears_the_hint_where_its_prompt_stands(
    asked: Any, texts: Callable[[Any], str]
) -> None:
    """In the same shape as before, and the caller's own object is left alone."""
    got: list[Any] = []

    def chat(body: Any) -> str:
        got.append(body)
        return BAD if len(got) == 1 else "好"

    assert wrap(chat, marked([AGAIN]).guard)(asked) == "好"
    assert got[0] is asked
    assert type(got[1]) is type(asked)
    assert "安全检查" in texts(got[1])
    assert "安全检查" not in str(asked)


@dataclass
class Line:
    role: str
    content: str


@pytest.mark.parametrize(
    ("asked", "hinted"),
    [
        ([Turn(role="user", content="问")], True),
        ((Line("user", "问"),), True),
        ([Turn(role="system", content="帮"), Turn(role="user", content="问")], True),
        (["问"], False),
        ([("user", "问")], False),
        ([Said("问")], False),
    ],
)
def test_turns_are_asked_again_as_they_were(asked: Any, hinted: bool) -> None:
    """Of the class that the function knows; with the hint where that has a place for it."""
    got: list[Any] = []

    def chat(messages: Any) -> str:
        got.append(messages)
        return "好" if len(got) > 1 else BAD

    policy = {"unread": "allow"}
    assert wrap(chat, marked([AGAIN], **policy).guard)(asked) == "好"
    assert {type(turn) for turn in got[1]} == {type(turn) for turn in asked}
    assert got[1][-1] is asked[-1]
    assert any("安全检查" in getattr(turn, "content", "") for turn in got[1]) is hinted


@dataclass
class Made:
    seed: InitVar[str]

    def __post_init__(self, seed: str) -> None:
        self.text = seed


def test_what_an_object_sets_beside_its_fields_is_judged() -> None:
    """Who reads the object reads that too."""
    good = Made("好")
    assert wrap(lambda _: good, marked().guard)("问") is good
    with pytest.raises(Blocked):
        wrap(lambda _: Made(BAD), marked().guard)("问")


class Reply(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    text: str = "好"
    thought: str = Field("", exclude=True)
    sound: bytes = b""
    source: HttpUrl | None = None
    more: Any = None


@pytest.mark.parametrize(
    "bad",
    [
        {"thought": BAD},
        {"more": {"a": [Reply(thought=BAD)]}},
    ],
)
def test_every_string_of_an_object_is_judged(bad: Any) -> None:
    """Also what it doesn't write out, and addresses."""

    def chat(prompt: str) -> Reply:
        return Reply(**bad)

    with pytest.raises(Blocked):
        wrap(chat, marked().guard)("问")


@pytest.mark.parametrize(
    "unknown", [{"sound": BAD.encode()}, {"more": Said(BAD)}, {"more": [b"x"]}]
)
def test_an_object_that_holds_what_can_t_be_read_is_no_answer(unknown: Any) -> None:
    """As such a dict is none."""
    with pytest.raises(InputError, match="can't be read"):
        wrap(lambda prompt: Reply(**unknown), marked().guard)("问")


def test_a_good_object_is_given_as_it_is() -> None:
    """The same one; its addresses are read too."""
    given, address = marked(), "https://example.org/a"
    reply = Reply(thought="想", source=HttpUrl(address), more={"n": 1.5, "d": None})
    assert wrap(lambda prompt: reply, given.guard)("问") is reply
    assert {address, "想"} <= set(given.scanner.seen)


def test_an_answer_may_have_choices_of_its_own() -> None:
    """A quiz has; so has the older form of OpenAI's completions."""
    quiz = {"question": "一加一？", "choices": ["一", {"message": "二"}]}
    older = {"object": "text_completion", "choices": [{"index": 0, "text": "好"}]}
    answers: list[Any] = [quiz, older, {**quiz, "choices": [BAD]}, {"choices": [{"text": BAD}]}]
    guarded = wrap(lambda prompt: answers.pop(0), marked().guard)
    assert [guarded("问"), guarded("问")] == [quiz, older]
    with pytest.raises(Blocked):
        guarded("问")
    assert guarded("问") == {"choices": [{"text": SORRY}]}
    answers.append({"object": "chat.completion", "choices": ["好"]})
    with pytest.raises(AnswerBroken):
        guarded("问")


@pytest.mark.parametrize("pieces", [[None, "好", None, "吗", None], ["好吗", None], [None]])
def test_a_piece_that_is_none_says_nothing(pieces: list[str | None]) -> None:
    """As the content of OpenAI's first and last chunks, when a function hands that on."""

    def chat(prompt: str) -> Iterator[Any]:
        yield from pieces

    assert "".join(wrap(chat, marked().guard)("问")) == "".join(filter(None, pieces))
    long = [*story(200), None, BAD]

    def bad(prompt: str) -> Iterator[Any]:
        yield from long

    assert BAD not in json.dumps(list(wrap(bad, marked().guard)("问")), ensure_ascii=False)
