"""One line around a chat function: what its caller sees, of every kind of function."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mypy import api
from pydantic import BaseModel

from guard import Blocked, GuardUnavailable, wrap
from judge.errors import InputError
from tests.contracts.guard_marks import (
    ADVERT,
    BAD,
    BROKEN,
    CRASH,
    SORRY,
    SORRY_EN,
    marked,
    story,
)

ROOT = Path(__file__).parents[4]
AGAIN = {"dimension": "Legality", "side": "output", "cut": 0.5, "action": "regenerate", "tries": 1}


def echo(prompt: str) -> str:
    """Says what it is told to say."""
    return prompt


def words(prompt: str) -> Iterator[str]:
    """Says it in pieces."""
    yield from (prompt[at : at + 3] for at in range(0, len(prompt), 3))


def test_a_function_answers_as_before_and_a_bad_answer_is_the_message() -> None:
    """The whole of it: `chat = wrap(chat, guard)`."""
    chat = wrap(echo, marked().guard)
    assert chat("你好") == "你好"
    assert chat(f"说：{BAD}") == SORRY
    assert chat(prompt=f"say {BAD[:0]}") == "say "


def test_a_policy_or_its_file_will_do_in_place_of_a_guard(tmp_path: Path) -> None:
    """It is loaded once, and refused at once when it can't be kept."""
    file = tmp_path / "policy.yaml"
    rules = "rules: [{evidence: pii, side: output, action: block}]"
    file.write_text(f"version: 1\n{rules}\n", encoding="utf-8")
    assert wrap(echo, file)("身份证 11010519491231002X") != "身份证 11010519491231002X"
    file.write_text(rules, encoding="utf-8")
    with pytest.raises(InputError, match="version"):
        wrap(echo, str(file))


def test_functions_keep_their_kind_name_and_signature() -> None:
    """Frameworks look at these to decide how to call a function."""

    async def later(prompt: str, *, heat: float = 0.5) -> str:
        """Thinks."""
        return prompt

    async def pieces(prompt: str) -> AsyncIterator[str]:
        yield prompt

    guard = marked().guard
    assert inspect.isgeneratorfunction(wrap(words, guard))
    assert inspect.iscoroutinefunction(wrap(later, guard))
    assert inspect.isasyncgenfunction(wrap(pieces, guard))
    kept = wrap(later, guard)
    assert (kept.__name__, kept.__doc__) == ("later", "Thinks.")
    assert inspect.signature(kept) == inspect.signature(later)


def test_a_blocked_question_is_answered_without_the_model() -> None:
    """Each kind of function gives the message in its own way."""
    asked: list[str] = []

    def chat(prompt: str) -> str:
        asked.append(prompt)
        return prompt

    def form(messages: list[dict[str, str]]) -> dict[str, Any]:
        asked.append("form")
        return {}

    guard = marked().guard
    assert wrap(chat, guard)(ADVERT) == SORRY
    assert list(wrap(words, guard)(ADVERT)) == [SORRY]
    answer = wrap(form, guard)([{"role": "user", "content": ADVERT}])
    (choice,) = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (SORRY, "content_filter")
    assert asked == []


def test_turns_that_come_at_once_are_judged_together() -> None:
    """A question in two messages is one question."""

    def form(messages: list[dict[str, str]]) -> str:
        return "好"

    turns = [{"role": "user", "content": text} for text in (ADVERT[:2], ADVERT[2:])]
    assert wrap(form, marked().guard)(turns) == SORRY


def test_texts_that_a_caller_gets_at_once_are_judged_together() -> None:
    """A thinking that ends where the reply goes on."""

    def thinking(prompt: str) -> dict[str, str]:
        return {"thinking": f"想：{ADVERT[:2]}", "reply": f"{ADVERT[2:]}。"}

    assert wrap(thinking, marked().guard)("你好") == {"thinking": "", "reply": SORRY}


