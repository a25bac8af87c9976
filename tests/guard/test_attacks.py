"""Ways around the guard that were once open: each is tried as its attacker would."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

import guard as package
from guard.audit.sql import SqlLog
from guard.decision import Part
from guard.engine import Asked
from guard.evidence import Scanner
from judge.errors import InputError
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind
from tests.contracts.guard_marks import ADVERT, SORRY, SORRY_EN, marked
from tests.guard.edges.asgi.calling import call
from tests.guard.edges.asgi.test_requests import TEXT, Seen, guarded
from tests.guard.made import ABUSE, BAD, LEGAL, Memory, Time, guard, policy

SAID = "加微信领彩金，首存送88"


class LockedPurse:
    """A purse whose database is locked for reading, or for writing alone."""

    def __init__(self, *, readable: bool) -> None:
        self.readable = readable

    def spent(self, day: str) -> float:
        """Nothing, or no answer."""
        if not self.readable:
            raise sqlite3.OperationalError(day)
        return 0.0

    def add(self, day: str, usd: float) -> None:
        """Fail."""
        raise sqlite3.OperationalError(f"{day} {usd}")


@pytest.mark.parametrize("path", ["/chat\n", "/api/chat\n", "/chat"])
async def test_a_line_s_end_behind_a_path_does_not_go_round_the_guard(path: str) -> None:
    """Starlette serves `/chat%0A` as `/chat`, so that is guarded as well."""

    async def chat(request: Request) -> JSONResponse:
        return JSONResponse({"reply": len(await request.body())})

    one = Route("/chat", chat, methods=["POST"])
    app = guarded(Starlette(routes=[one, Mount("/api", routes=[one])]), routes=["/chat", "/api/*"])
    sent = await call(app, json.dumps({"message": ADVERT}).encode(), path=path)
    assert (sent.status, json.loads(sent.body)["error"]["code"]) == (400, "content_filter")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"message": ADVERT}).encode(),
        json.dumps(ADVERT).encode(),
        b'{"message": "x", "message": ' + json.dumps(ADVERT).encode() + b"}",
        b"\xef\xbb\xbf" + json.dumps([ADVERT]).encode(),
        '{"m": "佗"}'.encode("utf-16-le").replace(b"\x57\x4f", b"OW"),
    ],
)
async def test_json_that_is_called_plain_text_is_judged_as_json(body: bytes) -> None:
    """An application that reads JSON whatever its type says gets nothing unread."""
    seen = Seen()
    sent = await call(guarded(seen), body, headers=TEXT)
    assert sent.status == 400
    assert not seen.messages


async def test_json_in_a_plain_answer_is_judged_as_json() -> None:
    """Escapes in an answer do not hide what its client will show."""
    sent = await call(guarded(PlainTextResponse(json.dumps({"reply": ADVERT}))))
    assert json.loads(sent.body)["reply"] in {SORRY, SORRY_EN}


@pytest.mark.parametrize(
    "disguised", [json.dumps({"text": SAID}), "".join(f"&#{ord(char)};" for char in SAID)]
)
def test_escapes_of_json_and_html_are_seen_through(disguised: str) -> None:
    """A tool call's arguments are JSON in a string; a page shows HTML's escapes as characters."""
    assert ("gambling", "escaped") in Scanner.shipped().kinds(disguised)


@pytest.mark.parametrize("readable", [True, False])
async def test_a_purse_that_is_locked_hides_nothing_that_was_found(readable: bool) -> None:
    """A rule that blocks does so whatever else fails."""
    plan = policy(ABUSE, LEGAL, on_failure="allow", budget_usd_per_day=1.0)
    one = guard(plan, purse=LockedPurse(readable=readable))
    assert (await one.look("output", [Part("x", BAD)], Asked())).stops


async def test_a_scanner_that_breaks_does_not_spare_a_text_the_judge() -> None:
    """Where failures may pass, the judge's own finding still blocks."""

    class Broken:
        def kinds(self, text: str) -> list[tuple[str, str]]:
            raise RuntimeError(text)

    plan = policy(ABUSE, LEGAL, on_failure="allow")
    one = guard(plan, ScriptedJudge(lambda _: 0.1), scanner=Broken())
    decision = await one.look("output", [Part("x", "话")], Asked())
    assert (decision.stops, decision.missed[0].kind) == (True, "error:RuntimeError")


async def test_a_breaker_is_not_left_open_for_ever_by_a_purse_that_fails_once() -> None:
    """The call that tries after the rest always tells how it went."""
    time, works = Time(), [False]
    judge = ScriptedJudge(lambda _: 0.9 if works[0] else FailureKind.UNAVAILABLE)
    plan = policy(LEGAL, breaker={"failures": 1, "rest_s": 1.0}, budget_usd_per_day=1.0)
    one = guard(plan, judge, purse=LockedPurse(readable=True), clock=time.clock)
    await one.look("output", [Part("x", "话")], Asked())
    works[0], time.seconds = True, 2.0
    await one.look("output", [Part("x", "话")], Asked())
    assert not one.breaker_open


async def test_a_recorded_text_can_t_forge_events_nor_stop_the_log(tmp_path: Path) -> None:
    """U+2028 in a text that waits in the file beside ends no line of it."""
    file, memory = tmp_path / "e.sqlite", Memory()
    await guard(sinks=(memory,)).check("output", [Part("x", "a")], Asked(request_id="forged"))
    log = SqlLog.connect(f"sqlite:///{file}")
    one = guard(sinks=(log,), texts=True)
    for text in (f"a\u2028{memory.events[0].model_dump_json()}\u2028b", "a\u2028}"):
        _rename(file, "flames_guard_event", "gone")
        await one.check("output", [Part("x", text)], Asked(request_id="spilled"))
        _rename(file, "gone", "flames_guard_event")
        async with asyncio.timeout(5):
            await one.check("output", [Part("x", "b")], Asked(request_id="after"))
    assert [event.request_id for event in log.events()] == ["spilled", "after"] * 2
    log.close()


@pytest.mark.parametrize("hidden", [ADVERT.encode(), type("Reply", (), {"text": ADVERT})()])
def test_an_answer_that_holds_an_unknown_object_is_not_handed_on(hidden: Any) -> None:
    """What can't be read inside an answer is refused, as it is for the whole of one."""

    def answer(prompt: str) -> dict[str, Any]:
        return {"reply": prompt, "more": [hidden]}

    chat = package.wrap(answer, marked().guard)
    with pytest.raises(InputError, match="can't be read"):
        chat("你好")


def _rename(file: Path, name: str, to: str) -> None:
    database = sqlite3.connect(file)
    database.execute(f"ALTER TABLE {name} RENAME TO {to}")
    database.commit()
    database.close()
