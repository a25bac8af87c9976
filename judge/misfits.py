"""What pydantic finds wrong in a user's file, in plain words: each problem with place and mend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

Place = tuple[str | int, ...]
Problem = tuple[Place, str]

_MISSING: Final = "is missing"
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "json_invalid": ("is no JSON: {error}", ""),
    "missing": (_MISSING, ""),
    "invalid_key": ("is no key: a key is a word", ""),
    "bool": ("is neither true nor false", "write true or false, without quotes"),
    "float": ("is no number", "write it in digits, without quotes: 0.5"),
    "int": ("is no whole number", "write it in digits, without quotes: 3"),
    "finite_number": ("is no finite number", ""),
    "string": ("is no text", "put it in quotes"),
    "string_too_short": ("is empty", ""),
    "string_pattern_mismatch": ("doesn't match {pattern}", ""),
    "tuple": ("is no list", "write it in brackets: [A, B]"),
    "list": ("is no list", "write it in brackets: [A, B]"),
    "model": ("has no keys", "write `KEY: VALUE` under it"),
    "dict": ("has no keys", "write `KEY: VALUE` under it"),
    "mapping": ("has no keys", "write `KEY: VALUE` under it"),
    "too_short": ("needs {min_length} or more, and has {actual_length}", ""),
    "too_long": ("takes {max_length} at most, and has {actual_length}", ""),
    "greater_than": ("must be greater than {gt:.12g}", ""),
    "greater_than_equal": ("must be {ge:.12g} or more", ""),
    "less_than": ("must be less than {lt:.12g}", ""),
    "less_than_equal": ("must be {le:.12g} or less", ""),
}
_ENDINGS: Final = ("_type", "_parsing", "_attributes_type", "_from_float")


class Misfit(NamedTuple):
    """One problem. `place` are the keys and indices that lead to it."""

    place: Place
    problem: str
    mend: str = ""


class ContradictionError(ValueError):
    """Raised by a model's validator: every problem between its parts, each with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(problem for _, problem in problems))


def misfits(error: ValidationError, model: type[BaseModel]) -> Iterator[Misfit]:
    """Every problem of a file's content that is no such model, in its order.

    Values are not shown, but for a word in place of which others are expected.
    """
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        place: Place = item["loc"]
        if isinstance(cause, ContradictionError):
            yield from (Misfit((*place, *inner), problem) for inner, problem in cause.problems)
        elif item["type"] == "extra_forbidden":
            yield _unknown_key(place, model)
        else:
            problem, mend = _told(item["type"], item)
            at = f"{'.'.join(map(str, place))}: " if place else ""
            yield Misfit(place, at + problem, mend)


def first_misfit(error: ValidationError, model: type[BaseModel]) -> Misfit:
    """The first problem; where a key is missing, rather what stands there in its place."""
    found = misfits(error, model)  # of many thousands the first are enough
    first = next(found)
    if not first.problem.endswith(_MISSING):
        return first
    beside = (one for one in found if one.place[:-1] == first.place[:-1])
    return next((one for one in beside if not one.problem.endswith(_MISSING)), first)


def _told(kind: str, item: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with a value, and the mend."""
    if kind in {"literal_error", "enum"}:
        return _none_of(str(item["ctx"]["expected"]), item.get("input"))
    for ending in _ENDINGS:
        kind = kind.removesuffix(ending)
    if kind not in _WORDS:
        return str(item["msg"]).removeprefix("Value error, "), ""
    words, mend = _WORDS[kind]
    return words.format_map(item.get("ctx", {})), mend


def _none_of(expected: str, given: object) -> tuple[str, str]:
    known = [one.strip().strip("'") for one in expected.replace(" or ", ", ").split(",")]
    if len(known) == 1:
        return f"must be {known[0]}", ""
    return f"is none of {', '.join(known)}", _meant(str(given), known) or ""


def _unknown_key(place: Place, model: type[BaseModel]) -> Misfit:
    *parents, key = place
    known = list(_inner(model, parents).model_fields)
    inside = f"{'.'.join(map(str, parents))}: " if parents else ""
    mend = _meant(str(key), known) or f"known keys: {', '.join(known)}"
    return Misfit(place, f"{inside}there is no key {str(key)!r} here", mend)


def _meant(given: str, known: Sequence[str]) -> str | None:
    close = get_close_matches(given, known, n=1)
    return f"did you mean {close[0]}?" if close else None


def _inner(model: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel]:
    """The model of the part at a place."""
    for step in place:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = next(_models(field.annotation), model)
    return model


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
