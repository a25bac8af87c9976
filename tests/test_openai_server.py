"""The scripted server misbehaves as it is told to: what the other tests of failures stand on."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from judge.llm.probability import label_probabilities
from tests.openai_server import OpenAIServer, Reply, ok, rate_limited, stream, with_logprobs

ASKED = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}


async def ask(server: OpenAIServer, **asked: Any) -> tuple[int, str, Mapping[str, str]]:
    url = f"{server.base_url}/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=ASKED | asked) as answer:
        return answer.status, await answer.text(), answer.headers


async def test_answers_come_in_the_order_of_the_script_and_the_last_one_stays() -> None:
    """A list is played once; requests and headers are kept as they came."""
    with OpenAIServer([rate_limited("3"), ok("好")]) as server:
        first, second, third = [await ask(server, number=n) for n in range(3)]
    assert [first[0], second[0], third[0]] == [429, 200, 200]
    assert first[2]["retry-after"] == "3"
    assert json.loads(third[1])["choices"][0]["message"]["content"] == "好"
    assert [request["number"] for request in server.requests] == [0, 1, 2]
    assert server.headers[0]["Content-Type"] == "application/json"


async def test_a_script_sees_each_request_and_its_number() -> None:
    """So that an answer can depend on what was asked."""
    with OpenAIServer(lambda asked, n: ok(f"{asked['model']}{n}")) as server:
        answers = [json.loads((await ask(server))[1]) for _ in range(2)]
    contents = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert contents == ["m0", "m1"]


async def test_how_many_calls_were_in_flight_together_is_counted() -> None:
    """Ten calls that are answered only when the fourth has come were four at once at least."""
    together = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(_: object, number: int) -> Reply:
        if number == 3:
            loop.call_soon_threadsafe(together.set)
        return Reply(hang=True)

    with OpenAIServer(script) as server:
        calls = [asyncio.create_task(ask(server)) for _ in range(4)]
        await asyncio.wait_for(together.wait(), 10)
    await asyncio.gather(*calls, return_exceptions=True)
    assert server.most_at_once == 4


@pytest.mark.parametrize("reply", [Reply(reset=True), Reply({"a": "b" * 100}, cut=True)])
async def test_a_broken_connection_is_broken_for_the_client(reply: Reply) -> None:
    """Before the first byte, and halfway through a body of known length."""
    with OpenAIServer(reply) as server:
        with pytest.raises(aiohttp.ClientError):
            await ask(server)
        assert len(server.requests) == 1


async def test_a_stream_comes_as_events_and_ends_with_done() -> None:
    """In OpenAI's shape, the finish reason in a chunk of its own."""
    with OpenAIServer(stream("你", "好")) as server:
        status, text, headers = await ask(server, stream=True)
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert (status, headers["Content-Type"], events[-1]) == (200, "text/event-stream", "[DONE]")
    choices = [json.loads(event)["choices"][0] for event in events[:-1]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "你好"
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]


async def test_a_cut_stream_stops_without_an_end() -> None:
    """The client has the parts that came, and then an error."""
    with OpenAIServer(stream("你", "好", cut=True)) as server:
        url = f"{server.base_url}/chat/completions"
        async with aiohttp.ClientSession() as session, session.post(url, json=ASKED) as answer:
            first = await answer.content.readline()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read()
    assert "你".encode() in first


async def test_logprobs_give_the_label_the_probabilities_that_were_asked_for() -> None:
    """The digit is a token of its own, wherever it stands in the answer."""
    wanted = {"3": 0.7, "2": 0.2, "1": 0.1}
    with OpenAIServer(with_logprobs('{"reason": "好", "label": 3}', wanted)) as server:
        answer = json.loads((await ask(server))[1])
    found = label_probabilities(answer["choices"][0]["logprobs"]["content"], (3, 2, 1))
    assert found == pytest.approx({3: 0.7, 2: 0.2, 1: 0.1})


async def test_the_models_are_listed() -> None:
    """As a client that looks for them before it asks expects."""
    with OpenAIServer(ok()) as server:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.base_url}/models") as answer,
        ):
            assert (await answer.json())["data"][0]["id"] == "m"


def test_a_server_that_has_stopped_refuses_connections() -> None:
    """What tests of an unreachable server use."""
    with OpenAIServer(ok()) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_no_test_can_reach_the_network() -> None:
    """Names that exist nowhere fail as they do outside; addresses beyond loopback are refused."""
    with pytest.raises(socket.gaierror):
        socket.create_connection(("nowhere.invalid", 80), timeout=5)
