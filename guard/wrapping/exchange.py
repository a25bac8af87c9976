"""One call of a chat function on its way through the guard: what all kinds of calls share."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from guard.answers import body_of, look_at_answer, look_at_texts
from guard.chat import decided_about, tries_of
from guard.decision import Decision, Finish, Part
from guard.engine import Facts, Guard
from guard.errors import AnswerBroken, Blocked, OnBlock, message_for
from guard.openai_api import ApiError, is_completion, read_completion, unread_keys
from guard.policy import Side
from guard.texts.emptied import said_in
from guard.texts.framed import framed_beside
from guard.texts.json_replies import REPLIES, Paths, texts_of
from guard.texts.objects import OPAQUE, is_readable, plain
from guard.texts.remade import keyed, like
from guard.wrapping.older import OLDER, as_chat, as_older
from guard.wrapping.parsed import parsed_again, read_as_parsed
from guard.wrapping.question import Call
from judge.errors import InputError

AGAIN: Final = object()
"""In place of an answer: the model is to be asked once more."""

_REPLIES = Paths.parse([*REPLIES, "choices[*].text"])


class Refusal(NamedTuple):
    """A question that is answered without the model: with these words."""

    message: str
    finish: Finish
    n: int


class Exchange:
    """A question and its answers.

    Args:
        guard: decides.
        call: the question.
        on_block: whether a text that is withheld is answered in the policy's words, or raises.
    """

    def __init__(self, guard: Guard, call: Call, on_block: OnBlock) -> None:
        self.guard, self.call, self._on_block = guard, call, on_block
        self._first = call
        self.asked = call.asked(uuid.uuid4().hex)
        self._tries, self._withheld = 0, False

    @property
    def n(self) -> int | None:
        """How many answers the model is asked for; None where the call does not say."""
        return self.call.n if isinstance(self.call.settings.get("n"), int) else None

    async def begin(self) -> Refusal | None:
        """Check the question.

        Raises:
            Blocked: it is withheld, and that is to raise.
            GuardUnavailable: it could not be checked.
        """
        guard, call, parts = self.guard, self.call, self.call.parts
        decision = await decided_about(guard, parts, call.request, call.unread, self.asked)
        await guard.record(decision, parts, self.asked)
        if not decision.stops:
            return None
        return Refusal(self.withheld(decision, "input"), decision.finish, call.n)

    async def judge(self, result: Any) -> Any:
        """Check a whole answer: gives what the caller gets, or `AGAIN`.

        Raises:
            Blocked: it is withheld, and that is to raise, or has no place for a message.
            GuardUnavailable: it could not be checked.
            AnswerBroken: it is in OpenAI's form, and not as that says.
            InputError: it is nothing that can be read.
        """
        value = plain(result)
        if value is OPAQUE:
            name = type(result).__name__
            mend = "give text, JSON, or an answer in OpenAI's form"
            raise InputError(f"the answer is a {name}, which can't be read", file="wrap", mend=mend)
        older = type(result).__name__ in OLDER
        value = as_chat(value, "message") if older else value
        if is_completion(value):
            return await self._completion(result, value, older=older)
        if not is_readable(result):
            mend = "give text, numbers and JSON alone"
            raise InputError("the answer holds what can't be read", file="wrap", mend=mend)
        return await self._text(value, result)

    async def returned(self, value: Any) -> Any:
        """Check what a generator returns behind its pieces, as `judge` does, but ask for no other.

        Returns:
            None where a piece was withheld, which the value may hold, or where it can't be read.
        """
        if value is None or self._withheld or not is_readable(value):
            return None
        self._tries = sys.maxsize
        return await self.judge(value)

    def may_ask_again(self, decision: Decision) -> bool:
        """Whether another answer is asked for; counts the tries, and adds the hint to the call."""
        if self._tries >= tries_of(decision):
            return False
        self._tries += 1
        self.call = self._first.again(decision)  # which has no hint yet
        return True

    def withheld(self, decision: Decision, side: Side) -> str:
        """The policy's message in place of a text.

        Raises:
            Blocked: that is to raise; a text that is replaced never does.
            GuardUnavailable: the text could not be checked.
        """
        self._withheld = True
        policy, prompt = self.guard.policy, self.call.prompt
        return message_for(decision, policy, prompt, side, self._on_block)

    async def _completion(self, result: Any, value: dict[str, Any], *, older: bool) -> Any:
        policy = self.guard.policy
        n = None if older else self.n  # which counts the answers to one prompt of several
        try:
            completion = read_completion(value, policy.unknown_keys, n)
        except ApiError as error:
            raise broken(error) from None
        completion = read_as_parsed(completion, result)
        looked = await look_at_answer(self.guard, completion, self.asked)
        failed = next((one for one in looked.by_choice.values() if one.stops and one.failed), None)
        decision = failed or looked.decision
        facts = Facts(dropped=unread_keys(completion.dropped))
        if await self._settled(decision, looked.parts, facts):
            return AGAIN
        if decision.stops:
            self.withheld(decision, "output")
        body = body_of(completion, looked, policy, self.call.prompt)
        answer = like(result, as_older(body) if older else body)
        return parsed_again(answer, result)

    async def _text(self, value: Any, result: Any) -> Any:
        parts = texts_of(value, _REPLIES)
        if isinstance(result, str):
            parts += await framed_beside(result)
        else:
            seen = {part.text for part in parts}
            shown = texts_of(plain(result, written=False))  # to whoever reads the object
            parts += [part for part in shown if part.text not in seen]
        decision = await look_at_texts(self.guard, parts, self.asked)
        if await self._settled(decision, parts, Facts()):
            return AGAIN
        if not decision.stops:
            return result
        message = self.withheld(decision, "output")
        answer = said_in(value, _REPLIES, message)
        if answer is None or not isinstance(result, str | dict | list):
            raise Blocked(message, "output")
        try:
            return keyed(dict, answer, result)
        except InputError:
            raise Blocked(message, "output") from None

    async def _settled(self, decision: Decision, parts: Sequence[Part], facts: Facts) -> bool:
        """Record a decision about an answer; whether another one is asked for."""
        again = self.may_ask_again(decision)
        done = decision if again else decision.withheld()
        await self.guard.record(done, parts, self.asked, facts)
        return again


def broken(error: ApiError) -> AnswerBroken:
    """What the protocol says of an answer, as an error of this edge."""
    return AnswerBroken(error.message, error.code)
