"""What an edge leaves out of an answer is counted; what it hands on as it came is no loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from guard import wrap
from guard.asgi import GuardMiddleware
from guard.metrics import Metrics
from tests.contracts.guard_marks import BAD, Marked, marked
from tests.guard.edges.asgi.calling import answering, call, streaming
from tests.guard.edges.langchain.test_langchain import agent, asking, saying
from tests.guard.edges.litellm_loaded import FlamesGuardrail, ModelResponse, ModelResponseStream
from tests.guard.upstream import DONE, chunk, completion, frame
from tests.openai_server import OpenAIServer, Reply, ok

ODD = "加微信领彩金"
MORE = {**completion("今天晴。", odd=1), ODD: {"a": 1}}
PIECES = [{**chunk({"content": "今天晴。", ODD: 1}), ODD: 2}, chunk({}, finish="stop")]
AGAIN = {"dimension": "Legality", "side": "output", "cut": 0.5, "action": "regenerate", "tries": 1}
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "今天天气怎么样"}]}


def left_out(given: Marked) -> tuple[list[int], list[int]]:
    """How many keys the events of each side count; the metrics have as many."""
    metrics = Metrics()
    for event in given.events.all:
        metrics.observe(event)
    page = metrics.render()[0].decode()
    counted = [[one.dropped for one in given.events.of(side)] for side in ("input", "output")]
    for side, numbers in zip(("input", "output"), counted, strict=True):
        line = f'flames_guard_dropped_keys_total{{side="{side}"}} {sum(numbers)}.0'
        assert (line in page) == (sum(numbers) > 0)
    assert ODD not in page
    return counted[0], counted[1]


async def through_asgi(given: Marked, app: Any) -> bytes:
    body = json.dumps({**ASK, ODD: "x"}).encode()
    return (await call(GuardMiddleware(app, given.guard, ["/chat"]), body)).body


async def through_litellm(given: Marked, response: Any, *, stream: bool = False) -> Any:
    rail = FlamesGuardrail(
        given.guard,
        guardrail_name="flames",
        event_hook=["pre_call", "post_call"],
        default_on=True,
    )
    data = {**ASK, "stream": stream, ODD: "x"}
    await rail.async_pre_call_hook(None, None, data, "acompletion")
    if not stream:
        return await rail.async_post_call_success_hook(data, None, response)
    return [one async for one in rail.async_post_call_streaming_iterator_hook(None, response, data)]


def test_a_wrapped_function_counts_the_keys_that_nobody_knows() -> None:
    """Of its answer; its arguments are its own, and all of them reach it."""
    given = marked()
    got: dict[str, Any] = {}

    def chat(messages: list[Any], **more: Any) -> dict[str, Any]:
        got.update(more)
        return MORE

    answer = wrap(chat, given.guard)(ASK["messages"], **{ODD: "x"})
    assert (ODD in str(answer), got) == (False, {ODD: "x"})
    assert left_out(given) == ([0], [2])


def test_a_wrapped_stream_counts_them_too() -> None:
    """One count for all of its chunks."""
    given = marked()

    def chat(messages: list[Any]) -> Iterator[dict[str, Any]]:
        yield from PIECES

    assert ODD not in str(list(wrap(chat, given.guard)(ASK["messages"])))
    assert left_out(given) == ([0], [2])


def test_an_answer_that_is_asked_for_again_counts_its_own_keys() -> None:
    """Each answer's are in its own event."""
    given, answers = marked([AGAIN]), [{**completion(BAD), ODD: 1}, MORE]

    def chat(messages: list[Any]) -> dict[str, Any]:
        return answers.pop(0)

    wrap(chat, given.guard)(ASK["messages"])
    assert left_out(given) == ([0], [1, 2])


@pytest.mark.parametrize("odd", [False, True])
def test_a_wrapped_client_counts_them(odd: bool) -> None:
    """None in an answer as OpenAI's own servers give it."""
    import openai

    given = marked()
    more: dict[str, Any] = {ODD: 1, "message": {"odd": 1}} if odd else {}

    def script(_: dict[str, Any], __: int) -> Reply:
        return ok("今天晴。", **more)

    with OpenAIServer(script) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0)
        answer = wrap(client, given.guard).chat.completions.create(**ASK)
        client.close()
    assert ODD not in str(answer)
    assert left_out(given) == ([0], [2 if odd else 0])


async def test_an_application_counts_the_keys_of_its_answers() -> None:
    """Whole and streamed; its requests reach it as they are."""
    whole, streamed, own = marked(), marked(), marked()
    assert (
        ODD
        not in (
            await through_asgi(whole, answering(json.dumps(MORE, ensure_ascii=False).encode()))
        ).decode()
    )
    assert left_out(whole) == ([0], [2])
    events = [*map(frame, PIECES), DONE]
    body = await through_asgi(streamed, streaming(events, "text/event-stream"))
    assert ODD not in body.decode()
    assert left_out(streamed) == ([0], [2])
    reply = {"reply": "今天晴。", "odd": {"a": 1}}
    assert json.loads(await through_asgi(own, answering(json.dumps(reply).encode()))) == reply
    assert left_out(own) == ([0], [0])


async def test_litellm_counts_the_keys_of_answers() -> None:
    """Whole and streamed; its own objects have none, and requests go on as they are."""
    whole, plain, streamed = marked(), marked(), marked()
    assert ODD not in str(await through_litellm(whole, ModelResponse(**MORE)))
    assert left_out(whole) == ([0], [2])
    await through_litellm(plain, ModelResponse(**completion("今天晴。")))
    assert left_out(plain) == ([0], [0])

    async def pieces() -> Any:
        for one in PIECES:
            yield ModelResponseStream(**one)

    assert ODD not in str(await through_litellm(streamed, pieces(), stream=True))
    _, (count,) = left_out(streamed)
    assert count > 0


def test_an_agent_leaves_nothing_out() -> None:
    """Its messages are LangChain's own objects, and go on as they came."""
    given = marked()
    said = AIMessage("今天晴。", additional_kwargs={"odd": {"a": 1}})
    state = agent(saying(said), given.guard).invoke(asking("今天天气怎么样"))
    assert state["messages"][-1].additional_kwargs == {"odd": {"a": 1}}
    assert left_out(given) == ([0], [0])