def test_more_answers_than_a_call_asks_for_do_not_arrive() -> None:
    """Where it does not say how many, the function knows: all of them are the caller's."""

    def form(messages: list[dict[str, str]], n: int = 2) -> dict[str, Any]:
        choices = [{"index": at, "message": {"content": f"第{at}个"}} for at in range(2)]
        return {"choices": choices}

    chat, turns = wrap(form, marked().guard), [{"role": "user", "content": "你好"}]
    assert [one["index"] for one in chat(turns)["choices"]] == [0, 1]
    assert [one["index"] for one in chat(turns, n=1)["choices"]] == [0]


def test_json_in_pieces_of_text_is_read_without_its_escapes() -> None:
    """Many applications yield JSON: what is judged is what its reader reads."""
    good, bad = (json.dumps({"reply": story(150) + text}) for text in ("好", BAD))
    assert "".join(wrap(words, marked().guard)(good)) == good
    said = "".join(wrap(words, marked().guard)(bad))
    assert said.endswith(SORRY_EN)
    assert bad.startswith(said.removesuffix(SORRY_EN))
    assert json.dumps(BAD)[1:-1] not in said
    whole = list(wrap(words_so_far, marked().guard, yields="whole")(good))
    assert whole[-1] == good
    assert wrap(echo, marked().guard)(bad) == SORRY_EN


def words_so_far(prompt: str) -> Iterator[str]:
    """Says it in pieces, each with all that came before."""
    yield from (prompt[: at + 3] for at in range(0, len(prompt), 3))


def test_blocked_can_raise_instead() -> None:
    """With the side and the policy's words, and nothing of the text."""
    chat = wrap(echo, marked().guard, on_block="raise")
    with pytest.raises(Blocked) as blocked:
        chat(f"说：{BAD}")
    assert (blocked.value.side, blocked.value.message) == ("output", SORRY)
    with pytest.raises(Blocked) as blocked:
        chat(ADVERT)
    assert blocked.value.side == "input"


def test_a_guard_that_fails_raises_and_quotes_nothing() -> None:
    """An answer that could not be checked is not an answer."""
    chat = wrap(echo, marked().guard)
    with pytest.raises(GuardUnavailable, match="output") as failed:
        chat(f"说：{BROKEN}")
    assert BROKEN not in str(failed.value)
    with pytest.raises(GuardUnavailable, match="input"):
        chat(CRASH)
    assert list(wrap(words, marked(on_failure="allow").guard)(BROKEN)) == [BROKEN]


async def test_synchronous_functions_work_inside_a_running_loop() -> None:
    """As in a notebook, whose loop is always running."""
    assert wrap(echo, marked().guard)(BAD) == SORRY
    assert "".join(wrap(words, marked().guard)(story(200))) == story(200)


def test_a_loop_that_ends_does_not_take_the_guard_with_it() -> None:
    """Scripts call `asyncio.run` more than once."""

    async def chat(prompt: str) -> str:
        return prompt

    guarded = wrap(chat, marked().guard)
    assert [asyncio.run(guarded(text)) for text in ("好", BAD)] == ["好", SORRY]


def test_the_model_is_asked_again_with_the_rule_s_hint() -> None:
    """A prompt gets the hint behind it; messages get it from the system."""
    seen: list[Any] = []

    def chat(prompt: str) -> str:
        seen.append(prompt)
        return BAD if len(seen) < 3 else "好"

    async def form(messages: list[dict[str, str]]) -> str:
        seen.append(messages)
        return BAD if len(seen) == 1 else "好"

    guard = marked([{**AGAIN, "tries": 2, "hint": "请换个说法。"}]).guard
    assert wrap(chat, guard)("问") == "好"
    assert seen == ["问", *["问\n\n请换个说法。"] * 2]
    seen.clear()
    assert asyncio.run(wrap(form, guard)([{"role": "user", "content": "问"}])) == "好"
    assert seen[1][0] == {"role": "system", "content": "请换个说法。"}


def test_a_stream_is_asked_for_again_only_before_anything_has_gone_out() -> None:
    """What a user has read can't be made unsaid by another answer."""
    times: list[int] = []

    def chat(prompt: str) -> Iterator[str]:
        times.append(1)
        yield from [story(10 if len(times) == 1 else 150), BAD] if len(times) < 3 else ["好"]

    guarded = marked([{**AGAIN, "tries": 2}])
    said = "".join(wrap(chat, guarded.guard)("问"))
    assert len(times) == 2
    assert said.endswith(SORRY)
    statuses = [event.status for event in guarded.events.of("output")]
    assert statuses == ["regenerated", "blocked"]


