"""OpenAI-style `messages` -> the prompt, the answer and the turns before them. Pure.

The last turn is the answer if it is the assistant's; the prompt is the last user turn; every other
turn that says something is history.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic_core import from_json

from judge.records import Turn, UnreadableRowError

_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
}
_TEXT_PARTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}


class Conversation(NamedTuple):
    """A conversation taken apart.

    Attributes:
        before: the turns before the prompt.
        prompt: the newest user turn.
        behind: the turns between it and the answer: an instruction, a begun answer.
        answer: None when the last turn isn't the assistant's.
    """

    before: tuple[Turn, ...]
    prompt: str
    behind: tuple[Turn, ...]
    answer: str | None

    @property
    def asked(self) -> tuple[Turn, ...]:
        """What a model is told beside the prompt, which it has to be asked last."""
        return self.before + self.behind

    @property
    def told(self) -> tuple[Turn, ...]:
        """What a judge of the answer is told beside the prompt.

        All turns where some stand behind the prompt, which the answer goes on from: it is their
        order that says what they mean.
        """
        question = Turn(role="user", content=self.prompt)
        return (*self.before, question, *self.behind) if self.behind else self.before


def conversation(messages: object) -> Conversation:
    """Take a conversation apart.

    Args:
        messages: a list of `{role, content}`, or its JSON text (a cell of a table).

    Raises:
        UnreadableRowError: not such a list, a turn that isn't text, or no user turn.
    """
    said = turns(messages, "messages")
    answer = said.pop().content if said and said[-1].role == "assistant" else None
    asked = [place for place, turn in enumerate(said) if turn.role == "user"]
    if not asked:
        raise UnreadableRowError("`messages` has no user turn", "add the prompt as a user turn")
    place = asked[-1]
    before, behind = spoken(said[:place]), spoken(said[place + 1 :])
    return Conversation(before, said[place].content, behind, answer)


def spoken(said: Iterable[Turn]) -> tuple[Turn, ...]:
    """Those of the turns that say something."""
    return tuple(turn for turn in said if turn.content)


def turns(value: object, field: str) -> list[Turn]:
    """The turns of a list of messages, or of its JSON text.

    Raises:
        UnreadableRowError: names `field`, and the turn by its number.
    """
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError:
            value = None
    if not isinstance(value, list):
        mend = 'write [{"role": "user", "content": "..."}, ...]'
        raise UnreadableRowError(f"`{field}` is not a list of turns", mend)
    return [_turn(turn, f"turn {number} of `{field}`") for number, turn in enumerate(value, 1)]


def _turn(value: object, place: str) -> Turn:
    role = value.get("role") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(role, str) or role.lower() not in _ROLES:
        mend = "leave out tool calls and their results"
        raise UnreadableRowError(f"{place} has no role system, user or assistant", mend)
    text = _text(value.get("content"))
    if text is None:
        text = _text(value.get("refusal"))  # where OpenAI puts a refusal, with `content: null`
    if text is None:
        raise UnreadableRowError(f"{place} is not text", "leave out images, files and tool calls")
    return Turn(role=_ROLES[role.lower()], content=text)


def _text(content: object) -> str | None:
    """The text of a message: a string, or a list of text parts joined by newlines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    parts = [_part(part) for part in content]
    return None if None in parts else "\n".join(part for part in parts if part is not None)


def _part(part: object) -> str | None:
    if not isinstance(part, dict):
        return part if isinstance(part, str) else None
    text = part.get(_TEXT_PARTS.get(str(part.get("type")), ""))
    return text if isinstance(text, str) else None
