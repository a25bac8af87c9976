"""A real OpenAI-compatible server on loopback whose answers a test scripts, failures and all.

with OpenAIServer(lambda request, n: ok("{...}")) as server:
    ... server.base_url, server.requests
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """One answer: a JSON body (or raw text) with a status; or a connection that misbehaves.

    `events` are sent as a stream instead of the body. `hang` waits until the server stops; `reset`
    breaks the connection before any byte, `cut` halfway through the body or after the events.
    """

    body: Body | str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang: bool = False
    reset: bool = False
    cut: bool = False
    events: Sequence[str] = ()


Script = Callable[[dict[str, Any], int], Reply]


def ok(content: str | None = "好", finish: str = "stop", **more: Any) -> Reply:
    """A completion; `message`, `choice`, `usage` and `delay_s` add to it."""
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    choice = {"index": 0, "finish_reason": finish, "message": message, **more.pop("choice", {})}
    delay = more.pop("delay_s", 0.0)
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    usage |= more.pop("usage", {})
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
    return Reply({**body, "choices": [choice], "usage": usage, **more}, delay_s=delay)


def stream(*parts: str, finish: str = "stop", cut: bool = False) -> Reply:
    """A streamed completion, a chunk a part; when it is cut, neither a finish nor [DONE] comes."""
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas: list[tuple[Body, str | None]] = [({"content": part}, None) for part in parts]
    deltas += [] if cut else [({}, finish)]
    choices = [{"index": 0, "delta": delta, "finish_reason": end} for delta, end in deltas]
    chunks = [json.dumps({**body, "choices": [c]}, ensure_ascii=False) for c in choices]
    return Reply(cut=cut, events=(*chunks, *(() if cut else ("[DONE]",))))


def error(status: int, body: Body, **headers: str) -> Reply:
    """An error with a JSON body; `retry_after` becomes the header Retry-After."""
    return Reply(body, status, {name.replace("_", "-"): text for name, text in headers.items()})


def openai_error(status: int, message: str, code: str | None = None, **headers: str) -> Reply:
    """An error in OpenAI's shape."""
    inner = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return error(status, {"error": inner}, **headers)


def rate_limited(retry_after: str = "0") -> Reply:
    """A 429 that passes."""
    return openai_error(429, "Rate limit reached", "rate_limit_exceeded", retry_after=retry_after)


