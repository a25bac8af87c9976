"""An upstream's stream of chunks, as they arrive."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import aiohttp

from guard.openai_api import (
    DONE,
    Chunk,
    SseError,
    SseParser,
    UnknownKeys,
    read_chunk,
    upstream_unreadable,
)
from guard.server.settings import Limits
from guard.server.upstream.connection import parsed, pieces

EVENT_BYTES: Final = 8 * 2**20  # a picture, which is left out, comes as one event
Chunks = AsyncGenerator[list[Chunk] | None, None]


async def chunks_of(
    response: aiohttp.ClientResponse, limits: Limits, unknown: UnknownKeys
) -> Chunks:
    """The chunks, as many at a time as arrive together; None for [DONE].

    Raises:
        ApiError: the stream breaks off, is silent, too large or can't be read.
    """
    if response.content_type != "text/event-stream":
        raise upstream_unreadable()
    parser = SseParser(EVENT_BYTES)
    async for piece in pieces(response, limits.answer_bytes):
        batch: list[Chunk] = []
        for event in parser.feed(piece):
            if isinstance(event, SseError):
                raise upstream_unreadable()
            data = event.data.strip()
            if data == DONE:
                yield batch
                yield None
                return
            if data:  # some gateways keep a stream alive with empty events
                batch.append(read_chunk(parsed(data.encode(), EVENT_BYTES), unknown))
        yield batch
