"""What OpenAI's library has parsed of an answer's texts: made anew, of those that pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from guard.openai_api import Completion, CompletionChoice, TextPart
from guard.texts.escapes import argued
from judge.errors import InputError


class _Parsed(NamedTuple):
    """A text of an answer, and where the value that is parsed of it stands."""

    text: Any
    holder: Any
    name: str


def read_as_parsed(completion: Completion, given: Any) -> Completion:
    """The answer, whose parsed texts are judged without their escapes too: so the values say them.

    Arguments of calls are always read so.
    """
    parsed = {at for at, choice in _choices(given) if choice.message.parsed is not None}
    return replace(completion, choices=tuple(_spelt(c, parsed) for c in completion.choices))


def _spelt(choice: CompletionChoice, parsed: set[int]) -> CompletionChoice:
    texts = [one.text for one in choice.parts if one.kind == "content"]
    spelt = [text for text in texts if choice.index in parsed and argued(text) != text]
    path = f"choices[{choice.index}].message.parsed"
    parts = [TextPart(path, "assistant", "joined", argued(text)) for text in spelt]
    return replace(choice, parts=(*choice.parts, *parts))


def parsed_again(answer: Any, given: Any) -> Any:
    """The answer, in which every text that is the one given is parsed, as the one given is.

    Raises:
        InputError: such a text can't be parsed once more.
    """
    new = dict(_choices(answer))
    for at, choice in _choices(given):
        for was, now in zip(_parts(choice), _parts(new[at]) if at in new else (), strict=False):
            value = getattr(was.holder, was.name, None)
            if value is not None and was.text == now.text:
                setattr(now.holder, now.name, _parse(type(value), now.text))
    return answer


def _choices(answer: Any) -> Iterator[tuple[int, Any]]:
    """The choices of an object of OpenAI's whose texts may be parsed, by number, else by place."""
    if isinstance(answer, dict):  # whose keys may be read as attributes: any may be there
        return
    for place, choice in enumerate(getattr(answer, "choices", None) or ()):
        if hasattr(getattr(choice, "message", None), "parsed"):
            yield (place if choice.index is None else choice.index), choice


def _parts(choice: Any) -> list[_Parsed]:
    message = choice.message
    calls = [getattr(call, "function", None) for call in message.tool_calls or ()]
    return [
        _Parsed(message.content, message, "parsed"),
        *(_Parsed(one.arguments, one, "parsed_arguments") for one in calls if one is not None),
    ]


def _parse(kind: type[Any], text: str) -> Any:
    try:
        return TypeAdapter(kind).validate_json(text)
    except (ValidationError, TypeError) as error:
        mend = "use `create`, and parse what it gives"
        problem = f"no {kind.__name__} can be made of an answer that was judged"
        raise InputError(problem, file="wrap", mend=mend) from error
