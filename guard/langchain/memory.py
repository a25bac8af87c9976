"""What stands in a LangChain agent's memory for a message that was withheld. Pure.

What is withheld must not stay there: it would be found again with every later question. The
message is replaced and not removed, since providers refuse a tool's result without its call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

WITHHELD: Final = "…"

Messages = Sequence[BaseMessage]


def blank(message: BaseMessage) -> BaseMessage:
    """A message in place of another, with nothing of it but its identifier and those of its calls.

    The application's own words stay: it would else go on without its instructions.
    """
    if isinstance(message, SystemMessage):
        return message
    if isinstance(message, ToolMessage):
        return ToolMessage(WITHHELD, id=message.id, tool_call_id=message.tool_call_id)
    if isinstance(message, AIMessage):
        calls = (*message.tool_calls, *message.invalid_tool_calls)
        kept: Any = [
            {"name": call["name"] or WITHHELD, "args": {}, "id": call["id"]} for call in calls
        ]
        return AIMessage(WITHHELD, id=message.id, tool_calls=kept)
    return HumanMessage(WITHHELD, id=message.id)


def named(messages: Messages, memory: Messages) -> list[BaseMessage]:
    """The messages, each by the memory's name for it: middleware may have copied them without."""
    taken = _names(messages)
    free = [one for one in reversed(memory) if one.id not in taken]
    said: list[BaseMessage] = []
    for one in reversed(messages):
        same = (old for old in free if type(old) is type(one) and old.content == one.content)
        found = next(same, None) if one.id is None else None
        if found is None:
            said.append(one)
            continue
        free.remove(found)
        said.append(one.model_copy(update={"id": found.id}))
    return said[::-1]


def parted(messages: Messages, memory: Messages) -> tuple[list[BaseMessage], list[BaseMessage]]:
    """What stands before the newest question, and the question with what followed it.

    It is the last user's message that the memory has. Those before it can't be answered any more,
    though none may have followed: a run that was broken off leaves its question in the memory, or
    calls without results, which providers refuse; blanks stand for these.
    """
    known = _names(memory)
    users = (n for n, one in enumerate(messages) if isinstance(one, HumanMessage))
    start = max((n for n in users if messages[n].id in known), default=0)
    given = {one.tool_call_id for one in messages if isinstance(one, ToolMessage)}
    earlier: list[BaseMessage] = []
    for one in messages[:start]:
        calls = one.tool_calls if isinstance(one, AIMessage) else ()
        names = [call["id"] for call in calls if call["id"] is not None]
        missing = [name for name in names if name not in given]
        earlier += [one, *(ToolMessage(WITHHELD, tool_call_id=name) for name in missing)]
    return earlier, list(messages[start:])


def instructions(messages: Messages) -> list[BaseMessage]:
    """The application's own among them."""
    return [one for one in messages if isinstance(one, SystemMessage)]


def removed(messages: Messages) -> list[BaseMessage]:
    """What takes all of them out, but the application's own."""
    own = instructions(messages)
    return [RemoveMessage(one.id) for one in messages if one not in own and one.id is not None]


def held(messages: Messages, memory: Messages) -> list[BaseMessage]:
    """Those of the messages whose places the memory has: others were there for one call alone."""
    known = _names(memory)
    return [one for one in messages if one.id in known]


def _names(messages: Messages) -> set[str | None]:
    return {one.id for one in messages} - {None}
