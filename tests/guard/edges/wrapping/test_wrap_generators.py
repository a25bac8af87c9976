"""What goes through a guarded generator beside its pieces, and what looks like one and is none."""

from __future__ import annotations

import contextlib
import functools
import pickle
import types
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

from guard import Blocked, GuardUnavailable, wrap
from judge.errors import InputError
from tests.contracts.guard_marks import BAD, BROKEN, SORRY, marked, story


def returned(generator: Any) -> tuple[list[Any], Any]:
    """A generator's pieces, and what it returns behind them."""
    back: list[Any] = []

    def read() -> Iterator[Any]:
        back.append((yield from generator))

    return list(read()), back[0]


def chat(prompt: str, back: Any = None) -> Generator[str, None, Any]:
    """Says what it's asked to say."""
    yield prompt
    return back


def traced(function: Any) -> Any:
    @functools.wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return around


@pytest.mark.parametrize("function", [chat, traced(chat), functools.partial(chat)])
def test_what_a_generator_returns_is_returned(function: Any) -> None:
    """Text, JSON or nothing; to whoever reads it with `yield from`."""
    for back in (None, story(80), {"total_tokens": 12}, ["好"]):
        given = marked()
        said, value = returned(wrap(function, given.guard)(story(100), back))
        assert ("".join(said), value) == (story(100), back)


def test_what_a_generator_returns_is_judged() -> None:
    """It is an answer as any other: in the policy's words, or raised."""
    assert returned(wrap(chat, marked().guard)("好", f"说{BAD}"))[1] == SORRY
    assert returned(wrap(chat, marked().guard)("好", {"answer": BAD}))[1] == {"answer": SORRY}
    with pytest.raises(Blocked):
        returned(wrap(chat, marked().guard, on_block="raise")("好", BAD))
    with pytest.raises(GuardUnavailable):
        returned(wrap(chat, marked().guard)("好", BROKEN))


def test_a_value_that_cant_be_read_is_none() -> None:
    """Most callers never see it: an error behind all pieces would break their loop."""
    for value in (object(), {"answer": object()}):
        assert returned(wrap(chat, marked().guard)("好", value))[1] is None


def test_nothing_is_returned_behind_an_answer_that_was_withheld() -> None:
    """The value may hold what was."""
    said, value = returned(wrap(chat, marked().guard)(BAD, "其余"))
    assert (said, value) == ([SORRY], None)


def test_what_is_returned_is_not_asked_for_again() -> None:
    """The pieces have gone out by then; the value of the attempt that passed is returned."""
    rule = {"dimension": "Legality", "side": "output", "cut": 0.5}
    rules = [{**rule, "action": "regenerate"}]
    times: list[str] = []

    def says(prompt: str) -> Generator[str, None, str]:
        times.append(prompt)
        yield BAD if len(times) == 1 else "好"
        return f"第{len(times)}次"

    assert returned(wrap(says, marked(rules).guard)("问")) == (["好"], "第2次")
    times.clear()
    said, value = returned(wrap(chat, marked(rules).guard)("好", BAD))
    assert (said, value) == (["好"], SORRY)


async def test_nothing_can_be_sent_to_a_guarded_generator() -> None:
    """No judge has read it: it is refused, and the generator is closed."""
    closed: list[int] = []

    def talks(prompt: str) -> Generator[str, str, None]:
        try:
            while True:
                yield story(80)
        finally:
            closed.append(1)

    async def talks_later(prompt: str) -> AsyncIterator[str]:
        for one in talks(prompt):
            yield one

    held = wrap(talks, marked().guard)("问")
    assert next(held)
    with pytest.raises(InputError, match="nothing can be sent to a guarded generator"):
        held.send(BAD)
    assert closed == [1]
    later: Any = wrap(talks_later, marked().guard)("问")
    assert await anext(later)
    with pytest.raises(InputError, match="nothing can be sent to a guarded generator"):
        await later.asend(BAD)


@contextlib.contextmanager
def managed(prompt: str) -> Iterator[str]:
    yield "好"


@contextlib.asynccontextmanager
async def managed_later(prompt: str) -> AsyncIterator[str]:
    yield "好"


@types.coroutine
def older(prompt: str) -> Generator[Any, None, str]:
    yield
    return "好"


@pytest.mark.parametrize("function", [managed, managed_later, functools.partial(managed), older])
def test_what_only_looks_like_a_generator_is_refused_when_it_is_wrapped(function: Any) -> None:
    """One line, before any call: no guard can be around what it gives."""
    with pytest.raises(InputError, match=r"can't be wrapped.*(`with`|async def)"):
        wrap(function, marked().guard)


def test_a_function_that_runs_inside_a_context_manager_is_guarded() -> None:
    """One that is decorated by one, as by `contextlib.suppress`'s kin."""

    class Timed(contextlib.ContextDecorator):
        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            return None

    @Timed()
    def says(prompt: str) -> str:
        return prompt

    assert wrap(says, marked().guard)(BAD) == SORRY


async def test_a_stream_that_is_none_is_refused_in_one_line() -> None:
    """Of a function that says that it streams, or whose decorator gives something else."""

    def says(prompt: str) -> Iterator[str]:
        return 3  # type: ignore[return-value]

    with pytest.raises(InputError, match="the function gave a int, no stream"):
        list(wrap(says, marked().guard)("问"))
    with pytest.raises(InputError, match="no stream"):
        _ = [one async for one in wrap(traced(managed_later), marked().guard)("问")]


def says(prompt: str) -> str:
    """Wrapped below, under its own name."""
    return prompt


plain = says
says = wrap(says, marked().guard)
other = wrap(plain, marked().guard)


def test_a_wrapped_function_is_pickled_by_its_name() -> None:
    """As any function is: under its own name it is itself again; under another it is refused, and
    never the function without its guard."""
    again = pickle.loads(pickle.dumps(says))
    assert again is says
    assert again(BAD) == SORRY
    with pytest.raises(pickle.PicklingError, match="not the same object"):
        pickle.dumps(other)
