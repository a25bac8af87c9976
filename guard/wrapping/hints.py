"""A prompt once more, with the hint of the rule that asks for another answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from guard.chat import asked_again, hint_of
from guard.decision import Decision
from guard.texts.json_replies import PROMPTS
from guard.texts.objects import plain


def hinted(given: Any, decision: Decision, prompt: str) -> Any:
    """The argument with the hint, of the same class; unchanged where it has no place for one.

    Args:
        given: a text, turns in OpenAI's form, or what holds either.
        decision: asks for another answer.
        prompt: what was asked, whose language the hint has.
    """
    if isinstance(given, str):
        return f"{given}\n\n{hint_of(decision, prompt)}"
    if isinstance(given, list | tuple):
        return _turns(given, decision, prompt)
    pydantic = hasattr(type(given), "model_copy")
    if not (pydantic or isinstance(given, Mapping)):
        return given
    held = vars(given) if pydantic else given
    turns = isinstance(held.get("messages"), list | tuple)
    names = ["messages"] if turns else [one for one in PROMPTS if isinstance(held.get(one), str)]
    change = {name: hinted(held[name], decision, prompt) for name in names[:1]}
    return given.model_copy(update=change) if pydantic else {**given, **change}


def _turns(given: Sequence[Any], decision: Decision, prompt: str) -> Sequence[Any]:
    first = plain(given[0]) if given else {}
    if not (isinstance(first, dict) and (isinstance(first.get("role"), str) or not given)):
        return given
    told, *old = asked_again({"messages": [first] if given else []}, decision, prompt)["messages"]
    turn = _like(given[0], told) if given else told
    return given if turn is None else [turn, *(given if old else given[1:])]


def _like(sample: Any, turn: dict[str, Any]) -> Any:
    """A turn as one of the class that another has; None where it can't be one."""
    kind: Any = type(sample)
    if isinstance(sample, Mapping):
        return turn
    try:
        if hasattr(kind, "model_validate"):
            return kind.model_validate(turn)
        return dataclasses.replace(sample, **turn)  # TypeError where it is none of these
    except (TypeError, ValueError):
        return None
