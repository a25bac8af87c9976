"""A call's arguments: which one is the prompt, and every text that they hold."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from guard.chat import left_over, parts_of, request_in
from guard.decision import Decision, Part
from guard.engine import Asked
from guard.openai_api import ChatRequest
from guard.texts.foreign_media import unread_in
from guard.texts.json_replies import PROMPTS, Paths, texts_of, turns_of
from guard.texts.objects import OPAQUE, holds_bytes, is_readable, plain
from guard.wrapping.hints import hinted
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
_SPOKEN: Final = Paths.parse(["[*]", "[*][*]", "[*].content", "[*].text", *PROMPTS])
_PROMPTS: Final = Paths.parse(PROMPTS)
# How a server is reached, keys among it: none of it is a text that a model reads.
_TRANSPORT: Final = frozenset(
    (
        "api_key",
        "api_base",
        "api_version",
        "base_url",
        "extra_headers",
        "headers",
        "http_client",
    )
)
# What stands beside the prompt under such a name is for a model to read, whatever its class.
_SAID: Final = frozenset((*_MAIN, "history", "chat_history"))


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
        settings: the arguments by their names, with what a partial has bound, and whether the
            answer streams by default.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    main: int | str | None
    said: str | list[Any] | dict[str, Any] | None
    request: ChatRequest | None
    prompt: str
    history: tuple[Turn, ...]
    others: tuple[Part, ...]
    unread: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def parts(self) -> list[Part]:
        """Every text of the arguments."""
        if self.request is None:
            return list(self.others)
        return [*parts_of((*self.request.parts, *self.request.context)), *self.others]

    @property
    def n(self) -> int:
        """How many answers are asked for."""
        n = self.settings.get("n")
        return n if isinstance(n, int) and 1 <= n <= 128 else 1

    @property
    def streams(self) -> bool:
        """Whether the answer is asked for in pieces; a client takes 1 for True."""
        given = self.settings.get("stream")
        return isinstance(given, int) and bool(given)

    @property
    def include_usage(self) -> bool:
        """Whether such an answer is to end with the tokens that it took."""
        return self.request is not None and self.request.include_usage

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
        given = _at(self.main, self.args, self.kwargs)
        new = hinted(given, decision, self.prompt)
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
        bound = chat.keywords if isinstance(chat, functools.partial) else {}
        self._settings = {p.name: p.default for p in parameters if p.name == "stream"} | bound
        self._bound = _bound(chat)
        names = [*self._positional, *(p.name for p in parameters if p.kind == p.KEYWORD_ONLY)]
        rest = any(one.kind == one.VAR_KEYWORD for one in parameters)
        if ask is not None and ask not in names and not rest:
            raise InputError(f"the function has no parameter {ask!r}", file="wrap")
        if not parameters:
            raise InputError("the function takes no prompt", file="wrap")
        found = (name for name in _MAIN if name in names)
        self._main = ask or next(found, self._positional[0] if self._positional else None)
        defaults = (p.default for p in parameters if p.name == self._main)
        default = next(defaults, None)  # a partial's too
        self._default = default if isinstance(default, str | list | tuple | Mapping) else None

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """Take a call's arguments apart.

        Raises:
            InputError: the prompt is neither text nor messages, nor JSON that holds them.
        """
        main = self._place(args, kwargs)
        value = self._default if main is None else _at(main, args, kwargs)
        said = OPAQUE if _is_connection(value) else plain(value)
        if said is OPAQUE or not isinstance(said, str | list | dict | None):
            mend = "name the parameter that holds the prompt or the messages with `ask`"
            raise InputError(
                f"the prompt is a {type(value).__name__}, no text", file="wrap", mend=mend
            )
        beside, unread = self._beside(args, kwargs, main)
        if not is_readable(value):
            unread.append("the prompt")
        unread += unread_in([said, beside])
        whole = {"messages": said} if isinstance(said, list) else said
        request = request_in({**beside, **whole}) if isinstance(whole, dict) else None
        texts = texts_of(said if request is None else whole, _SPOKEN)
        held = plain(value, written=False)  # what the function may read of an object
        if held != said:
            texts += texts_of({"messages": held} if isinstance(held, list) else held, _SPOKEN)
        texts += texts_of(list(beside.values()))
        return Call(
            args=args,
            kwargs=kwargs,
            main=main,
            said=said,
            request=request,
            prompt=_last(said) if request is None else request.prompt,
            history=_history(said, beside) if request is None else request.history,
            others=tuple(left_over(request, texts)),
            unread=(*unread, *(one.path for one in (request.unread if request else ()))),
            settings={
                **self._settings,
                **dict(zip(self._positional, args, strict=False)),
                **kwargs,
            },
        )

    def _place(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | str | None:
        """Where this call has the prompt."""
        if self._main is None:  # **kwargs or *args alone
            found = next((name for name in _MAIN if name in kwargs), None)
            if found is not None or not args:
                return found
            return next((n for n, one in enumerate(args) if isinstance(one, list)), 0)
        if self._main in kwargs:
            return self._main
        place = self._positional.index(self._main) if self._main in self._positional else None
        return place if place is not None and place < len(args) else None

    def _name(self, place: int) -> str:
        return self._positional[place] if place < len(self._positional) else f"[{place}]"

    def _beside(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], main: int | str | None
    ) -> tuple[dict[str, Any], list[str]]:
        """The other arguments that hold text, and the names of those that can't be read."""
        given = {self._name(place): value for place, value in enumerate(args)}
        named = self._bound | given | dict(kwargs)
        own = self._main if main is None else self._name(main) if isinstance(main, int) else main
        about = {k for k, v in named.items() if k in _TRANSPORT or _is_connection(v)}
        named = {k: v for k, v in named.items() if k != own and k not in about}
        unread = [
            name
            for name, value in named.items()
            if holds_bytes(value) or (name in _SAID and not is_readable(value))
        ]
        read = {name: plain(value, written=False) for name, value in named.items()}
        return {name: value for name, value in read.items() if value is not OPAQUE}, unread


def _bound(chat: Callable[..., Any]) -> dict[str, Any]:
    """What a partial has bound, by the names of its function's parameters: one may be a key."""
    if not isinstance(chat, functools.partial):
        return {}
    try:
        first = inspect.signature(chat.func).bind_partial(*chat.args).arguments
    except (TypeError, ValueError):  # some builtins have no signature
        first = {f"({place})": value for place, value in enumerate(chat.args)}
    return {**first, **chat.keywords}


def _is_connection(value: object) -> bool:
    """Whether it is a framework's request or socket: a mapping of its ASGI scope, and no text.

    By its class: keys may be anybody's.
    """
    own = (getattr(type(value), name, None) for name in ("url", "headers", "cookies"))
    return isinstance(value, Mapping) and all(isinstance(one, property) for one in own)


def _at(place: int | str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return args[place] if isinstance(place, int) else kwargs[place]


def _history(said: object, beside: Mapping[str, Any]) -> tuple[Turn, ...]:
    held = said.get("history") if isinstance(said, dict) else None
    return turns_of(beside.get("history")) or turns_of(held)


def _last(said: str | list[Any] | dict[str, Any] | None) -> str:
    """The newest of the texts, which is what is asked."""
    if isinstance(said, dict) and (asked := _PROMPTS.first(said)) is not None:
        return asked
    newest = said[-1] if isinstance(said, list) and said else said
    if isinstance(newest, dict):
        newest = newest.get("content")
    if isinstance(newest, str):
        return newest
    return "\n".join(part.text for part in texts_of(said) if not part.word)
