"""A call's arguments: which one is the prompt, and every text that they hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from guard.chat import asked_again, hint_of, parts_of
from guard.decision import Decision, Part
from guard.engine import Asked
from guard.json_replies import Paths, texts_of, turns_of
from guard.openai_api import ApiError, ChatRequest, read_request
from guard.plain import OPAQUE, plain
from judge.errors import InputError
from judge.records import Turn

_MAIN: Final = (
    "messages",
    "prompt",
    "message",
    "question",
    "query",
    "text",
    "input",
    "user_input",
    "user_message",
    "content",
)
# Where turns in other forms than OpenAI's have their texts.
_SPOKEN: Final = Paths.parse(["[*]", "[*][*]", "[*].content", "[*].text"])
# How a server is reached, keys among it: none of it is a text that a model reads.
_TRANSPORT: Final = frozenset(
    (
        "api_key",
        "api_base",
        "api_version",
        "base_url",
        "client",
        "extra_headers",
        "headers",
        "http_client",
        "organization",
        "timeout",
    )
)


@dataclass(frozen=True)
class Call:
    """One call of a chat function.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
        main: where the prompt is: a position or a keyword; None when it was left to its default.
        said: the prompt or the messages, as JSON.
        request: the same and what is beside it, where that is in OpenAI's form.
        prompt: what is asked.
        history: the turns before it.
        others: every text that is in neither.
        unread: arguments that can't be read.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    main: int | str | None
    said: str | list[Any] | None
    request: ChatRequest | None
    prompt: str
    history: tuple[Turn, ...]
    others: tuple[Part, ...]
    unread: tuple[str, ...]

    @property
    def parts(self) -> list[Part]:
        """Every text of the arguments."""
        if self.request is None:
            return list(self.others)
        return [*parts_of((*self.request.parts, *self.request.context)), *self.others]

    @property
    def n(self) -> int:
        """How many answers are asked for."""
        n = self.kwargs.get("n")
        return n if isinstance(n, int) and 1 <= n <= 128 else 1

    def asked(self, request_id: str) -> Asked:
        """What the answer stands in."""
        model = self.kwargs.get("model")
        return Asked(
            prompt=self.prompt,
            history=self.history,
            request_id=request_id,
            model=model if isinstance(model, str) else None,
        )

    def again(self, decision: Decision) -> Call:
        """The call once more, with the hint of the rule that asks for it."""
        if self.main is None:
            return self
        if isinstance(self.said, list):
            new: Any = asked_again({"messages": self.said}, decision, self.prompt)["messages"]
        else:
            new = f"{self.prompt}\n\n{hint_of(decision, self.prompt)}"
        if isinstance(self.main, int):
            args = (*self.args[: self.main], new, *self.args[self.main + 1 :])
            return replace(self, args=args)
        return replace(self, kwargs={**self.kwargs, self.main: new})


class Reader:
    """Reads the arguments of one function.

    Args:
        chat: the function.
        ask: the name of the parameter that holds the prompt or the messages.

    Raises:
        InputError: it has no such parameter, or none at all.
    """

    def __init__(self, chat: Callable[..., Any], ask: str | None) -> None:
        try:
            parameters = list(inspect.signature(chat).parameters.values())
        except (TypeError, ValueError):  # some builtins have none
            parameters = []
        self._positional = [
            one.name
            for one in parameters
            if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}
        ]
        names = [*self._positional, *(p.name for p in parameters if p.kind == p.KEYWORD_ONLY)]
        rest = any(one.kind == one.VAR_KEYWORD for one in parameters)
        if ask is not None and ask not in names and not rest:
            raise InputError(f"the function has no parameter {ask!r}", file="wrap")
        if not parameters:
            raise InputError("the function takes no prompt", file="wrap")
        found = (name for name in _MAIN if name in names)
        self._main = ask or next(found, self._positional[0] if self._positional else None)

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """Take a call's arguments apart.

        Raises:
            InputError: the prompt is neither text nor messages.
        """
        main = self._place(args, kwargs)
        value = None if main is None else args[main] if isinstance(main, int) else kwargs[main]
        said = plain(value)
        if said is OPAQUE or not isinstance(said, str | list | None):
            mend = "name the parameter that holds the prompt or the messages with `ask`"
            raise InputError(
                f"the prompt is a {type(value).__name__}, no text", file="wrap", mend=mend
            )
        beside, unread = self._beside(args, kwargs, main)
        request = _request(said, beside) if isinstance(said, list) else None
        others = [] if request is not None else texts_of(said, _SPOKEN)
        others += texts_of(list(beside.values()))
        known = () if request is None else (*request.parts, *request.context)
        seen = {part.text for part in known}
        return Call(
            args=args,
            kwargs=kwargs,
            main=main,
            said=said,
            request=request,
            prompt=_last(said) if request is None else request.prompt,
            history=turns_of(beside.get("history")) if request is None else request.history,
            others=tuple(part for part in others if part.text not in seen),
            unread=(*unread, *(one.path for one in (request.unread if request else ()))),
        )

    def _place(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | str | None:
        """Where this call has the prompt."""
        if self._main is None:  # **kwargs or *args alone
            found = next((name for name in _MAIN if name in kwargs), None)
            return found if found is not None else 0 if args else None
        if self._main in kwargs:
            return self._main
        place = self._positional.index(self._main) if self._main in self._positional else None
        return place if place is not None and place < len(args) else None

    def _beside(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], main: int | str | None
    ) -> tuple[dict[str, Any], list[str]]:
        """The other arguments that hold text, and the names of those that can't be read."""
        named: dict[str, Any] = {}
        for place, value in enumerate(args):
            known = place < len(self._positional)
            named[self._positional[place] if known else f"[{place}]"] = value
        named |= kwargs
        own = self._positional[main] if isinstance(main, int) and self._positional else main
        named = {k: v for k, v in named.items() if k != own and k not in _TRANSPORT}
        unread = [name for name, value in named.items() if isinstance(value, bytes | bytearray)]
        read = {name: plain(value) for name, value in named.items()}
        return {name: value for name, value in read.items() if value is not OPAQUE}, unread


def _request(messages: list[Any], beside: Mapping[str, Any]) -> ChatRequest | None:
    """Messages in OpenAI's form, with what stands beside them; None where they have another."""
    try:
        return read_request({**beside, "messages": messages})
    except ApiError:
        return None


def _last(said: str | list[Any] | None) -> str:
    """The newest of the texts, which is what is asked."""
    newest = said[-1] if isinstance(said, list) and said else said
    if isinstance(newest, dict):
        newest = newest.get("content")
    if isinstance(newest, str):
        return newest
    return "\n".join(part.text for part in texts_of(said) if not part.word)
