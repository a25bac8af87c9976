"""A guardrail inside litellm's proxy, for all models that it serves.

    guardrails:
      - guardrail_name: flames
        litellm_params:
          guardrail: guard.litellm_guardrail.FlamesGuardrail
          mode: [pre_call, post_call]
          default_on: true
          policy: policy.yaml
          audit: sqlite:///events.sqlite

Needs the packages of litellm's proxy. litellm looks for hooks on the class itself: all stand here.
"""

# ruff: noqa: ARG002 - litellm calls the hooks with these arguments, by name
from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any, ClassVar, Literal, NoReturn

from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.types.guardrails import GuardrailEventHooks
from litellm.types.utils import ModelResponse, ModelResponseStream

from guard.answers import body_of, look_at_answer, look_at_body, look_at_texts
from guard.audit import open_log
from guard.chat import request_in
from guard.decision import Decision, merged
from guard.engine import Asked, Facts, Guard
from guard.litellm_guardrail.request import (
    BESIDE,
    asked_in,
    asks_usage,
    body_in,
    files_in,
    frames_of,
    goes_round,
    headers_of,
    http_error,
    mark,
    note,
    streams_unread,
    wanted,
)
from guard.live import LiveAnswer
from guard.loading import Given, load_guard
from guard.openai_api import ApiError, guard_unavailable, read_completion, serialised, unread_keys
from guard.policy import Side
from guard.read_on import alet_go
from guard.request_status import about_guard
from guard.texts.json_replies import Paths, texts_of
from guard.texts.objects import OPAQUE, plain
from guard.texts.remade import made
from judge.errors import FlamesJudgeError, InputError

_TEXTS = Paths.parse(["texts"])
# Of answers in other forms than chat completions: text completions, responses, messages.
_REPLIES = Paths.parse(["choices[*].text", "output[*].content[*].text", "content[*].text"])
_BEFORE, _DURING, _AFTER = (
    GuardrailEventHooks.pre_call,
    GuardrailEventHooks.during_call,
    GuardrailEventHooks.post_call,
)


