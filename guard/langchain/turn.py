"""One question to a LangChain agent's model, and its answers, on their way through the guard."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langgraph.types import Command

from guard.answers import look_at_body, look_at_texts
from guard.chat import asked_by, hint_of, request_in, tries_of
from guard.decision import Decision, merged
from guard.engine import Asked, Guard
from guard.errors import OnBlock, message_for
from guard.langchain.memory import blank, held, instructions, named, parted, removed
from guard.langchain.texts import body_for, parts_of, turns_of, without_logprobs
from guard.policy import Side
from guard.texts.foreign_media import unread_in
from guard.texts.objects import plain

Request = ModelRequest[Any]
Answer = ModelResponse[Any] | ExtendedModelResponse[Any]


class Exchange:
    """What is common to a model's turn and a tool's use."""

    asked: Asked

    def __init__(self, guard: Guard, on_block: OnBlock) -> None:
        self._guard, self._on_block = guard, on_block

    def withheld(self, decision: Decision, side: Side) -> str:
        """The policy's message; raises as `guard.errors.message_for`."""
        policy, prompt = self._guard.policy, self.asked.prompt
        return message_for(decision, policy, prompt, side, self._on_block)


class Turn(Exchange):
    """One question to the model, and its answers."""

    def __init__(self, guard: Guard, request: Request, on_block: OnBlock) -> None:
        super().__init__(guard, on_block)
        self._name, self._tries = uuid.uuid4().hex, 0
        self._memory: list[Any] = request.state.get("messages") or []
        self._forgotten: list[BaseMessage] = []
        self.request = request
        self._unhinted: Request | None = None

    async def begin(self) -> Answer | None:
        """The answer to a question that the model is not asked."""
        messages = named(self.request.messages, self._memory)
        earlier, question = parted(messages, self._memory)
        decision = await self._look([*earlier, *question])
        if decision.stops and earlier:
            decision = await self._without_harm(earlier, question, decision)
        await self._guard.record(decision, self._parts, self.asked)
        if not decision.stops:
            return None
        said = _said(self.withheld(decision, "input"), decision)
        if [await self._passing(one) for one in question] == question:  # it harms as a whole
            self._forgotten += map(blank, question)
        return self._remembering(said)

    async def judge(self, answer: Any) -> Any:
        """What the agent gets for an answer; None where the model is to be asked once more."""
        given = ModelResponse([answer]) if isinstance(answer, AIMessage) else answer
        given = replace(given, result=[without_logprobs(message) for message in given.result])
        bodies = [plain(message) for message in given.result]
        parts = [part for body in bodies for part in parts_of(body)]
        decision = await look_at_texts(self._guard, parts, self.asked)
        if unread := unread_in([body.get("content") for body in bodies]):
            decision = merged(decision, self._guard.unread("output", unread))
        again = self._tries < tries_of(decision)
        done = decision if again else decision.withheld()
        await self._guard.record(done, parts, self.asked)
        if again:
            self._tries += 1
            self._unhinted = self._unhinted or self.request
            self.request = _hinted(self._unhinted, hint_of(decision, self.asked.prompt))
            return None
        return self._remembering(
            _said(self.withheld(done, "output"), done) if done.stops else given
        )

    async def _without_harm(
        self, earlier: list[BaseMessage], question: list[BaseMessage], whole: Decision
    ) -> Decision:
        """The decision about a question that was withheld with what stands before it.

        Where it passes without what harms there, the request is without that as well.
        """
        parts, asked = self._parts, self.asked
        alone = await self._look([*instructions(earlier), *question])
        if alone.stops:
            return alone
        kept = [await self._passing(one) for one in earlier]
        now = await self._look([*kept, *question])
        if now.stops:
            if not (await self._apart(kept)).stops:
                return now  # they harm together, and the question is what came last
            self._forgotten += removed(earlier)
            now = await self._look([*instructions(earlier), *question])
        await self._guard.record(whole, parts, asked)
        return now

    async def _passing(self, message: BaseMessage) -> BaseMessage:
        """The message, or a blank where it is withheld by itself.

        What could not be checked is left out this time, and forgotten only where it harms.
        """
        decision = await self._apart([message])
        if not decision.stops:
            return message
        self._forgotten += [] if decision.failed else [blank(message)]
        return blank(message)

    async def _look(self, messages: list[Any]) -> Decision:
        """Take up the request with these messages, and look at it as the model would get it."""
        self.request = self.request.override(messages=messages)
        body = body_for(self.request)
        read, name = request_in(body), self._name
        self.asked = Asked(request_id=name) if read is None else asked_by(read, name)
        decision, self._parts = await look_at_body(self._guard, read, body, self.asked)
        return decision

    async def _apart(self, messages: list[BaseMessage]) -> Decision:
        """Look at some messages by themselves."""
        body = {"messages": turns_of(messages)}
        decision, _ = await look_at_body(self._guard, request_in(body), body, self.asked)
        return decision

    def _remembering(self, said: ModelResponse[Any]) -> Answer:
        """An answer, with what is to be forgotten in the agent's memory."""
        gone = held(self._forgotten, self._memory)
        return ExtendedModelResponse(said, Command(update={"messages": gone})) if gone else said


def _said(message: str, decision: Decision) -> ModelResponse[Any]:
    """An answer of the policy's: without tool calls, so that the agent ends."""
    about = {"finish_reason": decision.finish, "flames_decision": decision.status}
    return ModelResponse([AIMessage(message, response_metadata=about)])


def _hinted(request: Request, hint: str) -> Request:
    """The request once more, with a hint behind its system prompt."""
    given = request.system_message
    content = "" if given is None else given.text
    system = SystemMessage(f"{content}\n\n{hint}" if content else hint)
    return request.override(system_message=system)
