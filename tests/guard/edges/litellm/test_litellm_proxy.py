"""The guardrail in a real litellm proxy: a process of its own, real sockets, an LLM as the judge.

The double answers as chatbot and as judge; users ask with OpenAI's own client.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests import warm
from tests.contracts.guard_marks import BAD, BROKEN, SORRY, story
from tests.openai_server import OpenAIServer, Reply, openai_error
from tests.oracle import oracle

IDENTITY = "11010519491231002X"
HIDDEN = "【身份证】"  # the chatbot says the number for it
ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "examples/litellm_proxy/config.yaml"
START_S = 120.0

POLICY = """
version: 1
judge: llm:openai/judge
llm: {api_base: UPSTREAM, retries: 0}
rules:
  - {evidence: pii, side: input, action: block}
  - {evidence: pii, side: output, action: block}
  - {dimension: Legality, side: output, cut: 0.5, action: block}
messages: {zh: 这段话不能给你。, en: "I won't show this."}
deadline_s: 20
stream: {mode: window, window: 80, overlap: 40}
"""


@dataclass(frozen=True)
class Proxy:
    """The running proxy, a user's client of it, and the server behind it."""

    url: str
    key: str
    client: openai.OpenAI
    upstream: OpenAIServer

    def ask(self, text: str, **more: Any) -> Any:
        """Ask the chatbot to say something."""
        messages: Any = [{"role": "user", "content": text}]
        return self.client.chat.completions.create(model="bot", messages=messages, **more)

    def asked(self) -> list[str]:
        """What has reached the chatbot."""
        requests = [one for one in self.upstream.requests if one["model"] == "bot"]
        return [one["messages"][-1]["content"] for one in requests]


judge = oracle(lambda response: 1 if BAD in response else 3)


def answers(request: dict[str, Any], number: int) -> Reply:
    """Judges; or says what the user's text says, a choice a line, under the keys that it names."""
    if request["model"] == "judge":
        broken = BROKEN in json.dumps(request, ensure_ascii=False)
        return openai_error(500, "down") if broken else judge(request, number)
    text = request["messages"][-1]["content"].replace(HIDDEN, IDENTITY)
    told = json.loads(text) if text.startswith("{") else {"content": text}
    said = (
        [told] * 1
        if "content" not in told
        else [{**told, "content": line} for line in told["content"].split("|")]
    )
    if request.get("stream"):
        return Reply(events=[*map(json.dumps, streamed(said)), "[DONE]"])
    finish = "tool_calls" if "tool_calls" in told else "stop"
    choices = [
        {"index": at, "message": {"role": "assistant", "content": None, **one},
         "finish_reason": finish}
        for at, one in enumerate(said)
    ]  # fmt: skip
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return Reply({"id": "c", "object": "chat.completion", "created": 1, "model": "bot",
                  "choices": choices, "usage": usage})  # fmt: skip


