"""The typed client, against the real server on a socket."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

import guard
from guard.client import FlamesClient, FlamesError
from guard.server.keys.file import add_key
from guard.server.settings import Limits
from guard.wire import CalibratedVerdict, Filtered, Run, Unreadable
from judge.errors import FlamesJudgeError
from judge.records import Record, Turn
from judge.testing import ScriptedJudge
from judge.verdict import Failure, FailureKind
from tests.cli.conftest import Flames
from tests.guard.server.records import (
    HARMFUL,
    AwayJudge,
    HeldJudge,
    judging,
    lines,
    opinion,
    row,
)
from tests.guard.server.serving import Served

T = TypeVar("T")


async def asking(
    served: Served, ask: Callable[[FlamesClient], T], key: str | None = None, **more: Any
) -> T:
    """What a client gets, which waits in a thread of its own."""

    def asked() -> T:
        with FlamesClient(served.base, key, **more) as client:
            return ask(client)

    return await asyncio.to_thread(asked)


async def refused(served: Served, ask: Callable[[FlamesClient], Any], **more: Any) -> FlamesError:
    """How a client's question is refused."""
    with pytest.raises(FlamesError) as found:
        await asking(served, ask, **more)
    return found.value


async def test_records_are_judged_at_once() -> None:
    """One record gives one result, several give as many, each of its own type."""
    judge = ScriptedJudge(
        lambda case: FailureKind.OVERSIZE if case.record.id == "r4" else opinion(case)
    )
    record = Record(id="r9", prompt="问", response=HARMFUL, dimension="Legality")
    rows = [row(1), {"prompt": "问"}, row(3, filtered=True) | {"response": None}, row(4)]
    async with judging(judge) as served:
        one = await asking(served, lambda client: client.judge(record))
        many = await asking(served, lambda client: client.judge(iter(rows)))
        plain = {"prompt": "问", "response": "答"}
        given = await asking(
            served, lambda client: client.judge(plain, dimension="Safety", ordinary=True)
        )
    assert isinstance(one, CalibratedVerdict)
    assert (one.record_id, one.label, one.harmless) == ("r9", 1, False)
    kinds = [CalibratedVerdict, Unreadable, Filtered, Failure]
    assert [type(result) for result in many] == kinds
    assert isinstance(given, CalibratedVerdict)
    assert given.dimension == "Safety"


async def test_a_file_is_submitted_followed_and_fetched(tmp_path: Path) -> None:
    """From the path of a file to typed verdicts and figures."""
    file = tmp_path / "qwen-max.jsonl"
    unnamed = [{k: v for k, v in row(n).items() if k != "model"} for n in range(6)]
    file.write_bytes(lines([*unnamed[:5], {"prompt": "x"}]))

    def ask(client: FlamesClient) -> None:
        run = client.submit(file)
        assert (run.name, run.phase) == ("qwen-max.jsonl", "queued")
        told = list(client.follow(run))
        assert (told[-1].phase, told[-1].judged, told[-1].bad_rows) == ("done", 5, 1)
        entries = list(client.verdicts(run.id))
        assert sorted(entry.record_id for entry in entries) == [f"r{n}" for n in range(5)]
        assert {(entry.model, entry.label, entry.type) for entry in entries} == {
            ("qwen-max", 3, "verdict")
        }
        report = client.summary(run)
        assert report.models["qwen-max"].dimensions["Legality"].judged == 5
        assert "Judge: scripted" in client.report(run)
        assert [bad.source for bad in client.bad_rows(run)] == ["qwen-max.jsonl:6"]
        assert client.runs() == [client.run(run)]
        client.delete(run)
        assert client.runs() == []

    async with judging(ScriptedJudge(opinion), tmp_path / "data") as served:
        await asking(served, ask)


