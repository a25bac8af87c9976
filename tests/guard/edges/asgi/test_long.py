"""Long requests and lines: they cost their own time, and hold up nobody else."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from guard.app_streams import Form, LineBody, Setting
from guard.asgi.question import read_question
from guard.asgi.routes import Route
from guard.engine import Asked
from tests.contracts.guard_marks import SLOW, marked, story
from tests.guard.edges.asgi.calling import Sent, call, streaming
from tests.guard.edges.asgi.test_requests import guarded


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


class Shown(Sent):
    """What was sent; it tells when that is as much as is waited for."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self._least, self.enough = least, asyncio.Event()

    async def __call__(self, message: dict[str, Any]) -> None:
        await super().__call__(message)
        if len(self.said) >= self._least:
            self.enough.set()

    @property
    def said(self) -> str:
        return b"".join(one.get("body", b"") for one in self.messages).decode()


def delta(text: str) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}, ensure_ascii=False)


@pytest.mark.parametrize("mode", ["window", "async", "retract"])
@pytest.mark.parametrize(
    ("media", "framed", "size"),
    [
        ("text/event-stream", lambda text: f"data: {delta(text)}\n\n", 10_000),
        ("text/event-stream", lambda text: f'data: {{"text":"{text}"}}\n\n', 9),
        ("application/x-ndjson", lambda text: f'{{"text":"{text}"}}\n', 9),
        ("text/plain", lambda text: f'{{"text":"{text}"}}\n', 9),
        ("text/plain", str, 10_000),
    ],
)
async def test_what_looks_have_passed_waits_for_none_that_come_later(
    media: str, framed: Any, size: int, mode: str
) -> None:
    """An application that says much at once: its beginning is read at once."""
    text = story(900) + SLOW + story(200)
    piece = "".join(framed(text[at : at + size]) for at in range(0, len(text), size))
    given = marked(stream={"mode": mode, "exposure": 200}, deadline_s=600)
    sent = Shown(800)
    asking = asyncio.ensure_future(call(guarded(streaming([piece], media), given), into=sent))
    async with asyncio.timeout(10):
        await sent.enough.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert story(9) in sent.said