def streamed(said: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same in chunks of four characters, the choices in turns."""
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "bot"}

    def chunk(at: int, delta: dict[str, Any], end: str | None = None) -> dict[str, Any]:
        return {**body, "choices": [{"index": at, "delta": delta, "finish_reason": end}]}

    for key in ("reasoning_content", "content"):
        for start in range(0, max(len(one.get(key, "")) for one in said), 4):
            for at, one in enumerate(said):
                if piece := one.get(key, "")[start : start + 4]:
                    yield chunk(at, {key: piece})
    for at, one in enumerate(said):
        for call in one.get("tool_calls", ()):
            arguments = call["function"]["arguments"]
            head = {"index": 0, "id": "call_1", "type": "function"}
            yield chunk(at, {"tool_calls": [{**head, "function": {"name": "f", "arguments": ""}}]})
            for start in range(0, len(arguments), 4):
                part = {"arguments": arguments[start : start + 4]}
                yield chunk(at, {"tool_calls": [{"index": 0, "function": part}]})
        yield chunk(at, {}, "tool_calls" if "tool_calls" in one else "stop")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """One proxy for all tests of this file: its start takes seconds."""
    folder, key = tmp_path_factory.mktemp("proxy"), f"sk-{secrets.token_hex(32)}"
    with OpenAIServer(answers) as upstream, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        policy = POLICY.replace("UPSTREAM", upstream.base_url)
        (folder / "policy.yaml").write_text(policy, encoding="utf-8")
        config = EXAMPLE.read_text(encoding="utf-8").replace("examples/policy", "policy")
        (folder / "config.yaml").write_text(config, encoding="utf-8")
        own = {"UPSTREAM_BASE_URL": upstream.base_url, "LITELLM_MASTER_KEY": key}
        running = start(folder, port, own)
        try:
            wait_for(f"http://127.0.0.1:{port}/health/liveliness", running, folder)
            url = f"http://127.0.0.1:{port}"
            with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
                yield Proxy(url, key, client, upstream)
        finally:
            running.terminate()
            running.wait(30)


def start(folder: Path, port: int, own: dict[str, str]) -> subprocess.Popen[bytes]:
    """`litellm --config config.yaml`, offline, in a folder of its own."""
    quiet = ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_POLICY_TEMPLATES", "DISABLE_ADMIN_UI",
             "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "NO_DOCS", "NO_REDOC")  # fmt: skip
    here = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    code = (  # as the installed command does
        "import sys; sys.argv[0] = 'litellm'\n"
        "from litellm_cli.main import proxy_server; sys.exit(proxy_server())"
    )
    command = warm.python(code, "--config", "config.yaml")
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"],
            cwd=folder,
            env={
                **here,
                **dict.fromkeys(quiet, "True"),
                "OPENAI_API_KEY": "k",
                "UPSTREAM_API_KEY": "k",
            }
            | own,
            stdout=log,
            stderr=log,
        )


def wait_for(url: str, running: subprocess.Popen[bytes], folder: Path) -> None:
    """Until it answers; it is an error when it has ended or takes too long."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and running.poll() is None:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail((folder / "log").read_text(errors="replace")[-3000:])


def said(chunks: Any) -> tuple[dict[int, str], dict[int, str]]:
    """Each choice's text and end."""
    texts: dict[int, str] = {}
    ends: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    return texts, ends


def test_a_good_answer_passes_whole_and_streamed(proxy: Proxy) -> None:
    """With its end and its tokens."""
    whole = proxy.ask("你好")
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("你好", "stop")
    assert whole.usage.total_tokens == 3
    chunks = list(proxy.ask(story(200), stream=True, stream_options={"include_usage": True}))
    assert said(chunks) == ({0: story(200)}, {0: "stop"})
    assert chunks[-1].usage is not None


def test_responses_carry_the_guard_s_headers(proxy: Proxy) -> None:
    """What was decided: of a whole answer all of it, of a stream its question."""
    asked = {"model": "bot", "messages": [{"role": "user", "content": BAD}]}
    for more, decision in (({}, "blocked"), ({"stream": True}, "allowed")):
        raw = proxy.client.chat.completions.with_raw_response.create(**asked, **more)  # type: ignore[call-overload]
        assert raw.headers["x-flames-decision"] == decision
        assert len(raw.headers["x-flames-policy"]) == 16
        assert len(raw.headers["x-flames-request-id"]) == 32
        raw.http_response.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_blocked_question_is_a_bad_request(proxy: Proxy, stream: bool) -> None:
    """The policy's words, our code, and the model was not asked."""
    with pytest.raises(openai.BadRequestError) as refused:
        list(proxy.ask(f"我的身份证是{IDENTITY}", stream=stream))
    error: Any = refused.value.body
    assert error["message"] == SORRY
    assert error["provider_specific_fields"]["code"] == "content_filter"
    assert not any(IDENTITY in text for text in proxy.asked())


@pytest.mark.parametrize("bad", [BAD, HIDDEN])
def test_a_bad_answer_is_the_message(proxy: Proxy, bad: str) -> None:
    """By the judge or by evidence, whole and streamed; nothing of it leaves."""
    asked = json.dumps({"content": story(60) + bad + story(60)}, ensure_ascii=False)
    whole = proxy.ask(asked).choices[0]
    assert (whole.message.content, whole.finish_reason) == (SORRY, "content_filter")
    texts, ends = said(proxy.ask(asked, stream=True))
    assert ends == {0: "content_filter"}
    assert texts[0].endswith(SORRY)
    assert bad[:2] not in texts[0]
    assert IDENTITY[:6] not in texts[0]


def test_of_two_choices_the_bad_one_is_withheld(proxy: Proxy) -> None:
    """Whole: it alone; streamed: every open choice gets its end."""
    asked = f"{story(100)}|{story(100, seed=1)}{BAD}"
    whole = proxy.ask(asked, n=2).choices
    assert [one.message.content for one in whole] == [story(100), SORRY]
    assert [one.finish_reason for one in whole] == ["stop", "content_filter"]
    texts, ends = said(proxy.ask(asked, n=2, stream=True))
    assert ends[1] == "content_filter"
    assert set(ends) == {0, 1}
    assert texts[1].endswith(SORRY)


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_and_thinking_are_judged(proxy: Proxy, stream: bool) -> None:
    """Arguments before any of them leaves; thinking like the answer."""

    def dumped(told: dict[str, Any]) -> str:
        got = proxy.ask(json.dumps(told, ensure_ascii=False), stream=stream)
        parts = list(got) if stream else [got]
        return json.dumps([part.model_dump() for part in parts], ensure_ascii=False)

    function = {"name": "f", "arguments": '{"城市": "上海"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    good = dumped({"tool_calls": [call]})
    assert "call_1" in good
    assert "tool_calls" in good
    bad = {**call, "function": {**function, "arguments": f'{{"正文": "{BAD}"}}'}}
    for told in ({"tool_calls": [bad]}, {"reasoning_content": BAD, "content": "好"}):
        got = dumped(told)
        assert SORRY in got
        assert BAD[:2] not in got
        assert "content_filter" in got


def test_a_judge_that_fails_lets_nothing_out(proxy: Proxy) -> None:
    """503, and in a stream an error that the client raises."""
    with pytest.raises(openai.InternalServerError) as failed:
        proxy.ask(BROKEN)
    assert failed.value.status_code == 503
    with pytest.raises(openai.APIError) as broken:
        list(proxy.ask(story(100) + BROKEN, stream=True))
    assert broken.value.code == "guard_unavailable"


def test_users_at_the_same_time_never_mix(proxy: Proxy) -> None:
    """Each gets their own answer, or the message if theirs was bad."""
    texts = [story(90, seed=n) + (BAD if n % 4 == 0 else "") for n in range(12)]

    def both(text: str) -> tuple[str, str]:
        whole = proxy.ask(text).choices[0].message.content
        return whole, said(proxy.ask(text, stream=True))[0][0]

    with ThreadPoolExecutor(12) as pool:
        answered = list(pool.map(both, texts))
    for n, (text, (whole, live)) in enumerate(zip(texts, answered, strict=True)):
        assert whole == (text if n % 4 else SORRY)
        assert live == text if n % 4 else live.endswith(SORRY)


def test_other_routes_are_guarded_or_refused(proxy: Proxy) -> None:
    """Their questions are judged, their streams refused, and callers can't switch the guard off."""
    bad = f"我的身份证是{IDENTITY}"
    with pytest.raises(openai.BadRequestError):
        proxy.client.responses.create(model="bot", input=bad)
    with pytest.raises(openai.BadRequestError, match="no guard"):
        list(proxy.client.responses.create(model="bot", input="好", stream=True))
    with pytest.raises(openai.BadRequestError):
        proxy.client.embeddings.create(model="bot", input=bad)
    off = {"guardrails": [], "metadata": {"disable_global_guardrails": True}}
    with pytest.raises(openai.BadRequestError):
        proxy.ask(bad, extra_body={**off, "disable_global_guardrails": True})


def test_its_endpoint_for_guardrails_judges(proxy: Proxy) -> None:
    """`/guardrails/apply_guardrail`, which other programs ask: 400, or 500 from a proxy that has no
    database library, which it needs to phrase any error."""

    def apply(text: str) -> httpx.Response:
        return httpx.post(
            f"{proxy.url}/guardrails/apply_guardrail",
            json={"guardrail_name": "flames", "text": text},
            headers={"authorization": f"Bearer {proxy.key}"},
            trust_env=False,
            timeout=30,
        )

    assert apply("你好").status_code == 200
    refused = apply(f"我的身份证是{IDENTITY}")
    assert refused.status_code in {400, 500}
    assert IDENTITY not in refused.text