def test_pieces_may_be_all_of_the_text_so_far() -> None:
    """Some user interfaces have functions yield the growing text."""

    def growing(message: str, history: list[Any]) -> Iterator[str]:
        yield from (message[:end] for end in range(0, len(message) + 1, 5))

    text = story(200)
    out = list(wrap(growing, marked().guard, yields="whole")(text, []))
    assert out[-1] == text
    assert all(later.startswith(sooner) for sooner, later in itertools.pairwise(out))
    *_, last = wrap(growing, marked().guard, yields="whole")(story(200) + BAD + story(300), [])
    assert last.endswith(SORRY)


@pytest.mark.parametrize("mark", ["", "▌", " …", "\n```", "●"])
def test_a_text_so_far_may_have_a_cursor_and_another_before_it(mark: str) -> None:
    """Such as `thinking`, which the answer then takes the place of."""

    def chat(message: str) -> Iterator[str]:
        yield "思考中"
        yield from (message[:end] + mark for end in range(1, len(message)))
        yield message

    text, bad = story(200), story(200) + BAD + story(300)
    out = list(wrap(chat, marked().guard, yields="whole")(text))
    assert out[-1] == text
    assert len(out) > 3
    said = list(wrap(chat, marked().guard, yields="whole")(bad))
    assert said[-1].endswith(SORRY)
    assert not any(BAD[0] in one for one in said)


def test_pieces_that_are_not_all_so_far_are_told_apart_from_those_that_are() -> None:
    def chat(message: str) -> Iterator[str]:
        yield from (f"{number}。" for number in range(1000))

    with pytest.raises(InputError, match="do not go on"):
        list(wrap(chat, marked().guard, yields="whole")("问"))


def test_every_string_of_the_arguments_is_read() -> None:
    """Not the prompt alone: history, system prompt, retrieved documents, names."""

    class Note(BaseModel):
        body: str

    @dataclass
    class Page:
        text: str

    def chat(message: str, history: object = None, **more: object) -> str:
        return message

    guarded = wrap(chat, marked().guard)
    assert guarded("问", [{"role": "user", "content": ADVERT}]) == SORRY
    assert guarded("问", [("答", ADVERT)]) == SORRY
    assert guarded("问", documents=[Note(body=ADVERT)]) == SORRY
    assert guarded("问", documents={"a": Page(ADVERT)}) == SORRY
    assert guarded("问", style={ADVERT: 1}) == SORRY
    assert guarded("问", api_key=ADVERT) == "问"  # no model reads how its server is reached


def test_what_can_t_be_read_counts_as_the_policy_says() -> None:
    """Pictures beside a text, and bytes."""

    def chat(messages: list[Any], picture: bytes = b"") -> str:
        return "好"

    parts = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    asked = [{"role": "user", "content": parts}]
    plain = [{"role": "user", "content": "问"}]
    assert wrap(chat, marked().guard)(asked) == SORRY
    assert wrap(chat, marked().guard)(plain, b"png") == SORRY
    assert wrap(chat, marked(unread="allow").guard)(asked, b"png") == "好"


def test_the_answer_is_judged_with_the_turns_before_it() -> None:
    """The judge reads the conversation, however it was handed over."""

    def chat(message: str, history: list[dict[str, str]]) -> str:
        return "好"

    turns = [{"role": "user", "content": "早"}, {"role": "assistant", "content": "早上好"}]
    first = marked()
    wrap(chat, first.guard)("问", turns)
    second = marked()

    def form(messages: list[dict[str, str]]) -> str:
        return "好"

    wrap(form, second.guard)([*turns, {"role": "user", "content": "问"}])
    hashes = {guarded.events.of("output")[0].conversation for guarded in (first, second)}
    assert len(hashes) == 1


