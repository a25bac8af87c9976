"""What a LangChain agent's model reads and says, as texts: messages and tools in OpenAI's form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from langchain.agents.middleware.types import ModelRequest
from langchain_core.messages import BaseMessage
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool

from guard.decision import Part
from guard.texts.json_replies import Paths, texts_of
from guard.texts.objects import plain

CONTENT: Final = Paths.parse(["content", "content[*].text", "update.messages[*].content"])
_ROLES: Final = {"ai": "assistant", "system": "system", "tool": "tool"}


def body_for(request: ModelRequest[Any]) -> dict[str, Any]:
    """What the model will read, in OpenAI's form."""
    system = [] if request.system_message is None else [request.system_message]
    tools = [plain(_told(tool)) for tool in request.tools]
    return {"messages": turns_of([*system, *request.messages]), "tools": tools}


def _told(tool: Any) -> Any:
    """A tool as its model hears of it: its parameters have descriptions too."""
    try:
        return tool if isinstance(tool, dict) else convert_to_openai_tool(tool)
    except (AttributeError, RuntimeError, TypeError, ValueError):  # its parameters have no schema
        return {"name": tool.name, "description": tool.description}


def turns_of(messages: list[Any]) -> list[Any]:
    """Messages in OpenAI's form, as far as they have it."""
    return [_message(message) for message in messages]


def _message(message: Any) -> Any:
    try:
        return plain(convert_to_openai_messages(message))
    except (AttributeError, TypeError, ValueError):  # a block of a kind that OpenAI has not
        own = plain(message)
        return (
            own | {"role": _ROLES.get(str(own.get("type")), "user")}
            if isinstance(own, dict)
            else own
        )


def parts_of(body: dict[str, Any]) -> list[Part]:
    """The texts of an answer, and what its provider tells about it."""
    return [*texts_of(body, CONTENT), *arguments_of(body.get("tool_calls") or ())]


def without_logprobs(message: BaseMessage) -> BaseMessage:
    """A message without its log probabilities: their tokens are nothing that could be judged."""
    about = message.response_metadata
    if not about.get("logprobs"):
        return message
    return message.model_copy(update={"response_metadata": {**about, "logprobs": None}})


def arguments_of(calls: Sequence[Any]) -> list[Part]:
    """Tool calls' arguments as one text each, in which a single word counts too."""
    values = [plain(call["args"]) for call in calls]
    return [Part("tool_calls", json.dumps(value, ensure_ascii=False)) for value in values]
