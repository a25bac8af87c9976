"""A guard around a LangChain agent: its model's questions and answers, its tools and their results.

    agent = create_agent(model, tools, middleware=[FlamesGuardMiddleware("policy.yaml")])

Needs the extra `langchain`. Put it last among the middleware: what one behind it adds to a question
goes to the model unread. The model's tokens are not streamed, nor those of models that tools ask:
LangGraph hands them out while a model speaks, before anything could be judged; a message goes out
whole, once it has passed. An agent that is asked by a tool needs a guard of its own where a client
streams with `subgraphs`.
Callbacks and traces see what the model said, as they do without a guard.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langgraph.constants import TAG_NOSTREAM
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from guard.agent_texts import CONTENT, arguments_of, body_for, parts_of, turns_of
from guard.answers import look_at_body, look_at_texts
from guard.bridge import run
from guard.chat import asked_by, hint_of, request_in, tries_of
from guard.decision import Decision, merged
from guard.engine import Asked, Guard, Told
from guard.errors import Blocked, GuardUnavailable
from guard.foreign_media import unread_in
from guard.json_replies import texts_of
from guard.loading import load_guard
from guard.objects import OPAQUE, plain
from guard.policy import Policy, Side

Request = ModelRequest[Any]
Answer = ModelResponse[Any] | ExtendedModelResponse[Any]
ToolAnswer = ToolMessage | Command[Any]

WITHHELD: Final = "…"
"""What stands in the agent's memory for a question that was withheld: else it would be found again
with the next one."""


class FlamesGuardMiddleware(AgentMiddleware[Any, Any, Any]):
    """Judges what goes into the agent's model and what comes out of it.

    Whatever goes to the model (prompts, turns, tools' results) is judged as input, its answers and
    tool calls as output. What is withheld is answered in the policy's words, and the agent ends; a
    tool's result that is withheld is replaced by them.

    Args:
        guard: a guard, a policy, or a policy file.
        raises: raise `Blocked` instead of answering in the policy's words.

    Raises:
        InputError: the policy can't be kept.
    """

    def __init__(self, guard: Guard | Policy | Path | str, *, raises: bool = False) -> None:
        super().__init__()
        self._guard = guard if isinstance(guard, Guard) else load_guard(guard)
        self._raises = raises

    def wrap_model_call(self, request: Request, handler: Callable[[Request], Any]) -> Any:
        """Judge the question, ask the model, judge its answer, and ask again if the policy says so.

        Raises:
            Blocked: a text is withheld, and that is to raise.
            GuardUnavailable: a text could not be checked.
        """
        turn = _Turn(self._guard, request, raises=self._raises)
        refusal = run(turn.begin())
        if refusal is not None:
            return refusal
        while True:
            answer = run(turn.judge(handler(turn.request)))
            if answer is not None:
                return answer

    async def awrap_model_call(
        self, request: Request, handler: Callable[[Request], Awaitable[Any]]
    ) -> Any:
        """The same in asynchronous code."""
        turn = _Turn(self._guard, request, raises=self._raises)
        refusal = await turn.begin()
        if refusal is not None:
            return refusal
        while True:
            answer = await turn.judge(await handler(turn.request))
            if answer is not None:
                return answer

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolAnswer]
    ) -> ToolAnswer:
        """Scan a tool's arguments once more, as others may have changed them; judge its result.

        Raises:
            Blocked: a text is withheld, and that is to raise.
            GuardUnavailable: a text could not be checked.
        """
        use = _ToolUse(self._guard, _hushed(request), raises=self._raises)
        refusal = run(use.begin())
        return run(use.judge(handler(request))) if refusal is None else refusal

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolAnswer]]
    ) -> ToolAnswer:
        """The same in asynchronous code."""
        use = _ToolUse(self._guard, _hushed(request), raises=self._raises)
        refusal = await use.begin()
        return await use.judge(await handler(request)) if refusal is None else refusal


class _Exchange:
    """What is common to a model's turn and a tool's use."""

    asked: Asked

    def __init__(self, guard: Guard, *, raises: bool) -> None:
        self._guard, self._raises = guard, raises

    def withheld(self, decision: Decision, side: Side) -> str:
        """The policy's message.

        Raises:
            Blocked: that is to raise.
            GuardUnavailable: the text could not be checked.
        """
        if decision.failed:
            raise GuardUnavailable(side)
        message = decision.message(self._guard.policy, self.asked.prompt)
        if self._raises and decision.action != "replace":
            raise Blocked(message, side)
        return message


class _Turn(_Exchange):
    """One question to the model, and its answers."""

    def __init__(self, guard: Guard, request: Request, *, raises: bool) -> None:
        super().__init__(guard, raises=raises)
        self._body = body_for(request)
        self._read = request_in(self._body)
        name = uuid.uuid4().hex
        self.asked = Asked(request_id=name) if self._read is None else asked_by(self._read, name)
        self.request = request.override(model=_silent(request.model))
        self._tries = 0

    async def begin(self) -> Answer | None:
        """The answer to a question that the model is not asked."""
        decision, parts = await look_at_body(self._guard, self._read, self._body, self.asked)
        await self._guard.record(decision, parts, self.asked, Told())
        if not decision.stops:
            return None
        said = _said(self.withheld(decision, "input"), decision)
        forgotten = [
            message.model_copy(update={"content": WITHHELD}) for message in _newest(self.request)
        ]
        return ExtendedModelResponse(said, Command(update={"messages": forgotten}))

    async def judge(self, answer: Any) -> Any:
        """What the agent gets for an answer; None where the model is to be asked once more."""
        given = answer.model_response if isinstance(answer, ExtendedModelResponse) else answer
        messages = [given] if isinstance(given, AIMessage) else given.result
        bodies = [plain(message) for message in messages]
        parts = [part for body in bodies for part in parts_of(body)]
        decision = await look_at_texts(self._guard, parts, self.asked)
        if unread := unread_in([body.get("content") for body in bodies]):
            decision = merged(decision, self._guard.unread("output", unread))
        again = self._tries < tries_of(decision)
        done = decision if again else decision.withheld()
        await self._guard.record(done, parts, self.asked, Told())
        if again:
            self._tries += 1
            self.request = _hinted(self.request, hint_of(decision, self.asked.prompt))
            return None
        return _said(self.withheld(done, "output"), done) if done.stops else answer


class _ToolUse(_Exchange):
    """One call of a tool."""

    def __init__(self, guard: Guard, request: ToolCallRequest, *, raises: bool) -> None:
        super().__init__(guard, raises=raises)
        self._call = request.tool_call
        self._direct = getattr(request.tool, "return_direct", False)
        state = request.state if isinstance(request.state, dict) else {}
        read = request_in({"messages": turns_of(state.get("messages") or [])})
        name = uuid.uuid4().hex
        self.asked = Asked(request_id=name) if read is None else asked_by(read, name)

    async def begin(self) -> ToolMessage | None:
        """The result of a tool that is not called. The judge has seen its arguments already."""
        parts = arguments_of([self._call])
        decision = (await self._guard.look("output", parts, self.asked, judged=False)).withheld()
        if not decision.stops:
            return None
        await self._guard.record(decision, parts, self.asked, Told())
        return self._message(self.withheld(decision, "output"))

    async def judge(self, result: ToolAnswer) -> ToolAnswer:
        """The result as the model may see it, or the user, to whom some tools answer directly."""
        value = plain(result)
        parts = texts_of(None if value is OPAQUE else value, CONTENT)
        decision = await self._guard.look("input", parts, self.asked)
        await self._guard.record(decision, parts, self.asked, Told())
        if self._direct and not decision.stops:
            decision = (await look_at_texts(self._guard, parts, self.asked)).withheld()
            await self._guard.record(decision, parts, self.asked, Told())
        return self._message(self.withheld(decision, decision.side)) if decision.stops else result

    def _message(self, text: str) -> ToolMessage:
        name, call = self._call["name"], self._call["id"] or ""
        return ToolMessage(text, tool_call_id=call, name=name, status="error")


def _said(message: str, decision: Decision) -> ModelResponse[Any]:
    """An answer of the policy's: without tool calls, so that the agent ends."""
    finish = "stop" if decision.action == "replace" else "content_filter"
    about = {"finish_reason": finish, "flames_decision": decision.status}
    return ModelResponse([AIMessage(message, response_metadata=about)])


def _hushed(request: ToolCallRequest) -> ToolCallRequest:
    """The request of a tool: nor do the models that it asks stream their tokens, like ours."""
    config = getattr(request.runtime, "config", None)
    if isinstance(config, dict):  # this call's own, with which the tool is run
        config["tags"] = [*(config.get("tags") or ()), TAG_NOSTREAM]
    return request


def _silent(model: BaseChatModel) -> BaseChatModel:
    """The model, marked so that LangGraph does not stream its tokens before they were judged."""
    return model.model_copy(update={"tags": [*(model.tags or ()), TAG_NOSTREAM]})


def _hinted(request: Request, hint: str) -> Request:
    """The request once more, with a hint behind its system prompt."""
    given = request.system_message
    content = "" if given is None else given.text
    system = SystemMessage(f"{content}\n\n{hint}" if content else hint)
    return request.override(system_message=system)


def _newest(request: Request) -> list[Any]:
    """The messages of the agent's memory that no answer has followed."""
    answers = [n for n, one in enumerate(request.messages) if isinstance(one, AIMessage)]
    newest = request.messages[answers[-1] + 1 if answers else 0 :]
    return [one for one in newest if one.id is not None]  # others are there for this call alone