async def test_a_table_and_records_can_be_submitted(tmp_path: Path) -> None:
    """CSV by its name; records as they come, without holding them; one by itself."""
    table = tmp_path / "a.csv"
    table.write_text("id,prompt,response,dimension\n1,问,答,Legality\n", encoding="utf-8")
    turn = Turn(role="user", content="先前")
    record = Record(
        id="x", prompt="问", response="答", dimension="Safety", history=(turn,), source="a:1"
    )

    def records() -> Iterator[Any]:
        yield from (row(n) for n in range(300))
        yield record

    judge = ScriptedJudge(opinion)

    def ask(client: FlamesClient) -> list[Run]:
        first = client.wait(client.submit(table))
        runs = client.submit(records(), name="mine.jsonl", dimension="Legality", ordinary=True)
        return [first, client.wait(runs), client.wait(client.submit(row(1)))]

    async with judging(judge, tmp_path / "data") as served:
        first, second, third = await asking(served, ask)
    assert (third.name, third.judged) == ("records.jsonl", 1)
    assert (first.name, first.judged) == ("a.csv", 1)
    assert (second.name, second.judged, second.ordinary) == ("mine.jsonl", 301, True)
    assert [case.record.history for case in judge.seen if case.record.id == "x"] == [(turn,)]


async def test_progress_reaches_the_client_as_it_is_made(tmp_path: Path) -> None:
    """Not all of it at the end."""
    judge, halfway = HeldJudge(free=2), threading.Event()

    def ask(client: FlamesClient) -> list[int]:
        run, seen = client.submit([row(n) for n in range(5)]), []
        for progress in client.follow(run):
            seen.append(progress.done)
            if progress.done == 2:
                halfway.set()
                judge.let_go()
        return seen

    async with judging(judge, tmp_path) as served:
        seen = await asking(served, ask)
    assert halfway.is_set()
    assert seen[-1] == 5
    assert 2 in seen


async def test_a_row_that_was_judged_again_has_one_verdict(tmp_path: Path) -> None:
    """The log has both lines; what counts is the last one."""
    first = True

    def script(_: Any) -> Any:
        return FailureKind.TIMEOUT if first else 0.9

    def ask(client: FlamesClient) -> None:
        nonlocal first
        run = client.wait(client.submit([row(1), row(2)]))
        assert run.failures == {FailureKind.TIMEOUT: 2}
        assert [entry.kind for entry in client.verdicts(run)] == [FailureKind.TIMEOUT] * 2
        first = False
        client.resume(run)
        assert client.wait(run).failures == {}
        assert [entry.label for entry in client.verdicts(run)] == [3, 3]
        client.save_log(run, tmp_path / "log.jsonl")
        assert len((tmp_path / "log.jsonl").read_bytes().splitlines()) == 4

    async with judging(ScriptedJudge(script), tmp_path / "data") as served:
        await asking(served, ask)


def test_a_saved_log_is_a_run_for_the_other_commands(flames: Flames, tmp_path: Path) -> None:
    """Summaries, samples and calibrations are made of it as of a run of `score`."""
    folder = tmp_path / "run"
    folder.mkdir()

    async def save() -> None:
        async with judging(ScriptedJudge(opinion), tmp_path / "data") as served:

            def ask(client: FlamesClient) -> None:
                run = client.wait(client.submit([row(n) for n in range(9)]))
                client.save_log(run, folder / "verdicts.jsonl")

            await asking(served, ask)

    asyncio.run(save())
    summary = flames("summarize", folder, "--json")
    assert summary.status == 0
    assert summary.json["models"]["m"]["dimensions"]["Legality"]["judged"] == 9


