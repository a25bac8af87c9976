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
        return body
    return made(type(sample), body, sample)


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
        raise InputError(f"no {kind.__name__} can be made of a guarded answer") from error
    for hidden in ("_request_id", "_hidden_params"):
        own = getattr(sample, hidden, None)
        if isinstance(own, dict):
            own = {key: own[key] for key in _KEPT if key in own}
        if own is not None or kind.__module__.startswith("openai."):  # whose ids may be None
            setattr(built, hidden, own)
    return built
