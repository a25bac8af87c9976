"""Responses that are judged as a whole: JSON, and text that came in one piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guard.answers import body_of, look_at_answer, look_at_texts
from guard.app_streams import Form
from guard.asgi.question import Question
from guard.decision import Decision, Part
from guard.engine import Facts, Guard
from guard.openai_api import (
    ApiError,
    guard_unavailable,
    is_completion,
    is_json,
    parse_value,
    read_completion,
    serialised,
    unread_keys,
    upstream_unreadable,
)
from guard.request_status import RequestStatus
from guard.texts.emptied import said_in
from guard.texts.escapes import unescaped
from guard.texts.framed import framed, framed_beside, loosely
from guard.texts.json_replies import texts_of


class Whole:
    """One response that is held until all of it was judged.

    Args:
        guard: decides.
        question: what is answered.
        form: where its reply stands.
        said: the response's headers.
        most: bytes that are held.
    """

    def __init__(
        self, guard: Guard, question: Question, form: Form, said: RequestStatus, most: int
    ) -> None:
        self._guard, self._question, self._form = guard, question, form
        self._said, self._most = said, most
        self._pieces: list[bytes] = []
        self._size = 0

    def hold(self, data: bytes) -> None:
        """Take more of the body.

        Raises:
            ApiError: 502; it is too large.
        """
        self._size += len(data)
        if self._size > self._most:
            raise upstream_unreadable()
        self._pieces.append(data)

    async def json(self) -> bytes:
        """The body to send for JSON.

        Raises:
            ApiError: 502 it can't be read; 503 it could not be judged.
        """
        try:
            value = parse_value(b"".join(self._pieces), self._most)
        except ApiError:
            raise upstream_unreadable() from None
        return await self._value(value)

    async def _value(self, value: Any) -> bytes:
        if is_completion(value):
            return serialised(await self._completion(value))
        decision = await self._decided(texts_of(value, self._form.reply_paths))
        if not decision.stops:
            return serialised(value)
        message = decision.message(self._guard.policy, self._question.asked.prompt)
        answer = said_in(value, self._form.reply_paths, message, self._form.name_keys)
        return serialised(self._form.answer(message) if answer is None else answer)

    async def text(self) -> bytes:
        """The body to send for plain text.

        JSON that readers read differently is judged as a text, and by all that any of them reads.

        Raises:
            ApiError: 502 it is not UTF-8, or nested too deep; 503 it could not be judged.
        """
        body = b"".join(self._pieces)
        try:
            value = parse_value(body, self._most) if is_json(body) else None
        except ApiError:
            return await self._text(body, loosely)
        return await (self._text(body, framed) if value is None else self._value(value))

    async def _text(self, body: bytes, read: Callable[[str], list[Part]]) -> bytes:
        try:
            text = body.decode()
            parts = [Part("body", unescaped(text)), *await framed_beside(text, read)]
        except (ValueError, RecursionError):
            raise upstream_unreadable() from None
        decision = await self._decided(parts)
        if not decision.stops:
            return body
        return decision.message(self._guard.policy, self._question.asked.prompt).encode()

    async def _completion(self, value: dict[str, Any]) -> dict[str, Any]:
        policy, asked = self._guard.policy, self._question.asked
        request = self._question.request
        n = None if request is None else request.n
        completion = read_completion(value, policy.unknown_keys, n)
        looked = await look_at_answer(self._guard, completion, asked)
        facts = Facts(dropped=unread_keys(completion.dropped))
        await self._recorded(looked.decision, list(looked.parts), facts)
        if any(one.stops and one.failed for one in looked.by_choice.values()):
            self._said.failed()
            raise guard_unavailable()
        return body_of(completion, looked, policy, asked.prompt)

    async def _decided(self, parts: list[Part]) -> Decision:
        decision = await look_at_texts(self._guard, parts, self._question.asked)
        await self._recorded(decision, parts, Facts())
        if decision.stops and decision.failed:
            raise guard_unavailable()
        return decision

    async def _recorded(self, decision: Decision, parts: list[Part], facts: Facts) -> None:
        done = decision.withheld()  # the application is not asked again
        self._said.decided(done)
        await self._guard.record(done, parts, self._question.asked, facts)