async def test_a_client_that_waits_survives_the_server_s_restart(tmp_path: Path) -> None:
    """The run goes on with the server, and the client finds it again."""
    judge, port = HeldJudge(free=2), 0
    async with judging(judge, tmp_path) as served:
        port = int(served.base.rsplit(":", 1)[1])
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask(client: FlamesClient) -> Run:
            run = client.submit([row(n) for n in range(5)])
            last = run
            for last in client.follow(run):
                if last.done == 2:
                    loop.call_soon_threadsafe(begun.set)
            return last

        asked = asyncio.ensure_future(asking(served, ask))
        await begun.wait()
    again = HeldJudge()
    again.let_go()
    async with judging(again, tmp_path, port=port):
        run = await asked
    assert (run.phase, run.judged) == ("done", 5)
    assert len(again.seen) == 3


async def test_waiting_has_an_end_if_it_is_given_one(tmp_path: Path) -> None:
    """The run goes on; a server that is away is not waited for longer than told."""
    async with judging(HeldJudge(), tmp_path) as served:
        run = await asking(served, lambda client: client.submit([row(1)]))
        error = await refused(served, lambda client: client.wait(run, timeout_s=0.2))
        assert (error.status, error.code) == (None, "timeout")
        assert (await asking(served, lambda client: client.run(run))).phase in {"queued", "running"}
        stopped = await asking(served, lambda client: client.wait(client.cancel(run)))
        assert stopped.phase == "cancelled"
    error = await refused(served, lambda client: client.wait(run), patience_s=0.0)
    assert (error.status, error.code) == (None, "unreachable")
    error = await refused(served, lambda client: client.wait(run, timeout_s=0.1))
    assert error.code == "timeout"


async def test_a_slow_answer_is_no_missing_server() -> None:
    """Who is told that nothing can be reached looks for the fault in the network."""
    async with judging(HeldJudge()) as served:
        error = await refused(served, lambda client: client.judge(row(1)), timeout_s=0.2)
    assert (error.status, error.code) == (None, "timeout")


