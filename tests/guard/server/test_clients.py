"""The clients that people use, against the server: OpenAI's own, and litellm's guardrail."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from tests.contracts.guard_marks import ADVERT, BAD, BROKEN, SORRY, story
from tests.guard.server.serving import Stand, says, standing
from tests.guard.upstream import Call, cut, streamed

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