def test_json_answers_are_read_whole_and_keep_their_shape() -> None:
    """The message takes the reply's place, and no other text is left beside it."""
    answers: list[Any] = []

    def chat(prompt: str) -> Any:
        return answers[-1]

    guarded = wrap(chat, marked().guard)
    answers.append({"reply": "好", "sources": ["甲"], "cost": 3})
    assert guarded("问") == answers[-1]
    answers.append({"reply": "好", "sources": [f"来源：{BAD}"], "cost": 3})
    assert guarded("问") == {"reply": SORRY, "sources": [""], "cost": 3}
    answers.append([{"甲": BAD}])
    with pytest.raises(Blocked):
        guarded("问")
    answers.append(None)
    assert guarded("问") is None


def test_what_can_t_be_read_is_no_answer() -> None:
    """A guard that can't read an answer doesn't let it through."""

    def chat(prompt: str) -> Any:
        return object()

    def numbers(prompt: str) -> Iterator[Any]:
        yield 3

    with pytest.raises(InputError, match="can't be read"):
        wrap(chat, marked().guard)("问")
    with pytest.raises(InputError, match="can't be read"):
        list(wrap(numbers, marked().guard)("问"))
    with pytest.raises(InputError, match="no text"):
        wrap(chat, marked().guard)(object())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "how", "problem"),
    [
        (3, {}, "int can't be wrapped"),
        (lambda: "好", {}, "takes no prompt"),
        (echo, {"ask": "question"}, "no parameter"),
    ],
)
def test_what_can_t_be_wrapped_is_refused_at_once(what: Any, how: Any, problem: str) -> None:
    """Not at the first question."""
    with pytest.raises(InputError, match=problem):
        wrap(what, marked().guard, **how)


def test_objects_and_methods_that_can_be_called_can_be_wrapped() -> None:
    """A bot is often a class; `ask` names a parameter whose name does not tell."""

    class Bot:
        def __call__(self, prompt: str) -> str:
            return prompt

        def say(self, user: str, words: str) -> str:
            return words

    guard = marked().guard
    assert wrap(Bot(), guard)(BAD) == SORRY
    assert wrap(Bot().say, guard, ask="words")("li", f"What? {BAD}") == SORRY
    assert wrap(Bot().say, guard, ask="words")("李", "What?") == "What?"


def test_the_message_is_in_the_language_of_the_question() -> None:
    """As everywhere in the guard."""

    def chat(prompt: str) -> str:
        return BAD

    assert wrap(chat, marked().guard)("How are you?") == SORRY_EN


SNIPPET = """
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, assert_type
from guard import wrap

def one(prompt: str, heat: float = 0.5) -> str: return prompt
async def two(messages: list[dict[str, str]]) -> dict[str, int]: return {}
def three(prompt: str) -> Iterator[str]: yield prompt
async def four(prompt: str) -> AsyncIterator[str]: yield prompt

assert_type(wrap(one, "policy.yaml")("hi", heat=1.0), str)
assert_type(wrap(two, "policy.yaml")([]), Coroutine[Any, Any, dict[str, int]])
assert_type(wrap(three, "policy.yaml")("hi"), Iterator[str])
assert_type(wrap(four, "policy.yaml")("hi"), AsyncIterator[str])
wrap(one, "policy.yaml")(3)
wrap(one, "policy.yaml")("hi", cold=1)
"""


def test_types_are_kept_as_a_user_s_checker_sees_them(tmp_path: Path) -> None:
    """The wrapped function has the type of the one that was given; two mistakes are found."""
    file = tmp_path / "user.py"
    file.write_text(SNIPPET, encoding="utf-8")
    sources = [str(ROOT / "guard/__init__.py"), str(ROOT / "guard/wrapping/__init__.py")]
    options = ["--follow-imports=skip", "--no-error-summary", "--cache-dir", str(tmp_path)]
    options += ["--disable-error-code", "unused-coroutine"]
    out, errors, _ = api.run([str(file), *sources, *options, "--config-file", ""])
    told = [line for line in out.splitlines() if line.startswith(str(file)) and "error" in line]
    assert not errors
    assert [line.rsplit("[", 1)[1] for line in told] == ["arg-type]", "call-arg]"], out
