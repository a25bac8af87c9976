"""What a real llama.cpp sent, through the server: see tests/data/llama_cpp/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.guard.server.serving import standing
from tests.guard.server.test_streams import sends
from tests.guard.upstream import Call, cut

SENT = Path(__file__).parents[2] / "data" / "llama_cpp"
QUESTIONS = {
    "stream": "用两句话介绍一下杭州西湖。",
    "logprobs": "从一数到五。",
    "required_tool": "杭州今天天气怎么样？",
}


def sent(name: str) -> list[dict[str, Any]]:
    """The chunks of a stream, read by nothing of ours."""
    lines = (SENT / f"{name}.sse").read_text(encoding="utf-8").splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


@pytest.mark.parametrize("mode", ["window", "buffer", "async", "retract"])
@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_real_stream_of_llama_cpp_arrives_whole(name: str, mode: str) -> None:
    """Its text, its end and its tokens, in every mode and wherever the network cuts it."""
    chunks = sent(name)
    said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    [finish] = [r for c in chunks if c["choices"] and (r := c["choices"][0]["finish_reason"])]
    pieces = cut((SENT / f"{name}.sse").read_bytes(), 97)
    async with standing(sends(*pieces), policy={"stream": {"mode": mode}}) as stand:
        answer = await stand.served.chat(
            QUESTIONS[name], stream=True, stream_options={"include_usage": True}
        )
    assert answer.text == said
    ends = [f["choices"][0]["finish_reason"] for f in answer.frames if f["choices"]]
    assert [end for end in ends if end] == [finish]
    assert answer.events[-1] == "[DONE]"
    assert [f["usage"]["total_tokens"] for f in answer.frames if f.get("usage")] == [
        c["usage"]["total_tokens"] for c in chunks if c.get("usage")
    ]
    assert all(f["model"] == chunks[0]["model"] for f in answer.frames)
    assert b"logprobs" not in answer.body


@pytest.mark.parametrize("name", ["whole", "required_tool"])
async def test_a_real_answer_of_llama_cpp_arrives_whole(name: str) -> None:
    """Its text, its end and its tokens."""
    body = (SENT / f"{name}.json").read_bytes()
    told = json.loads(body)

    async def script(call: Call) -> None:
        await call.answer(body)

    async with standing(script) as stand:
        answer = await stand.served.chat(QUESTIONS.get(name, QUESTIONS["stream"]))
    assert answer.text == told["choices"][0]["message"]["content"]
    assert answer.json["choices"][0]["finish_reason"] == told["choices"][0]["finish_reason"]
    assert answer.json["usage"]["total_tokens"] == told["usage"]["total_tokens"]
