"""What the readers of a stream work with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from guard.decision import Decision
from guard.engine import Asked, Guard
from guard.policy import Mode
from guard.texts.emptied import NAMES
from guard.texts.json_replies import REPLIES, Paths

# Of streams and answers in OpenAI's older form, and of chunks among an application's own events.
_OPENAI: Final = ("choices[*].text", "choices[*].delta.content")


@dataclass(frozen=True)
class Form:
    """An application's own form of answers.

    Args:
        replies: JSON paths of what the user reads, where the policy's message goes; the usual
            names follow them.
        names: keys whose values are identifiers: in a stream they change without being a text.
        end: what ends a stream, as `data: [DONE]`: it follows the policy's message where an answer
            is stopped midway. Without it the stream just ends, except that `"done": false` becomes
            true.

    Raises:
        InputError: one of `replies` is no path into JSON.
    """

    replies: Sequence[str] = ()
    names: Sequence[str] = ()
    end: str = ""
    reply_paths: Paths = field(init=False, repr=False)
    name_keys: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "reply_paths", Paths.parse([*self.replies, *REPLIES, *_OPENAI]))
        own(self, "name_keys", frozenset({*self.names, *NAMES}))

    def answer(self, message: str) -> Any:
        """JSON of ours, where the application has given none that could be followed."""
        steps = self.reply_paths.paths[0].steps if self.replies else ()
        names = [step for step in steps if isinstance(step, str)]
        if not names or len(names) < len(steps):
            names = ["reply"]
        value: Any = message
        for name in reversed(names):
            value = {name: value}
        return value


@dataclass(frozen=True)
class Setting:
    """One answer that streams.

    Args:
        guard: decides.
        asked: what is answered.
        form: the application's.
        n: how many choices were asked for, where the answer is in OpenAI's form; None where nobody
            knows.
    """

    guard: Guard
    asked: Asked
    form: Form
    n: int | None = None

    @property
    def mode(self) -> Mode:
        """How streams are let through."""
        return self.guard.policy.stream.mode

    def message(self, decision: Decision) -> str:
        """The policy's, in the language of the question."""
        return decision.message(self.guard.policy, self.asked.prompt)
