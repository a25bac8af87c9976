"""The examples of guarded chatbots, run as their first lines say, with a model on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import warm
from tests.openai_server import OpenAIServer, Reply, ok, stream

EXAMPLES = Path(__file__).parents[2] / "examples"
SORRY = "抱歉，这个内容我不能提供。"
IDENTITY = "11010519491231002X"
START_S = 60.0


def answer(request: dict[str, Any], _: int) -> Reply:
    """Says what it is asked to; tells an identity number for 证; uses a tool if it is given one."""
    last = request["messages"][-1]
    if request.get("tools") and last["role"] == "user" and "几点" in last["content"]:
        function = {"name": "clock", "arguments": '{"zone": "Asia/Shanghai"}'}
        call = {"id": "call_1", "type": "function", "function": function}
        return ok(None, "tool_calls", message={"tool_calls": [call]})
    text = last["content"].replace("证", IDENTITY)
    if request.get("stream"):
        return stream(*(text[at : at + 3] for at in range(0, len(text), 3)))
    return ok(text)


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer) as running:
        yield running


def environment(upstream: OpenAIServer, **more: str) -> dict[str, str]:
    own = {"UPSTREAM_BASE_URL": upstream.base_url, "UPSTREAM_MODEL": "m", "UPSTREAM_API_KEY": "k"}
    return {"PATH": os.environ["PATH"], **own, **more}


@pytest.fixture(scope="module")
def chatbot(upstream: OpenAIServer) -> Iterator[httpx.Client]:
    """`python examples/fastapi_chatbot.py`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "fastapi_chatbot.py")],
        env=environment(upstream, PORT=str(port)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            wait_for(client, running)
            yield client
    finally:
        running.terminate()
        running.wait(30)


def test_a_chatbot_does_not_start_without_its_policy(
    upstream: OpenAIServer, tmp_path: Path
) -> None:
    """Else it would start, and answer each request with an error."""
    command = [sys.executable, str(EXAMPLES / "fastapi_chatbot.py")]
    env = environment(upstream, PORT="0", GUARD_POLICY=str(tmp_path / "none.yaml"))
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 3
    assert "none.yaml" in ran.stderr


def wait_for(client: httpx.Client, running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and running.poll() is None:
        try:
            client.get("/openapi.json")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the chatbot did not start")


def test_the_chatbot_answers_and_its_bad_answers_are_the_message(chatbot: httpx.Client) -> None:
    """Whole, with the guard's headers; what is not guarded is untouched."""
    good = chatbot.post("/chat", json={"message": "你好"})
    assert good.json() == {"reply": "你好"}
    assert good.headers["x-flames-decision"] == "allowed"
    bad = chatbot.post("/chat", json={"message": "说证"})
    assert (bad.json(), bad.headers["x-flames-decision"]) == ({"reply": SORRY}, "blocked")
    wrong = chatbot.post("/chat", json={"message": 3})
    assert (wrong.status_code, "detail" in wrong.json()) == (422, True)
    assert "x-flames-decision" not in chatbot.get("/openapi.json").headers


def test_the_chatbot_streams_what_has_passed(chatbot: httpx.Client) -> None:
    """With its own events, and compressed by the layer outside."""
    text = "这一句说的是平常的事情。" * 60

    def streamed(message: str) -> list[str]:
        with chatbot.stream("POST", "/chat/stream", json={"message": message}) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
        return [line if line == "[DONE]" else json.loads(line)["delta"] for line in lines]

    *pieces, end = streamed(text)
    assert ("".join(pieces), end) == (text, "[DONE]")
    assert len(pieces) > 10
    *pieces, message = streamed(f"{text}证{text}")
    assert message == SORRY
    assert text.startswith("".join(pieces))


def test_long_answers_are_compressed_outside_the_guard(chatbot: httpx.Client) -> None:
    """The order in which the example adds its middleware."""
    answered = chatbot.post("/chat", json={"message": "好" * 2000})
    assert answered.headers["content-encoding"] == "gzip"
    assert answered.json() == {"reply": "好" * 2000}


def test_the_agent_uses_its_tool_and_is_guarded(upstream: OpenAIServer) -> None:
    """`python examples/langchain_agent.py`."""

    code = (
        "import runpy, sys\n"
        "script, *questions = sys.argv[1:]\n"
        "for question in questions:\n"  # in one process: what it imports takes seconds
        "    sys.argv = [script, question]\n"
        "    runpy.run_path(script, run_name='__main__')"
    )
    done = subprocess.run(
        warm.python(code, EXAMPLES / "langchain_agent.py", "上海现在几点？", "说证"),
        env=environment(upstream), capture_output=True, text=True, check=True,
    )  # fmt: skip
    told, refused = done.stdout.splitlines()
    assert "in Asia/Shanghai." in told
    assert refused == SORRY
