"""What every OpenAI-shaped edge does with a request and its answer, by way of a guard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from guard.decision import Decision, Finish, Part, merged, spoken
from guard.engine import Asked, Guard
from guard.openai_api import (
    ARGUMENTS,
    NO_TOKENS,
    ApiError,
    ChatRequest,
    Envelope,
    Frame,
    FrameWriter,
    TextPart,
    guard_unavailable,
    input_blocked,
    read_request,
    said_frames,
)
from guard.policy import Messages, Policy
from guard.texts.escapes import argued
from guard.texts.seams import seams

HINT: Final = Messages(
    zh="上一次生成的回答没有通过安全检查。请换一种稳妥、负责任的方式作答；做不到就说明原因并婉拒。",
    en="The last answer that was written did not pass a safety check. Answer in a safe and "
    "responsible way, or decline and say why.",
)


def parts_of(texts: Sequence[TextPart]) -> list[Part]:
    """Texts of a body as the engine takes them: arguments, which are JSON, without its escapes."""
    return [
        Part(one.path, argued(one.text) if one.kind in ARGUMENTS else one.text) for one in texts
    ]


def left_over(request: ChatRequest | None, texts: Sequence[Part]) -> list[Part]:
    """Those of a body's texts that its request has not, such as under unknown keys; each once.

    What stands where the request has read a file, or could not read a picture, is none.
    """
    texts_in = () if request is None else (*request.parts, *request.context)
    known = {part.text for part in parts_of(texts_in)}
    places = {one.path for one in texts_in}
    places |= set() if request is None else {one.path for one in request.unread}
    left: dict[str, Part] = {}
    for part in sorted(texts, key=lambda one: one.word):  # a text is looked at for more
        if part.where not in places and part.text not in known:
            left.setdefault(part.text, part)
    return list(left.values())


def request_in(value: object) -> ChatRequest | None:
    """A value as a request in OpenAI's form, with whatever keys beside; None where it is none."""
    try:
        return read_request(value) if isinstance(value, dict) else None
    except ApiError:
        return None


def asked_by(request: ChatRequest, request_id: str) -> Asked:
    """What the answer to a request stands in."""
    return Asked(
        prompt=request.prompt,
        history=request.history,
        request_id=request_id,
        model=request.model or None,
    )


def envelope_of(asked: Asked) -> Envelope:
    """What stands around an answer of ours, and of a model's where that says nothing itself."""
    name = f"chatcmpl-{asked.request_id}"
    return Envelope(id=name, model=asked.model or "", created=int(time.time()))


def refusal_of(decision: Decision, policy: Policy, prompt: str) -> str:
    """The policy's message, with which a question is answered that is withheld.

    Raises:
        ApiError: 503 it could not be checked; 400 the policy answers it with an error.
    """
    if decision.failed:
        raise guard_unavailable()
    message = decision.message(policy, prompt)
    if decision.action != "replace" and policy.blocked_input == "error":
        raise input_blocked(message)
    return message


def refusal_frames(request: ChatRequest, asked: Asked, message: str, finish: Finish) -> list[Frame]:
    """The stream that is answered to a question that is withheld."""
    envelope = envelope_of(asked)
    frames = said_frames(envelope, message, n=request.n, finish=finish)
    return frames + FrameWriter(envelope).usage(NO_TOKENS) if request.include_usage else frames


async def look_at_request(
    guard: Guard, request: ChatRequest, asked: Asked
) -> tuple[Decision, list[Part]]:
    """The decision about a request, not yet recorded, and all that it is about."""
    parts = parts_of((*request.parts, *request.context))
    unread = [one.path for one in request.unread]
    return await decided_about(guard, parts, request, unread, asked), parts


async def decided_about(
    guard: Guard,
    parts: Sequence[Part],
    request: ChatRequest | None,
    unread: Sequence[str],
    asked: Asked,
) -> Decision:
    """The decision about a question, not yet recorded.

    Args:
        guard: decides; what can't be read counts as its policy says.
        parts: every text of it.
        request: the same in OpenAI's form, where it has it: what stands one behind the other is
            also read as one.
        unread: where something stands that can't be read.
        asked: what it stands in.
    """
    decision = await guard.look("input", parts, asked)
    rows = () if request is None else request.together
    if joined := [part for texts in rows for part in seams(texts)]:
        together = await guard.look("input", joined, asked, judged=False)
        decision = merged(decision, together)
    return merged(decision, guard.unread("input", unread)) if unread else decision


def tries_of(decision: Decision) -> int:
    """How often another answer may be asked for; 0 where the decision is none to regenerate."""
    if decision.action != "regenerate" or not decision.stops:
        return 0
    hit = decision.hit
    return 1 if hit is None else hit.rule.rule.tries or 1


def hint_of(decision: Decision, prompt: str) -> str:
    """What a model is told before it tries again: the rule's words, or ours."""
    hit = decision.hit
    own = None if hit is None else hit.rule.rule.hint
    return own or spoken(HINT, prompt)


def asked_again(forward: dict[str, Any], decision: Decision, prompt: str) -> dict[str, Any]:
    """The request once more, with the rule's hint.

    The hint joins the first system message, since many chat templates take one alone, and only in
    the first place.
    """
    hint = hint_of(decision, prompt)
    messages = list(forward["messages"])
    first = messages[0] if messages else {}
    if first.get("role") not in {"system", "developer"}:
        return {**forward, "messages": [{"role": "system", "content": hint}, *messages]}
    content = first.get("content")
    if isinstance(content, list):
        joined: Any = [*content, {"type": "text", "text": hint}]
    else:
        joined = f"{content}\n\n{hint}" if content else hint
    return {**forward, "messages": [{**first, "content": joined}, *messages[1:]]}
