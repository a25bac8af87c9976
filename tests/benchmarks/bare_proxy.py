"""A proxy that looks at nothing: what the libraries under `serve` take by themselves.

python -m tests.benchmarks.bare_proxy UPSTREAM
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import aiohttp
import uvicorn


class Bare:
    """Passes chat completions on, byte for byte."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        given = {"content-type": "application/json"}
        async with self._session.post(self._url, data=body, headers=given) as response:
            headers = [(b"content-type", response.headers["content-type"].encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for piece in response.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve on any free port, and say which."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", flush=True)
    config = uvicorn.Config(
        Bare(sys.argv[1]), http="httptools", ws="none", lifespan="off", log_level="critical"
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
