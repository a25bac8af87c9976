"""A guard around a chat function or a client, in one line.

    chat = guard.wrap(chat, "policy.yaml")
    client = guard.wrap(OpenAI(), "policy.yaml")

What is withheld is answered in the policy's words, or raises `guard.Blocked` if that is asked for;
a check that fails raises `guard.GuardUnavailable`, unless the policy lets failures pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from guard.engine import Guard
from guard.errors import OnBlock
from guard.loading import load_guard
from guard.policy import Policy
from guard.wrapping.clients import GuardedLitellm, GuardedOpenAI, is_litellm, is_openai
from guard.wrapping.functions import Wrapping, wrapped
from guard.wrapping.pieces import Yields
from judge.errors import InputError

ChatT = TypeVar("ChatT")


def wrap(
    chat: ChatT,
    guard: Guard | Policy | Path | str,
    *,
    ask: str | None = None,
    on_block: OnBlock = "answer",
    yields: Yields = "deltas",
) -> ChatT:
    """A chat function or a client with a guard around it, of the same type.

    A function is synchronous or asynchronous, or a generator of either kind. It takes a prompt or
    OpenAI's messages, alone or within JSON or an object of pydantic's, and gives text, JSON, or
    OpenAI's or litellm's objects, whole or in pieces.
    Of a client (`OpenAI`, `AsyncOpenAI`, `litellm`, a litellm `Router`) chat completions are
    guarded (of OpenAI's `create` and `parse`), and other ways to a model refused. Every string of
    the arguments and of the answer is judged.

    Args:
        chat: the function or the client.
        guard: a guard, a policy, or a policy file. One guard serves several functions, synchronous
            and asynchronous ones alike.
        ask: the parameter that holds the prompt or the messages, where its name does not tell.
        on_block: `answer` gives the policy's message in place of a text that is withheld; `raise`
            raises `Blocked`, as `answer` does where a message has no place: in a tuple, or an
            object of a class of your own, also one that a call names as `response_model`. A
            question that is withheld is not asked.
        yields: whether a generator's pieces are what is new, or all of the text so far.

    Raises:
        InputError: the policy can't be kept, this is nothing that can be wrapped, or `on_block` or
            `yields` is none of the above.
    """
    _one_of("on_block", on_block, get_args(OnBlock))
    _one_of("yields", yields, get_args(Yields))
    held = guard if isinstance(guard, Guard) else load_guard(guard)
    how = Wrapping(held, ask=ask, on_block=on_block, yields=yields)
    around: Any
    if is_litellm(chat):  # first: a router has OpenAI's way in too
        around = GuardedLitellm(chat, how)
    elif is_openai(chat):
        around = GuardedOpenAI(chat, how)
    elif callable(chat) and not isinstance(chat, type):
        around = wrapped(chat, how)
    else:
        mend = "give a function, or a client of OpenAI's or litellm's"
        raise InputError(f"a {type(chat).__name__} can't be wrapped", file="wrap", mend=mend)
    return cast("ChatT", around)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        mend = f"write {' or '.join(map(repr, known))}"
        raise InputError(f"{name}={value!r} is not known", file="wrap", mend=mend)


__all__ = ["wrap"]