class FlamesGuardrail(CustomGuardrail):
    """Judges questions before, or beside, the call, and answers behind it, whole and streamed.

    Args:
        policy: a policy file, relative to the proxy's working folder.
        audit: where each decision is recorded, as of `serve`; nowhere without it.
        options: as litellm gives them: name, mode, `default_on`.

    Raises:
        InputError: there is no policy, it can't be kept, or the audit log can't be opened.
    """

    use_native_lifecycle_hooks: ClassVar[bool] = True

    def __init__(
        self, policy: str | Guard | None = None, audit: str | None = None, **options: Any
    ) -> None:
        if policy is None:
            mend = "write `policy: policy.yaml` under litellm_params"
            raise InputError("the guardrail has no policy", file="litellm_params", mend=mend)
        if isinstance(policy, Guard):
            self._guard = policy
        else:
            sinks = [] if audit is None else [open_log(audit)]
            self._guard = load_guard(policy, Given(sinks=sinks))
        self._about = about_guard(self._guard.policy.id, self._guard.calibration_id)
        self._warm = False
        self._judges_answers = any(one.rule.side == "output" for one in self._guard.rules)
        super().__init__(**options)

    def should_run_guardrail(self, data: Any, event_type: GuardrailEventHooks) -> bool:
        """Whether a hook is called: before the call if any is on, as some routes have no other."""
        hooks = (_BEFORE, _DURING, _AFTER) if event_type is _BEFORE else (event_type,)
        return any(self._on(data, hook) for hook in hooks)

    def _on(self, data: Any, hook: GuardrailEventHooks) -> bool:
        """Whether the proxy's configuration asks for this hook."""
        return super().should_run_guardrail(data=data, event_type=hook) is True

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Judge the question before the model is asked."""
        judges = self._on(data, _AFTER) and self._judges_answers
        unjudged = judges and goes_round(call_type, user_api_key_dict)
        if unjudged or streams_unread(data, call_type):
            what = "answers" if unjudged else "streams"
            problem = f"{what} of this route have no guard: use /v1/chat/completions"
            self._refuse(data, _BEFORE, ApiError(problem, status=400, code="route_not_guarded"))
        if self._on(data, _BEFORE):
            await self._question(data, _BEFORE)
        elif self._on(data, _DURING) and call_type not in BESIDE:
            await self._question(data, _DURING)
        return data

    async def async_moderation_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, call_type: str
    ) -> dict[str, Any]:
        """Judge the question while the model is asked (mode `during_call`)."""
        if self._on(data, _DURING):
            await self._question(data, _DURING)
        return data

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> Any:
        """Judge a whole answer: gives it as its user may see it."""
        if not self._on(data, _AFTER):
            return response
        await self._ready()
        asked, value = asked_in(data), plain(response)
        if isinstance(response, ModelResponse):
            return await self._completion(data, asked, response, value)
        if value is OPAQUE:
            self._refuse(data, _AFTER, guard_unavailable())
        parts = texts_of(value, _REPLIES)
        decision = await look_at_texts(self._guard, parts, asked)
        await self._guard.record(decision.withheld(), parts, asked)
        self._settle(data, decision, _AFTER, asked.prompt)
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Judge a streamed answer as it comes."""
        if not self._on(request_data, _AFTER):
            async for chunk in response:
                yield chunk
            return
        await self._ready()
        live = LiveAnswer(self._guard, asked_in(request_data), wanted(request_data))
        broken: ApiError | None = None
        try:
            async for frames in frames_of(live, response, usage=asks_usage(request_data)):
                for frame in frames:
                    yield made(ModelResponseStream, frame)
        except ApiError as error:
            broken = error
        finally:
            await alet_go(response)
            decision = await live.close()
            self._note(request_data, decision, _AFTER)
        if broken is not None:  # the proxy sends a text of this form as it is, and ends
            for frame in live.taken_back():
                yield made(ModelResponseStream, frame)
            yield f"data: {serialised(broken.body()).decode()}\n\n"

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str] | None:
        """The guard's own headers; of a stream what is known when it begins."""
        said = headers_of(data)
        return {**self._about, **said} if said else None

    async def apply_guardrail(
        self,
        inputs: Any,
        request_data: dict[str, Any],
        input_type: Literal["request", "response"],
        logging_obj: Any = None,
    ) -> Any:
        """Judge texts that litellm has taken out of a body, as its endpoint for guardrails does."""
        await self._ready()
        side: Side = "input" if input_type == "request" else "output"
        hook = _BEFORE if side == "input" else _AFTER
        given = {key: item for key, item in plain(dict(inputs)).items() if key != "model"}
        parts, asked = texts_of(given, _TEXTS), asked_in(request_data)
        decision = await look_at_texts(self._guard, parts, asked, side)
        if images := given.get("images"):
            wheres = [f"images[{place}]" for place in range(len(images))]
            decision = merged(decision, self._guard.unread(side, wheres))
        await self._guard.record(decision.withheld(), parts, asked)
        self._settle(request_data, decision, hook, asked.prompt)
        return inputs

    async def _ready(self) -> None:
        if self._warm:
            return
        try:
            await self._guard.warm()
        except FlamesJudgeError:
            raise http_error(guard_unavailable()) from None
        self._warm = True

    async def _question(self, data: dict[str, Any], hook: GuardrailEventHooks) -> None:
        """Decide about a request.

        Raises:
            HTTPException: it is withheld.
        """
        await self._ready()
        mark(data)
        body = body_in(data)
        request, asked = request_in(body), asked_in(data)
        decision, parts = await look_at_body(self._guard, request, body, asked)
        if files := files_in(data):
            decision = merged(decision, self._guard.unread("input", files))
        await self._guard.record(decision, parts, asked)
        self._settle(data, decision, hook, asked.prompt)

    async def _completion(
        self, data: dict[str, Any], asked: Asked, response: Any, value: dict[str, Any]
    ) -> Any:
        policy = self._guard.policy
        try:
            completion = read_completion(value, policy.unknown_keys, wanted(data))
        except ApiError as error:
            self._refuse(data, _AFTER, error)
        looked = await look_at_answer(self._guard, completion, asked)
        decision = looked.decision.withheld()
        facts = Facts(dropped=unread_keys(completion.dropped))
        await self._guard.record(decision, looked.parts, asked, facts)
        self._note(data, decision, _AFTER)
        if any(one.stops and one.failed for one in looked.by_choice.values()):
            raise http_error(guard_unavailable())
        return made(ModelResponse, body_of(completion, looked, policy, asked.prompt), response)

    def _settle(
        self, data: dict[str, Any], decision: Decision, hook: GuardrailEventHooks, prompt: str
    ) -> None:
        """Note a decision, and withhold what it stops.

        Raises:
            HTTPException: it can't be, or it stops and the policy's message is an error.
            ModifyResponseException: litellm's, which answers with the message instead.
        """
        self._note(data, decision, hook)
        if not decision.stops:
            return
        if decision.failed:
            raise http_error(guard_unavailable())
        message = decision.message(self._guard.policy, prompt)
        answers = decision.action == "replace" or self._guard.policy.blocked_input == "answer"
        if decision.side == "input" and answers:
            self.raise_passthrough_exception(message, data)
        raise http_error(ApiError(message, status=400, code="content_filter"))

    def _refuse(self, data: dict[str, Any], hook: GuardrailEventHooks, error: ApiError) -> NoReturn:
        self.add_standard_logging_guardrail_information_to_request_data(
            guardrail_json_response={"code": error.code},
            request_data=data,
            guardrail_status="guardrail_failed_to_respond",
            event_type=hook,
        )
        raise http_error(error)

    def _note(self, data: dict[str, Any], decision: Decision, hook: GuardrailEventHooks) -> None:
        """Put a decision, without any text, into the proxy's own log and the response's headers."""
        note(data, decision)
        end = time.time()
        status: Literal["success", "guardrail_intervened", "guardrail_failed_to_respond"]
        status = "guardrail_intervened" if decision.stops else "success"
        if decision.failed:
            status = "guardrail_failed_to_respond"
        self.add_standard_logging_guardrail_information_to_request_data(
            guardrail_json_response={
                "status": decision.status,
                "rules": [hit.rule.name for hit in decision.hits],
                "policy": self._guard.policy.id,
                "calibration": self._guard.calibration_id,
            },
            request_data=data,
            guardrail_status=status,
            start_time=end - decision.elapsed_s,
            end_time=end,
            duration=decision.elapsed_s,
            guardrail_provider="flames-judge",
            event_type=hook,
        )
