"""What stands around the choices of an answer: identifiers and counts, never a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guard.openai_api.found import Found
from guard.openai_api.identifiers import SERVICE_TIERS, is_count, is_identifier, is_one_of
from guard.openai_api.response_keys import (
    COUNTS,
    ENVELOPE_COUNTS,
    ENVELOPE_NAMES,
    ENVELOPE_WITHHELD,
)

MAX_INDEX = 1024
"""Choices and tool calls are numbered below this."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The identifiers that every chunk of an answer repeats; other strings are left out."""

    id: str = ""
    model: str = ""
    created: int = 0
    system_fingerprint: str | None = None
    service_tier: str | None = None

    def body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """An object of this answer: `chat.completion` or `chat.completion.chunk`."""
        built: dict[str, Any] = {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
        }
        if self.system_fingerprint is not None:
            built["system_fingerprint"] = self.system_fingerprint
        if self.service_tier is not None:
            built["service_tier"] = self.service_tier
        return {**built, "choices": choices}

    def or_else(self, other: Envelope) -> Envelope:
        """The envelope with what it lacks taken from another."""
        return Envelope(
            self.id or other.id,
            self.model or other.model,
            self.created or other.created,
            self.system_fingerprint or other.system_fingerprint,
            self.service_tier or other.service_tier,
        )


def read_envelope(value: Mapping[str, Any], found: Found) -> tuple[Envelope, dict[str, Any]]:
    """The identifiers, and the counts (`usage`, ...) by their key: all but the choices."""
    names: dict[str, str] = {}
    counts: dict[str, Any] = {}
    created = 0
    for key, item in value.items():
        if item is None or key in ("choices", "object", "error"):
            continue
        if key in ENVELOPE_NAMES:
            tier = key == "service_tier"
            if is_one_of(item, SERVICE_TIERS) if tier else is_identifier(item):
                names[key] = item
            elif item != "":
                found.drop(key, "withheld")
        elif key in ENVELOPE_COUNTS:
            counts[key] = COUNTS.read(item, key, found)
        elif key == "created":
            created = int(item) if is_count(item) else 0
        elif key in ENVELOPE_WITHHELD:
            found.drop(key, "withheld")
        else:
            found.drop("?", "unknown")
    return Envelope(created=created, **names), {
        k: v for k, v in counts.items() if isinstance(v, dict)
    }


def added_usage(
    first: dict[str, Any] | None, second: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The tokens of two calls together; None where those of either are unknown."""
    if first is None or second is None:
        return None
    total = dict(first)
    for key, value in second.items():
        before = total.get(key)
        if isinstance(value, dict):
            total[key] = added_usage(before if isinstance(before, dict) else {}, value)
        elif isinstance(value, int | float) and isinstance(before, int | float):
            total[key] = before + value
        else:
            total.setdefault(key, value)
    return total


def read_index(value: object, default: int) -> int | None:
    """A choice's or a tool call's number; None when it is no such number."""
    if value is None:
        return default
    return value if type(value) is int and 0 <= value < MAX_INDEX else None
