"""Long requests and lines: they cost their own time, and hold up nobody else."""

from __future__ import annotations

import asyncio
import time

from guard.app_streams import Form, LineBody, Setting
from guard.asgi.question import read_question
from guard.asgi.routes import Route
from guard.engine import Asked
from tests.contracts.guard_marks import marked


async def test_a_request_of_many_lines_of_json_is_taken_apart_beside_the_event_loop() -> None:
    """Half a second, in which others are served."""
    scope = {"headers": [(b"content-type", b"text/plain")], "query_string": b"", "path": "/chat"}
    body = '{"a": "好"}\n'.encode() * 60_000
    reading, served = asyncio.ensure_future(read_question(scope, body, Route("/chat"), "id")), 0
    while not reading.done():
        await asyncio.sleep(0)
        served += 1
    assert served > 10
    assert "好" * 60_000 in {part.text for part in (await reading).parts}


async def test_a_long_line_in_small_pieces_is_put_together_once() -> None:
    """Much text in pieces of four bytes would be copied for each of them."""
    body = LineBody(Setting(marked().guard, Asked(), Form()))
    text = '"' + "x" * 400_000 + '"'
    start = time.process_time()
    for at in range(0, len(text), 4):
        assert await body.take(text[at : at + 4].encode()) == b""
    assert time.process_time() - start < 2
    assert await body.take(b"\n") + await body.end() == text.encode() + b"\n"
    await body.close()
