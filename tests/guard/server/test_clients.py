"""The clients that people use, against the server: OpenAI's own, and litellm's guardrail."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from tests.contracts.guard_contract import rule_of
from tests.contracts.guard_marks import ADVERT, BAD, BROKEN, SORRY, story
from tests.guard.server.serving import Stand, says, standing
from tests.guard.upstream import Call, cut, streamed

EXAMPLES = Path(__file__).parents[3] / "examples/README.md"
ASKED: list[Any] = [{"role": "user", "content": "今天天气怎么样"}]


def client_of(stand: Stand) -> openai.OpenAI:
    """OpenAI's client, which tries once."""
    return openai.OpenAI(base_url=f"{stand.served.base}/v1", api_key="callers-own", max_retries=0)


async def test_openai_s_client_reads_answers_and_streams() -> None:
    """Text, finish and usage, whole and streamed."""
    text = story(300)

    async def script(call: Call) -> None:
        if call.json.get("stream"):
            await call.events(cut(streamed(*text, usage=True), 37))
        else:
            await says(text)(call)

    def ask(stand: Stand) -> None:
        with client_of(stand) as client:
            answer = client.chat.completions.create(model="m", messages=ASKED)
            assert answer.choices[0].message.content == text
            assert answer.usage is not None
            assert answer.usage.total_tokens == 33
            stream = client.chat.completions.create(
                model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
            chunks = list(stream)
            said = [c.choices[0].delta.content or "" for c in chunks if c.choices]
            assert "".join(said) == text
            assert chunks[-1].usage is not None
            assert [model.id for model in client.models.list()] == ["m"]

    async with standing(_or_models(script)) as stand:
        await asyncio.to_thread(ask, stand)


def _or_models(script: Any) -> Any:
    async def either(call: Call) -> None:
        await (says("")(call) if call.method == "GET" else script(call))

    return either


async def test_openai_s_client_takes_a_block_as_an_answer() -> None:
    """A blocked answer is text with finish `content_filter`; a blocked question is an error."""

    def ask(stand: Stand) -> None:
        with client_of(stand) as client:
            answer = client.chat.completions.create(model="m", messages=ASKED)
            assert answer.choices[0].message.content == SORRY
            assert answer.choices[0].finish_reason == "content_filter"
            chunks = list(client.chat.completions.create(model="m", messages=ASKED, stream=True))
            assert "".join(c.choices[0].delta.content or "" for c in chunks).endswith(SORRY)
            assert chunks[-1].choices[0].finish_reason == "content_filter"
            with pytest.raises(openai.BadRequestError) as caught:
                client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": ADVERT}]
                )
            assert caught.value.code == "content_filter"

    async with standing(says(story(80), BAD, story(80))) as stand:
        await asyncio.to_thread(ask, stand)


async def test_openai_s_client_raises_where_the_guard_failed() -> None:
    """A failure is no answer: not whole, and not in a stream."""

    def ask(stand: Stand) -> None:
        with client_of(stand) as client:
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(model="m", messages=ASKED)
            assert caught.value.code == "guard_unavailable"
            stream = client.chat.completions.create(model="m", messages=ASKED, stream=True)
            with pytest.raises(openai.APIError) as later:
                list(stream)
            assert later.value.code == "guard_unavailable"

    async with standing(says(BROKEN)) as stand:
        await asyncio.to_thread(ask, stand)


async def test_openai_s_client_reads_moderations() -> None:
    """The names that it knows, and ours beside them."""

    def ask(stand: Stand) -> None:
        with client_of(stand) as client:
            made = client.moderations.create(model="omni-moderation-latest", input=["好", ADVERT])
            assert [result.flagged for result in made.results] == [False, True]
            assert made.results[1].categories.violence is False
            assert made.results[1].categories.to_dict()["flames/abuse"] is True

    async with standing(says("好。")) as stand:
        await asyncio.to_thread(ask, stand)


@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # litellm's own types
async def test_litellm_s_own_guardrail_goes_by_our_answer() -> None:
    """Its class for guardrails elsewhere: passes, blocks, and blocks when the guard fails."""
    from litellm.proxy.guardrails.guardrail_hooks.generic_guardrail_api import GenericGuardrailAPI

    async with standing(says("好。")) as stand:
        guardrail = GenericGuardrailAPI(
            api_base=stand.served.base, guardrail_name="flames", event_hook="pre_call"
        )

        async def applied(text: str, side: Any) -> Any:
            return await guardrail.apply_guardrail(
                inputs={"texts": [text]}, request_data={}, input_type=side
            )

        assert (await applied("你好", "request"))["texts"] == ["你好"]
        with pytest.raises(Exception, match=SORRY):
            await applied(BAD, "response")
        with pytest.raises(Exception, match="503"):
            await applied(BROKEN, "response")
        await guardrail.async_handler.close()


@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # litellm's own types
@pytest.mark.parametrize("action", ["block", "replace"])
async def test_litellm_s_own_guardrail_lets_nothing_out_of_a_stream_that_we_stop(
    action: str,
) -> None:
    """Set up as the examples say: no piece goes out before our answer about all of them."""
    async with standing(says("好。"), [rule_of(action)]) as stand:
        good = await _sent_by_litellm(stand.served.base, "今天天晴。")
        stopped = await _sent_by_litellm(stand.served.base, f"今天天晴{BAD}再见。")
    assert good == ("今天天晴。", "")
    assert stopped[0] == ""
    assert SORRY in stopped[1]


async def _sent_by_litellm(base: str, text: str) -> tuple[str, str]:
    """What litellm's proxy sends on of an answer that comes in small pieces, and its error."""
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.proxy.guardrails.guardrail_hooks.generic_guardrail_api import GenericGuardrailAPI
    from litellm.proxy.guardrails.guardrail_hooks.unified_guardrail.unified_guardrail import (
        UnifiedLLMGuardrails,
    )
    from litellm.types.utils import ModelResponseStream

    chunk_of: Any = ModelResponseStream
    passing_on: Any = UnifiedLLMGuardrails

    async def upstream() -> AsyncIterator[Any]:
        for at in range(0, len(text), 2):
            delta = {"role": "assistant", "content": text[at : at + 2]}
            yield chunk_of(choices=[{"index": 0, "delta": delta}])
        yield chunk_of(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])

    shown = re.findall(
        r"^```yaml\n(.*?)^```", EXAMPLES.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    told = yaml.safe_load(shown[0])["guardrails"][0]["litellm_params"]
    guardrail: Any = GenericGuardrailAPI(
        api_base=base,
        guardrail_name="flames",
        event_hook=told["mode"],
        default_on=told["default_on"],
        streaming_buffer_until_moderated=told.get("streaming_buffer_until_moderated"),
    )
    asked = {"model": "m", "messages": ASKED, "stream": True}
    sent = ""
    stream = passing_on().async_post_call_streaming_iterator_hook(
        UserAPIKeyAuth(request_route="/v1/chat/completions"), upstream(), asked, guardrail
    )
    try:
        async for chunk in stream:
            sent += chunk.choices[0].delta.content or ""
    except Exception as error:  # noqa: BLE001 - litellm's, of many classes
        return sent, str(error)
    finally:
        await guardrail.async_handler.close()
    return sent, ""
