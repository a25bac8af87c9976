"""What is found in a body: texts to judge, what can't be judged, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

UnknownKeys = Literal["drop", "block"]
"""What happens to a key that the tables don't know: left out and listed, or the body is refused."""

Reason = Literal["unknown", "withheld", "wrong_type"]

NAMES = frozenset({"tool_name", "function_name"})
ARGUMENTS = frozenset({"tool_arguments", "function_arguments"})
"""The texts that are JSON inside a string."""
HELD_WHOLE = NAMES | ARGUMENTS

THINKING = frozenset({"reasoning_content", "reasoning"})
"""The texts that clients show above the answer."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """One text that a model or a person will read.

    Attributes:
        path: its place, such as `messages[3].content[0].text`; made of known keys and numbers, so
            that it may be logged.
        role: the message's role; "" outside messages.
        kind: what the text is: `content`, `reasoning_content`, `tool_arguments`, `schema`, ...
        text: the text as it stands in the body.
    """

    path: str
    role: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A picture, a sound or a file that goes to the model without having been read here."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value that is not forwarded.

    Attributes:
        path: its place; a key that the tables don't know is written `?`.
        reason: `unknown` key; `withheld`, a known key that is never forwarded; `wrong_type`, a
            known key whose value is not what the protocol says.
    """

    path: str
    reason: Reason


def unread_keys(dropped: Sequence[Dropped]) -> int:
    """How many keys were left out that the tables don't know, or not with such a value."""
    return sum(one.reason != "withheld" for one in dropped)


class Channel(NamedTuple):
    """One of the texts that a choice consists of.

    kind: `content`, `reasoning_content`, `reasoning`, `refusal`, `audio_transcript`, `tool_name`,
    `tool_arguments`, `function_name` or `function_arguments`; `tool`: the tool call's index.
    """

    kind: str
    tool: int | None = None

    def __str__(self) -> str:
        """How it is called in a path: `content`, `tool_arguments[0]`."""
        return self.kind if self.tool is None else f"{self.kind}[{self.tool}]"

    @property
    def is_whole(self) -> bool:
        """Whether it makes sense only when complete: released after all of it was judged."""
        return self.kind in HELD_WHOLE
