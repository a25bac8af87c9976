"""What the server leaves out of bodies is counted, and what it can't leave out is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.guard_marks import BAD
from tests.guard.server.serving import says, standing
from tests.guard.upstream import DONE, Call, Script, chunk, completion, frame

HOSTILE = "加微信领彩金"


def saying_more(*texts: str) -> Script:
    """A model whose server adds keys that nobody knows."""

    async def script(call: Call) -> None:
        if call.json.get("stream"):
            pieces = [chunk({"content": text, HOSTILE: 1}) for text in texts]
            frames = [*pieces, {**chunk({}, finish="stop"), HOSTILE: 2}]
            await call.events([b"".join(map(frame, frames)) + DONE])
        else:
            await call.answer({**completion(*texts, odd=1), HOSTILE: {"a": 1}})

    return script


@pytest.mark.parametrize("stream", [False, True])
async def test_keys_that_nobody_knows_are_left_out_and_counted(stream: bool) -> None:
    """By side, in metrics and events; their names are text, and stay out."""
    found = 3  # a whole answer's two choices and itself; a stream's three chunks
    async with standing(saying_more("今天晴。", "宜出门。")) as stand:
        more: dict[str, Any] = {HOSTILE: "x", "odd": {"a": 1}, "logprobs": True}
        answer = await stand.served.chat(stream=stream, n=2, **more)
        assert answer.status == 200
        events = stand.marked.events
        for event in events.all:
            stand.served.state.metrics.observe(event)
        page = (await stand.served.get("/metrics")).body.decode()
    assert HOSTILE not in answer.body.decode() + page
    assert [event.dropped for event in events.of("input")] == [2]
    assert sum(event.dropped for event in events.of("output")) == found
    assert 'flames_guard_dropped_keys_total{side="input"} 2.0' in page
    assert f'flames_guard_dropped_keys_total{{side="output"}} {found}.0' in page


async def test_an_answer_that_is_asked_for_again_is_counted_once() -> None:
    """Each answer's keys are those of its own event."""
    rules = [{"dimension": "Legality", "cut": 0.5, "action": "regenerate"}]
    async with standing(saying_more(BAD), rules) as stand:
        await stand.served.chat()
    assert [event.dropped for event in stand.marked.events.of("output")] == [2, 2]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"n": "2"}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"temperature": "0.7"}, "temperature"),
        ({"max_tokens": True}, "max_tokens"),
        ({"stop": 3}, "stop"),
        ({"tools": {}}, "tools"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ],
)
async def test_a_known_key_with_a_wrong_type_is_the_callers_mistake(
    more: dict[str, Any], where: str
) -> None:
    """400 that names the key, as OpenAI does; the model isn't asked for something else."""
    async with standing(says("好。")) as stand:
        answer = await stand.served.chat(**more)
        assert not stand.upstream.calls
    assert (answer.status, answer.code) == (400, "invalid_type")
    error = answer.json["error"]
    assert (error["param"], error["message"]) == (where, f"{where} has a wrong type")
