"""A chat in the browser with a model behind `flames-judge serve`.

    python examples/chat_page.py --base-url http://127.0.0.1:8000/v1 --model NAME

The page streams answers, says when one was stopped, and takes back what the guard withdraws. Only
this machine can open it. What people and models write is never read as markup.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PAGE = Path(__file__).with_suffix(".html")
MOST_BYTES = 2**20
TIMES = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)
PASSED_ON = "x-flames-request-id"  # finds the decision in the guard's audit log


def chat_app(base_url: str, model: str, key: str | None = None) -> Starlette:
    """The page, and the one request that it makes.

    Args:
        base_url: of the guard, with `/v1`.
        model: that is asked.
        key: sent to the guard; the browser never sees it.
    """
    headers = {} if key is None else {"authorization": f"Bearer {key}"}

    @asynccontextmanager
    async def connected(app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(headers=headers, timeout=TIMES) as session:
            app.state.session = session
            yield

    async def ask(request: Request) -> Response:
        messages = await _messages(request)
        if messages is None:
            return _problem(400, "bad_request", "the page sends JSON: {messages: [...]}")
        body = {"model": model, "messages": messages, "stream": True}
        session: aiohttp.ClientSession = request.app.state.session
        try:
            answer = await session.post(
                f"{base_url}/chat/completions", json=body, allow_redirects=False
            )
            if answer.status != 200:
                return Response(await answer.read(), answer.status, media_type="application/json")
        except (aiohttp.ClientError, TimeoutError):
            return _problem(502, "unreachable", f"nothing answers at {base_url}")
        told = {name: answer.headers[name] for name in (PASSED_ON,) if name in answer.headers}
        return StreamingResponse(
            _pieces(answer), media_type="text/event-stream", headers={**told, **NO_STORE}
        )

    return Starlette(
        routes=[Route("/", _page), Route("/chat", ask, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        lifespan=connected,
    )


NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


async def _page(_: Request) -> Response:
    html = PAGE.read_text(encoding="utf-8")
    return HTMLResponse(html, headers={"content-security-policy": _policy(html), **NO_STORE})


def _policy(html: str) -> str:
    """Runs and styles nothing but what the page's own file says, and makes no markup of text."""
    allowed = {tag: _hash(re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[0])
               for tag in ("script", "style")}  # fmt: skip
    return (
        f"default-src 'none'; script-src '{allowed['script']}'; style-src '{allowed['style']}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


async def _messages(request: Request) -> list[Any] | None:
    """The conversation; None for what another site's form could have sent."""
    if request.headers.get("content-type") != "application/json":
        return None
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            return None
    try:
        messages = json.loads(body)["messages"]
    except (ValueError, KeyError, TypeError):
        return None
    return messages if isinstance(messages, list) else None


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The stream as it comes; the guard is let go when the reader leaves."""
    async with answer:
        try:
            async for piece in answer.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError):
            return  # without [DONE]: the page says that the answer broke off


def _problem(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)


def server_for(app: Starlette) -> uvicorn.Server:
    """A server for the page; Ctrl-C ends it, and the answers that are coming."""
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base-url", default="http://127.0.0.1:8000/v1", help="the guard's")
    parser.add_argument("--model", required=True, help="the model that is asked")
    parser.add_argument("--api-key-env", metavar="NAME", help="variable that holds the guard's key")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args(argv)
    key = os.environ.get(given.api_key_env, "") if given.api_key_env else None
    if key == "":
        parser.error(f"{given.api_key_env} holds no key")
    if not given.base_url.startswith(("http://", "https://")):
        parser.error("--base-url is a URL such as http://127.0.0.1:8000/v1")
    try:
        listening = socket.create_server(("127.0.0.1", given.port))
    except (OSError, OverflowError) as error:
        parser.error(f"port {given.port} can't be used: {error}")
    print(f"chat at http://127.0.0.1:{listening.getsockname()[1]}/ - Ctrl-C ends it", flush=True)
    server_for(chat_app(given.base_url.rstrip("/"), given.model, key)).run(sockets=[listening])


if __name__ == "__main__":
    main()
