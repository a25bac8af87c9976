"""Answers of ours as objects of the kind that was given."""

from __future__ import annotations

from typing import Any, Final

from judge.errors import InputError

_KEPT: Final = ("response_cost", "model_id", "custom_llm_provider")


def like(sample: Any, body: dict[str, Any]) -> Any:
    """A body in OpenAI's form as the kind of object that a sample is.

    Raises:
        InputError: that kind can't be made of it.
    """
    if isinstance(sample, dict):
        return keyed(type(sample), body, sample)
    return made(type(sample), body, sample)


def keyed(kind: type[Any], value: Any, sample: Any = None) -> Any:
    """JSON whose objects are of a class of dicts: its reader may go by their attributes.

    Args:
        kind: the class.
        value: JSON.
        sample: what stood in its place: an object in it may be of another class of dicts.

    Raises:
        InputError: the class has attributes of its own, and can't be made of it, or changes it.
    """
    if isinstance(value, list):
        first = sample[0] if isinstance(sample, list) and sample else None
        return [keyed(kind, item, first) for item in value]
    if not isinstance(value, dict):
        return value
    known = isinstance(sample, dict)
    kind = type(sample) if known else kind
    held = {key: keyed(kind, one, sample.get(key) if known else None) for key, one in value.items()}
    if kind is dict or kind.__module__ == "collections":  # which show their keys alone
        return held
    built, why = None, None
    try:
        built = kind(held)
    except Exception as error:  # noqa: BLE001 - one of others' classes may raise anything
        why = error
    if built == held:
        return built
    if hasattr(kind, "__getattr__"):
        raise _none_made(kind) from why
    return held  # as far as anybody knows, it is read by its keys


def made(kind: type[Any], body: dict[str, Any], sample: Any = None) -> Any:
    """A body in OpenAI's form as an object of a class.

    Raises:
        InputError: the class is none of OpenAI's, litellm's or pydantic's, or refuses the body.
    """
    try:
        if kind.__module__.split(".")[0] == "openai":
            built = kind.construct(**body)  # as the client itself does: it forgives providers
        else:
            built = kind(**body)
    except (AttributeError, TypeError, ValueError) as error:
        raise _none_made(kind) from error
    for hidden in ("_request_id", "_hidden_params"):
        own = getattr(sample, hidden, None)
        if isinstance(own, dict):
            own = {key: own[key] for key in _KEPT if key in own}
        if own is not None or kind.__module__.startswith("openai."):  # whose ids may be None
            setattr(built, hidden, own)
    return built


def _none_made(kind: type[Any]) -> InputError:
    return InputError(f"no {kind.__name__} can be made of a guarded answer")
