"""A chatbot of one's own in FastAPI, with the guard as a middleware.

    pip install fastapi
    export UPSTREAM_BASE_URL=http://127.0.0.1:8091/v1 UPSTREAM_MODEL=NAME
    python examples/fastapi_chatbot.py

    curl -d '{"message": "你好"}' -H 'content-type: application/json' http://127.0.0.1:8080/chat
    curl -N -d '{"message": "你好"}' -H 'content-type: application/json' \
        http://127.0.0.1:8080/chat/stream

The model is any behind an OpenAI-compatible server; UPSTREAM_API_KEY is its key. GUARD_POLICY names
another policy, PORT another port.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

from guard.asgi import GuardMiddleware

POLICY = os.environ.get("GUARD_POLICY", Path(__file__).with_name("policy.yaml"))
MODEL = os.environ.get("UPSTREAM_MODEL", "default")

client = AsyncOpenAI(
    base_url=os.environ.get("UPSTREAM_BASE_URL", "http://127.0.0.1:8091/v1"),
    api_key=os.environ.get("UPSTREAM_API_KEY", "none"),
)
app = FastAPI()
app.add_middleware(GuardMiddleware, guard=POLICY, routes=["/chat", "/chat/stream"])
app.add_middleware(GZipMiddleware)  # after the guard, and so outside of it


class Question(BaseModel):
    """What a user sends."""

    message: str


@app.post("/chat")
async def chat(question: Question) -> dict[str, str | None]:
    """The whole answer."""
    messages = [{"role": "user", "content": question.message}]
    answer = await client.chat.completions.create(model=MODEL, messages=messages)  # type: ignore[arg-type]
    return {"reply": answer.choices[0].message.content}


@app.post("/chat/stream")
async def stream(question: Question) -> StreamingResponse:
    """The answer as server-sent events."""
    return StreamingResponse(_events(question.message), media_type="text/event-stream")


async def _events(message: str) -> AsyncIterator[str]:
    asked = [{"role": "user", "content": message}]
    chunks = await client.chat.completions.create(model=MODEL, messages=asked, stream=True)  # type: ignore[call-overload]
    async for chunk in chunks:
        if chunk.choices and (piece := chunk.choices[0].delta.content):
            yield f"data: {json.dumps({'delta': piece}, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
