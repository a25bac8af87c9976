"""What a completion of litellm's holds, whatever the provider left out of it."""

from __future__ import annotations

from typing import Any

from judge.verdict import Usage


def spoken(raw: Any) -> str:
    """What the model wrote. Half a surrogate pair, left by a cut, can't be written as UTF-8."""
    content: str = raw.choices[0].message.content or _refusal(raw.choices[0].message) or ""
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _refusal(message: Any) -> str | None:
    fields = getattr(message, "provider_specific_fields", None) or {}
    return getattr(message, "refusal", None) or fields.get("refusal")


def usage_of(raw: Any) -> Usage:
    """The tokens; null where the provider didn't say, for which litellm puts zeros."""
    usage = getattr(raw, "usage", None)
    prompt = getattr(usage, "prompt_tokens", None)
    completion = getattr(usage, "completion_tokens", None)
    if not prompt and not completion:
        return Usage()
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None)
    return Usage(prompt=prompt, cached=cached, completion=completion)
