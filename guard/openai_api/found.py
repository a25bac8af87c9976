"""What reading one body collects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from guard.openai_api.errors import ApiError, upstream_unreadable
from guard.openai_api.parts import Dropped, Reason, TextPart, UnknownKeys, Unread

OMIT: Any = object()
"""What a rule gives for a value that is not forwarded."""


@dataclass(slots=True)
class Found:
    """What reading one body has found so far; fresh for each body."""

    unknown: UnknownKeys
    of_upstream: bool = False
    role: str = ""
    parts: list[TextPart] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def text(self, path: str, kind: str, text: str) -> None:
        """Report a text; an empty one says nothing."""
        if text:
            self.parts.append(TextPart(path, self.role, kind, text))

    def join(self, path: str) -> None:
        """Report the several texts of a content also as one.

        A model and a person read them so, and none may say alone what they say together.
        """
        inside = [p for p in self.parts if p.kind == "content" and p.path.startswith(f"{path}[")]
        if len(inside) > 1:
            self.text(path, "joined", "".join(part.text for part in inside))

    def drop(self, path: str, reason: Reason) -> Any:
        """Leave a value out, or refuse the body if the policy says so; gives OMIT."""
        if reason != "withheld" and self.unknown == "block":
            if self.of_upstream:
                raise upstream_unreadable(path)
            words = "an unknown key" if reason == "unknown" else "a value of the wrong type"
            raise ApiError(f"the body has {words}", code="unknown_parameter", param=path)
        self.dropped.append(Dropped(path, reason))
        return OMIT
