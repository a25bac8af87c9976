"""A guard around a LangChain agent: its model's questions and answers, its tools and their results.

    agent = create_agent(model, tools, middleware=[FlamesGuardMiddleware("policy.yaml")])

Needs the extra `langchain`. Put it last among the middleware: what one behind it adds to a question
goes to the model unread. The model's tokens are not streamed, nor those of models that tools ask:
LangGraph hands them out while a model speaks, before anything could be judged; a message goes out
whole, once it has passed. `astream_events` (v1, v2) and `astream_log` have no events of the model
and the tools, but those of the steps that they run in. An agent that is asked by a tool needs a
guard of its own where a client streams with `subgraphs`, as v3 of `astream_events` does. What a
tool streams itself, by `get_stream_writer`, goes out when the tool has ended and it has passed;
what it asks by `interrupt` goes out unread.
Callbacks and traces see what the model said, as they do without a guard. Of what an answer tells
about itself log probabilities are left out; of a tool's artifact what is no JSON goes unread.

A question is judged with all that stands before it. Where that is withheld, the question decides by
itself: if it passes, it is answered without what harms before it. For a message that was withheld
the agent's memory has "…": at once, or with the next question where `Blocked` was raised.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from guard.answers import look_at_texts
from guard.bridge import run
from guard.chat import asked_by, request_in
from guard.decision import merged
from guard.engine import Asked, Guard
from guard.errors import OnBlock
from guard.langchain.runs import unheard_inside, unheard_tool
from guard.langchain.texts import CONTENT, arguments_of, turns_of
from guard.langchain.turn import Exchange, Request, Turn
from guard.loading import load_guard
from guard.policy import Policy
from guard.texts.foreign_media import unread_in
from guard.texts.framed import framed_beside
from guard.texts.json_replies import texts_of
from guard.texts.objects import OPAQUE, is_readable, plain
from judge.errors import InputError

ToolAnswer = ToolMessage | Command[Any]


class FlamesGuardMiddleware(AgentMiddleware[Any, Any, Any]):
    """Judges what goes into the agent's model and what comes out of it.

    Whatever goes to the model (prompts, turns, tools' results) is judged as input, its answers and
    tool calls as output. What is withheld is answered in the policy's words, and the agent ends; a
    tool's result that is withheld is replaced by them.

    Args:
        guard: a guard, a policy, or a policy file.
        on_block: `answer` gives the policy's words in place of a text that is withheld; `raise`
            raises `Blocked`.

    Raises:
        InputError: the policy can't be kept, or `on_block` is neither.
    """

    def __init__(self, guard: Guard | Policy | Path | str, *, on_block: OnBlock = "answer") -> None:
        super().__init__()
        if on_block not in get_args(OnBlock):
            mend = "write 'answer' or 'raise'"
            raise InputError(f"on_block={on_block!r} is not known", mend=mend)
        self._guard = guard if isinstance(guard, Guard) else load_guard(guard)
        self._on_block = on_block

    def wrap_model_call(self, request: Request, handler: Callable[[Request], Any]) -> Any:
        """Judge the question, ask the model, judge its answer, and ask again if the policy says so.

        Raises:
            Blocked: a text is withheld, and that is to raise.
            GuardUnavailable: a text could not be checked.
        """
        turn = Turn(self._guard, request, self._on_block)
        refusal = run(turn.begin())
        if refusal is not None:
            return refusal
        while True:
            with unheard_inside():
                said = handler(turn.request)
            answer = run(turn.judge(said))
            if answer is not None:
                return answer

    async def awrap_model_call(
        self, request: Request, handler: Callable[[Request], Awaitable[Any]]
    ) -> Any:
        """The same in asynchronous code."""
        turn = Turn(self._guard, request, self._on_block)
        refusal = await turn.begin()
        if refusal is not None:
            return refusal
        while True:
            with unheard_inside():
                said = await handler(turn.request)
            answer = await turn.judge(said)
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
        use = _ToolUse(self._guard, request, self._on_block)
        refusal = run(use.begin())
        if refusal is not None:
            return refusal
        result = handler(use.request)
        for piece in run(use.streamed()):
            request.runtime.stream_writer(piece)
        return run(use.judge(result))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolAnswer]]
    ) -> ToolAnswer:
        """The same in asynchronous code."""
        use = _ToolUse(self._guard, request, self._on_block)
        refusal = await use.begin()
        if refusal is not None:
            return refusal
        result = await handler(use.request)
        for piece in await use.streamed():
            request.runtime.stream_writer(piece)
        return await use.judge(result)


class _ToolUse(Exchange):
    """One call of a tool."""

    def __init__(self, guard: Guard, request: ToolCallRequest, on_block: OnBlock) -> None:
        super().__init__(guard, on_block)
        self._written: list[Any] = []
        self.request = unheard_tool(request, self._written.append)
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
        await self._guard.record(decision, parts, self.asked)
        return self._message(self.withheld(decision, "output"))

    async def streamed(self) -> list[Any]:
        """What the tool has streamed, as a whole; nothing where it is withheld."""
        written = list(self._written)  # what it left running may go on
        if not written:
            return []
        pieces = plain(written)
        lines = "\n".join(json.dumps(piece, ensure_ascii=False) for piece in pieces)
        parts = [*texts_of(pieces, CONTENT), *await framed_beside(lines)]  # also put together
        decision = (await look_at_texts(self._guard, parts, self.asked)).withheld()
        if unread := unread_in(pieces) or ["stream_writer"] * (not is_readable(written)):
            decision = merged(decision, self._guard.unread("output", unread))
        await self._guard.record(decision, parts, self.asked)
        if decision.stops:
            self.withheld(decision, "output")
        return [] if decision.stops else written

    async def judge(self, result: ToolAnswer) -> ToolAnswer:
        """The result as the model may see it, or the user, to whom some tools answer directly."""
        value = plain(result)
        parts = texts_of(None if value is OPAQUE else value, CONTENT)
        decision = await look_at_texts(self._guard, parts, self.asked, "input")
        await self._guard.record(decision, parts, self.asked)
        if self._direct and not decision.stops:
            decision = (await look_at_texts(self._guard, parts, self.asked)).withheld()
            if unread := unread_in(value["content"] if isinstance(result, ToolMessage) else value):
                decision = merged(decision, self._guard.unread("output", unread))
            await self._guard.record(decision, parts, self.asked)
        return self._message(self.withheld(decision, decision.side)) if decision.stops else result

    def _message(self, text: str) -> ToolMessage:
        name, call = self._call["name"], self._call["id"] or ""
        return ToolMessage(text, tool_call_id=call, name=name, status="error")