def with_logprobs(content: str, label: Mapping[str, float]) -> Reply:
    """A completion whose label digit is a token with the given probabilities."""
    import math

    start = content.rindex('"label":') + len('"label":')
    start += len(content[start:]) - len(content[start:].lstrip())
    top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in label.items()]

    def token(text: str, alternatives: Sequence[Any] = ()) -> dict[str, Any]:
        return {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": list(alternatives)}

    parts = (content[:start], content[start], content[start + 1 :])
    tokens = [token(parts[0]), token(parts[1], top), token(parts[2])]
    return ok(content, choice={"logprobs": {"content": tokens}})


FILTERS: Mapping[str, Reply] = {
    "dashscope_input": error(400, {"error": {
        "code": "data_inspection_failed", "type": "data_inspection_failed", "param": None,
        "message": "Input data may contain inappropriate content."}, "request_id": "r"}),
    "dashscope_output": error(400, {"error": {
        "code": "data_inspection_failed", "type": "data_inspection_failed", "param": None,
        "message": "<400> InternalError.Algo.DataInspectionFailed: Output data may contain "
        "inappropriate content."}, "request_id": "r"}),
    "dashscope_native": error(400, {"code": "DataInspectionFailed", "request_id": "r",
        "message": "Input or output data may contain inappropriate content."}),
    "dashscope_faq": error(400, {"error": {"code": "FaqRuleBlocked", "message": "blocked"}}),
    "zhipu_input": error(400, {"contentFilter": [{"level": 1, "role": "user"}], "error": {
        "code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}),
    "zhipu_output": error(400, {"contentFilter": [{"level": 1, "role": "assistant"}], "error": {
        "code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}),
    "zhipu_finish": ok("", "sensitive"),
    "kimi": error(400, {"error": {"type": "content_filter",
        "message": "The request was rejected because it was considered high risk"}}),
    "kimi_code": error(400, {"error": {"type": "invalid_request_error",
        "message": "The request was rejected because it was considered high risk"}}),
    "deepseek": openai_error(400, "Content Exists Risk", "invalid_request_error"),
    "deepseek_finish": ok("不完", "content_filter"),
    "ark_input": error(400, {"error": {"code": "InputTextSensitiveContentDetected",
        "message": "The request failed", "type": "BadRequest"}}),
    "ark_severe": error(400, {"error": {"code": "SensitiveContentDetected.SevereViolation",
        "message": "The request failed", "type": "BadRequest"}}),
    "ark_output": error(400, {"error": {"code": "OutputTextRiskDetection",
        "message": "The request failed", "type": "BadRequest"}}),
    "minimax_input": Reply({"id": "x", "choices": None, "input_sensitive": True,
        "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),
    "minimax_output": Reply({"id": "x", "choices": None,
        "base_resp": {"status_code": 1027, "status_msg": "output new_sensitive"}}),
    "openai": error(400, {"error": {"message": "The response was filtered", "type": None,
        "code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    "openai_prompt": openai_error(400, "Invalid prompt: your prompt was flagged as potentially "
        "violating our usage policy.", "invalid_prompt"),
    "openai_finish": ok("", "content_filter"),
    "openrouter": error(403, {"error": {"code": 403, "message": "Your input was flagged",
        "metadata": {"reasons": ["violence"], "flagged_input": "..", "provider_name": "p"}}}),
    "xai": error(403, {"code": "The caller does not have permission to execute the operation",
        "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"}),
    "spark": Reply({"code": 10013, "message": "input audit", "sid": "s"}),
    "qianfan": ok("您好", need_clear_history=True, ban_round=1),
}  # fmt: skip

SPENT: Mapping[str, Reply] = {
    "openai": openai_error(429, "You exceeded your current quota", "insufficient_quota"),
    "zhipu_arrears": error(429, {"error": {"code": "1113", "message": "账户已欠费，请充值"}}),
    "zhipu_daily": error(429, {"error": {"code": "1304", "message": "当日调用次数已达上限"}}),
    "zhipu_package": error(429, {"error": {"code": "1308", "message": "已达到使用上限"}}),
    "zhipu_fair_use": error(429, {"error": {"code": "1313", "message": "不符合公平使用策略"}}),
    "dashscope_free": openai_error(429, "Free allocated quota exceeded.", "insufficient_quota"),
    "siliconflow": error(403, {"code": 30001, "message": "your account balance is insufficient"}),
    "anthropic": openai_error(400, "Your credit balance is too low to access the API."),
    "dashscope": error(400, {"error": {"code": "Arrearage", "message": "Access denied, please make "
        "sure your account is in good standing."}}),
    "deepseek": openai_error(402, "Insufficient Balance"),
    "ark": error(403, {"error": {"code": "AccountOverdueError", "message": "overdue balance"}}),
    "kimi": error(429, {"error": {"type": "exceeded_current_quota_error",
        "message": "check billing"}}),
    "minimax": Reply({"id": "x", "choices": None,
        "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
}  # fmt: skip


class OpenAIServer:
    """The server, in a thread of its own, for as long as the `with` lasts.

    `requests` holds each request's JSON, `headers` their headers, `most_at_once` how many were in
    flight together. The script gets a request and its number from 0.
    """

    def __init__(self, script: Script | Reply | Sequence[Reply]) -> None:
        self.script = _script(script)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.base_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/{path:.*}", self._answer)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _models(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        number = len(self.requests)
        asked = await request.json()
        self.requests.append(asked)
        self.headers.append(dict(request.headers))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._send(request, self.script(asked, number))
        finally:
            self._at_once -= 1

    async def _send(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.delay_s:
            await self._wait(asyncio.sleep(reply.delay_s))
        if reply.hang:
            await self._stop.wait()
        if (reply.reset or reply.hang) and request.transport is not None:
            request.transport.abort()
        if reply.cut or reply.events:
            return await self._pieces(request, reply)
        kind = "application/json"
        return web.Response(
            text=_text(reply), status=reply.status, headers=reply.headers, content_type=kind
        )

    async def _pieces(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        kind = "text/event-stream" if reply.events else "application/json"
        response = web.StreamResponse(status=reply.status, headers={"Content-Type": kind})
        body = _text(reply).encode()
        if not reply.events:
            response.content_length = len(body)
        await response.prepare(request)
        for event in reply.events:
            await response.write(f"data: {event}\n\n".encode())
        if not reply.events:
            await response.write(body[: len(body) // 2])
        if reply.cut and request.transport is not None:
            request.transport.close()  # after what was written, unlike abort
        return response

    async def _wait(self, what: Awaitable[object]) -> None:
        stopping = asyncio.ensure_future(self._stop.wait())
        waiting = asyncio.ensure_future(what)
        await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        waiting.cancel()


def _script(given: Script | Reply | Sequence[Reply]) -> Script:
    if isinstance(given, Reply):
        return lambda _, __: given
    if isinstance(given, Sequence):
        return lambda _, number: given[min(number, len(given) - 1)]
    return given


def _text(reply: Reply) -> str:
    return reply.body if isinstance(reply.body, str) else json.dumps(reply.body, ensure_ascii=False)