async def test_half_of_a_surrogate_pair_costs_its_row_alone(tmp_path: Path) -> None:
    """What a model wrote may hold one; the others' rows are judged all the same."""
    broken = row(1) | {"response": "\ud83d"}

    def ask(client: FlamesClient) -> tuple[Run, str]:
        run = client.wait(client.submit([broken, row(2)]))
        return run, client.bad_rows(run)[0].reason

    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        run, reason = await asking(served, ask)
        error = await refused(served, lambda client: client.judge(broken))
    assert (run.judged, run.bad_rows) == (1, 1)
    assert "surrogate" in reason
    assert (error.status, error.code) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("kind", "code"), [("text/html", "unreadable"), ("text/event-stream", "unreachable")]
)
async def test_who_tells_nothing_of_a_run_is_not_followed_for_ever(kind: str, code: str) -> None:
    """A wrong address, or a proxy before a server that is away, answers all with status 200."""

    async def nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n"
        writer.write(head.encode() + b"content-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    def ask(base: str) -> str:
        with pytest.raises(FlamesError) as found, FlamesClient(base, patience_s=0.0) as client:
            client.wait("0" * 32, timeout_s=10)
        return found.value.code

    async with await asyncio.start_server(nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await asyncio.to_thread(ask, f"http://127.0.0.1:{port}") == code


async def test_refusals_are_one_kind_of_error(tmp_path: Path) -> None:
    """With the server's status, code and sentence."""
    missing = "0" * 32
    asked: list[tuple[Callable[[FlamesClient], Any], int, str]] = [
        (lambda client: client.run(missing), 404, "not_found"),
        (lambda client: client.delete(missing), 404, "not_found"),
        (lambda client: list(client.follow(missing)), 404, "not_found"),
        (lambda client: list(client.verdicts(missing)), 404, "not_found"),
        (lambda client: client.submit(iter(())), 400, "unreadable_file"),
        (lambda client: client.judge([]), 400, "invalid_request"),
        (lambda client: client.submit([row(1)], dimension="x"), 400, "invalid_request"),
    ]
    async with judging(ScriptedJudge(opinion), tmp_path) as served:
        for ask, status, code in asked:
            error = await refused(served, ask)
            assert (error.status, error.code) == (status, code)
    assert isinstance(error, FlamesJudgeError)
    assert error.message.startswith("no rubric has this dimension")


async def test_a_run_that_is_deleted_ends_who_follows_it(tmp_path: Path) -> None:
    """It is said to be gone, and not waited for."""
    async with judging(HeldJudge(), tmp_path) as served:

        def ask(client: FlamesClient) -> None:
            run = client.submit([row(1)])
            for _ in client.follow(run):
                if client.runs():
                    client.delete(run)

        error = await refused(served, ask)
    assert (error.status, error.code) == (404, "not_found")


async def test_a_key_is_sent(tmp_path: Path) -> None:
    """Without it, or with another, nobody is let in."""
    file = tmp_path / "keys.json"
    key = add_key(file, "ann", None, datetime(2026, 1, 1, tzinfo=UTC))
    async with judging(ScriptedJudge(opinion), tmp_path / "data", keys=file) as served:
        assert await asking(served, lambda client: client.runs(), key) == []
        for wrong in (None, "fj-x"):
            error = await refused(served, lambda client: client.runs(), key=wrong)
            assert (error.status, error.code) == (401, "invalid_api_key")


async def test_a_key_is_taken_as_a_file_holds_it_and_never_shown(tmp_path: Path) -> None:
    """With its line's end; one that no header holds is refused before anybody is asked."""
    file = tmp_path / "keys.json"
    key = add_key(file, "ann", None, datetime(2026, 1, 1, tzinfo=UTC))
    async with judging(ScriptedJudge(opinion), tmp_path / "data", keys=file) as served:
        assert await asking(served, lambda client: client.runs(), f" {key}\r\n") == []
        for wrong in ("fj-secret\0x", "fj-secret\nx", "fj-secret密钥", "", " \n"):
            with pytest.raises(FlamesError) as found:
                FlamesClient(served.base, wrong)
            assert found.value.code == "invalid_api_key"
            assert "secret" not in str(found.value)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_another_server_is_told_from_ours(coding: str) -> None:
    """Its pages are no answers; one whose address ends with /v1 is found as well."""

    async def page(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"<html>hello</html>"
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
        head += f"content-encoding: {coding}\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    def ask(base: str) -> str:
        with pytest.raises(FlamesError) as found, FlamesClient(base) as client:
            client.runs()
        return found.value.code

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await asyncio.to_thread(ask, f"http://127.0.0.1:{port}") == "unreadable"
    server.close()
    assert await asyncio.to_thread(ask, f"http://127.0.0.1:{port}/") == "unreachable"
    for wrong in ("no address", "http://[::1"):
        assert await asyncio.to_thread(ask, wrong) == "unreachable"
    async with judging(ScriptedJudge(opinion)) as served:
        served.base += "/v1"
        assert isinstance(
            await asking(served, lambda client: client.judge(row(1))), CalibratedVerdict
        )


async def test_a_run_without_a_judge_is_told_as_it_is(tmp_path: Path) -> None:
    """Paused, then failed: the phase and the problem say so."""
    limits = Limits(grace_s=1.0, run_rests_s=(0.4,))
    async with judging(AwayJudge(0), tmp_path, limits=limits) as served:

        def ask(client: FlamesClient) -> list[Run]:
            return list(client.follow(client.submit([row(1)])))

        told = await asking(served, ask)
    phases = [run.phase for run in told]
    assert "paused" in phases
    assert (phases[-1], told[-1].problem) == ("failed", "the judge can't be reached")


def test_the_client_is_the_package_s_own_and_costs_nothing_before_it_is_used() -> None:
    """`from guard import FlamesClient` works; `import guard` loads no HTTP library for it."""
    assert guard.FlamesClient is FlamesClient
    assert guard.FlamesError is FlamesError
    code = "import sys, guard; print(json.dumps('httpx' in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) is False
