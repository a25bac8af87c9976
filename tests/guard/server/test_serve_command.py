"""`flames-judge serve` as a process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from tests import warm
from tests.cli.conftest import Flames
from tests.guard.server.serving import says
from tests.guard.upstream import Call, Upstream, chunk, frame

PORT = ("--port", "0")
POLICY = "version: 1\nrules: [{evidence: pii, side: output, action: block}]\n"
ROOT = Path(__file__).parents[3]
MOBILE = "我的手机号是13912345678，随时打给我。"


@dataclass
class Running:
    """A server's process."""

    process: asyncio.subprocess.Process
    pid: int
    base: str
    line: str
    client: aiohttp.ClientSession

    async def chat(self, **more: object) -> tuple[int, bytes]:
        """One chat completion."""
        body = {"model": "m", "messages": [{"role": "user", "content": "你好"}], **more}
        async with self.client.post(f"{self.base}/chat/completions", json=body) as response:
            return response.status, await response.read()

    async def page(self, path: str) -> str:
        """A page of the server's own."""
        async with self.client.get(self.base.removesuffix("/v1") + path) as response:
            return await response.text()

    async def ended(self) -> int:
        """Its exit status, once it is there."""
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def running(upstream: str, policy: Path, *flags: str) -> AsyncIterator[Running]:
    """Start `flames-judge serve`, and end it if it still runs."""
    told = policy.with_name("pid")
    code = (
        f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n"
        "import guard.cli; guard.cli.main()"
    )
    process = await asyncio.create_subprocess_exec(
        *warm.python(code, "serve", "--upstream", upstream, "--policy", policy, *PORT, *flags),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *_path()])},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        found = re.search(r"http://\S+", line)
        assert found, (line, (await process.stderr.read()).decode())
        async with aiohttp.ClientSession() as client:
            pid = int(await asyncio.to_thread(told.read_text))
            yield Running(process, pid, found[0], line, client)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()  # its workers end with it
            await process.wait()


def _path() -> list[str]:
    return [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that needs neither judge nor calibration."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    return file


async def test_it_guards_and_ends_with_sigterm(policy: Path, tmp_path: Path) -> None:
    """The first line says where and by what; decisions are kept without texts; status 0."""
    data = tmp_path / "data"
    async with (
        Upstream(says(MOBILE)) as upstream,
        running(upstream.url, policy, "--data", str(data)) as server,
    ):
        status, body = await server.chat()
        assert status == 200
        assert "13912345678" not in body.decode()
        assert json.loads(body)["choices"][0]["finish_reason"] == "content_filter"
        assert "policy" in server.line
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
        assert server.process.stderr is not None
        assert await server.process.stderr.read() == b""
    kept = await asyncio.to_thread(contents, data)
    assert b"pii" in kept
    assert b"13912345678" not in kept


async def test_answers_go_to_people_and_drift_is_watched(policy: Path, tmp_path: Path) -> None:
    """A share of the conversations waits to be labelled; the watch is kept at the end."""
    labels, drift, log = tmp_path / "labels", tmp_path / "drift.json", tmp_path / "events.jsonl"
    flags = ("--label-queue", str(labels), "--label-share", "1", "--drift", str(drift))
    async with (
        Upstream(says("今天晴，适合出门散步。")) as upstream,
        running(upstream.url, policy, *flags, "--audit", f"jsonl:{log}") as server,
    ):
        assert (await server.chat())[0] == 200
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
        assert server.process.stderr is not None
        said = (await server.process.stderr.read()).decode()
    assert said.startswith("flames-judge: --drift: no rule has a `dimension`")
    assert said.count("\n") == 1
    rows = await asyncio.to_thread((labels / "random" / "verdicts.jsonl").read_text, "utf-8")
    assert "今天晴，适合出门散步。" in rows
    kept = json.loads(await asyncio.to_thread(drift.read_text, "utf-8"))
    assert kept["baseline"]["rules"] == [1.0]
    events = await asyncio.to_thread(log.read_text, "utf-8")
    assert [json.loads(line)["side"] for line in events.splitlines()] == ["input", "output"]
    assert "适合出门散步" not in events


async def counted(server: Running) -> float:
    """Chat completions that were answered, as any of the workers tells it."""
    route = 'flames_http_requests_total{route="/v1/chat/completions",status="200"}'
    async with aiohttp.ClientSession() as client:
        page = await replace(server, client=client).page("/metrics")
    return float(page.split(route)[1].split("\n")[0]) if route in page else 0.0


def contents(folder: Path) -> bytes:
    """All bytes of all files."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_what_runs_when_it_is_told_to_end_is_answered(policy: Path, workers: str) -> None:
    """Twenty requests wait for the model and get their answers; new callers are turned away.

    Of several workers, each has told before on its page what all of them counted, and all end.
    """
    asked, go_on = asyncio.Semaphore(0), asyncio.Event()
    go_on.set()

    async def script(call: Call) -> None:
        asked.release()
        await go_on.wait()
        await says("好。")(call)

    async with (
        Upstream(script) as upstream,
        running(upstream.url, policy, "--workers", workers) as server,
    ):
        for _ in range(30):  # a connection each: the system spreads them over the workers
            async with aiohttp.ClientSession() as client:
                assert (await replace(server, client=client).chat())[0] == 200
            await asked.acquire()
        async with asyncio.timeout(10):
            while await counted(server) < 30:  # a request is counted after its last byte
                pass
        assert [await counted(server) for _ in range(4)] == [30] * 4
        go_on.clear()
        waiting = [asyncio.ensure_future(server.chat(stream=n % 2 == 0)) for n in range(20)]
        for _ in waiting:
            await asyncio.wait_for(asked.acquire(), 60)
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await _closed(server)
        go_on.set()
        answers = await asyncio.gather(*waiting)
        assert await server.ended() == 0
    assert {status for status, _ in answers} == {200}
    assert all("好。" in body.decode() for _, body in answers)


async def test_workers_end_with_a_parent_that_is_killed(policy: Path) -> None:
    """Else they would serve on by an old policy, on the port that the next server is to have.

    What they had in hand is still answered.
    """
    asked, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def script(call: Call) -> None:
        asked.release()
        await go_on.wait()
        await says("好。")(call)

    async with (
        Upstream(script) as upstream,
        running(upstream.url, policy, "--workers", "2") as server,
    ):
        waiting = asyncio.ensure_future(server.chat())
        await asyncio.wait_for(asked.acquire(), 60)
        os.kill(server.pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            await _closed(server)
        go_on.set()
        assert (await waiting)[0] == 200
        assert server.process.stdout is not None
        await asyncio.wait_for(server.process.stdout.read(), 30)  # who could write there is gone
        await server.ended()


async def test_a_policy_that_is_changed_under_a_server_changes_no_worker_s(policy: Path) -> None:
    """Nor that of one that is started anew: a server says at its start what all of it goes by."""
    async with (
        Upstream(says(MOBILE)) as upstream,
        running(upstream.url, policy, "--workers", "2") as server,
    ):
        other = POLICY.replace("block", "flag")  # before the workers have loaded theirs
        await asyncio.to_thread(policy.write_text, other, encoding="utf-8")
        found = [await policy_of(server) for _ in range(20)]
        for worker in workers_of(server):
            os.kill(worker, signal.SIGKILL)
        async with asyncio.timeout(60):
            found.append(await policy_of(server))
        assert f"policy {found[0]}," in server.line
        assert set(found) == {found[0]}


async def policy_of(server: Running) -> str:
    """Which policy a worker goes by, on a connection of its own; asks until one answers."""
    body = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as client,
                client.post(f"{server.base}/chat/completions", json=body) as response,
            ):
                return response.headers["x-flames-policy"]


def workers_of(server: Running) -> list[int]:
    """The processes of its workers."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    commands = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in children}
    return [one for one, command in commands.items() if b"spawn_main" in command]


async def _closed(server: Running) -> None:
    """Wait until the server takes no new connections."""
    host, port = server.base.removeprefix("http://").removesuffix("/v1").split(":")
    with contextlib.suppress(ConnectionError):
        while True:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()


async def test_what_runs_on_past_the_grace_time_is_told(policy: Path) -> None:
    """A plain request gets 503, a stream that has begun an error in it; nobody is left hanging."""
    asked = asyncio.Semaphore(0)

    async def script(call: Call) -> None:
        if call.json.get("stream"):
            await call.begin()
            await call.piece(frame(chunk({"content": "今天。" * 100})))
        asked.release()
        await call.gone()

    async with (
        Upstream(script) as upstream,
        running(upstream.url, policy, "--grace", "0.3") as server,
    ):
        plain = asyncio.ensure_future(server.chat())
        stream = asyncio.ensure_future(server.chat(stream=True))
        for _ in range(2):
            await asyncio.wait_for(asked.acquire(), 10)
        server.process.send_signal(signal.SIGTERM)
        status, body = await asyncio.wait_for(plain, 10)
        started, frames = await asyncio.wait_for(stream, 10)
        assert await server.ended() == 0
    assert (status, json.loads(body)["error"]["code"]) == (503, "shutting_down")
    assert started == 200
    assert b'"code":"shutting_down"' in frames
    assert frames.endswith(b"data: [DONE]\n\n")


async def test_runs_are_taken_as_the_flags_and_the_key_say(
    policy: Path, folder: Path, flames: Flames
) -> None:
    """So large, so many rows, so many kept; and none of who has no number of their own."""
    ann = flames("keys", "add", "ann", "--keys", "keys.json", "--runs", "5").out.strip()
    bob = flames("keys", "add", "bob", "--keys", "keys.json").out.strip()
    assert "5 open runs" in flames("keys", "list", "--keys", "keys.json").out.splitlines()[0]
    flags = ("--max-run", "0.01", "--max-rows", "3", "--open-runs", "0", "--kept-runs", "2")
    places = ("--data", str(folder / "data"), "--keys", str(folder / "keys.json"))
    record = json.dumps({"prompt": "问", "response": "答", "dimension": "Legality"}) + "\n"
    files = [(bob, record), (ann, record * 200), (ann, "\n" * 31), (ann, record), (ann, record)]
    found = []
    async with running("http://127.0.0.1:1/v1", policy, *flags, *places) as server:
        for key, content in [*files, (ann, record)]:
            headers = {"authorization": f"Bearer {key}", "content-type": "application/jsonl"}
            url = f"{server.base}/runs"
            async with server.client.post(url, data=content, headers=headers) as response:
                told = await response.json()
                found.append((response.status, told.get("error", {}).get("code")))
    assert found == [
        (403, "runs_not_allowed"),
        (413, "body_too_large"),
        (413, "too_many_rows"),
        (202, None),
        (202, None),
        (429, "too_many_kept_runs"),
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--host", "0.0.0.0"], "needs --keys"),
        (["--host", "192.0.2.1"], "needs --keys"),
        (["--host", "[::1]", "--upstream-key-env", "NO_SUCH_VARIABLE"], "holds no key"),
        (["--host", "[2001:db8::1]"], "needs --keys"),
        (["--data", "policy.yaml"], "policy.yaml: can't be used: is no folder"),
        (["--keys", "no.json"], "flames-judge keys add"),
        (["--upstream", "ftp://x/v1"], "is not a server's URL"),
        (["--upstream", "http://u:p@x/v1"], "must not hold a password"),
        (["--upstream", "http://x/v1/chat/completions"], "is the URL of a route"),
        (["--policy", "no.yaml"], "no.yaml"),
        (["--policy", "promise.yaml"], "needs a calibration"),
        (["--upstream-key-env", "NO_SUCH_VARIABLE"], "holds no key"),
        (["--retain-days", "7"], "nothing is recorded"),
        (["--record-texts"], "nothing is recorded"),
        (["--label-share", "0.5"], "there is no queue"),
        (["--drift", "d.json", "--workers", "2"], "must count once"),
        (["--audit", "jsonl:"], "is no place"),
        (["--audit", "events"], "--audit: is no place of a log"),
        (["--audit", "foo:bar"], "--audit: is no place of a log"),
        (["--drift", "policy.yaml/d.json"], "policy.yaml/d.json: can't be written"),
        (["--policy", "misspelt.yaml"], "misspelt.yaml:2: 'gpt4' names no judge"),
    ],
)
def test_what_can_t_be_served_is_refused(
    flames: Flames, folder: Path, flags: list[str], said: str
) -> None:
    """One line, status 2, and nothing listens."""
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    promise = "{miss_rate: 0.05, confidence: 0.95}"
    rule = f"{{dimension: Legality, promise: {promise}, action: block}}"
    misspelt = POLICY.replace("rules", "judge: gpt4\nrules")
    (folder / "misspelt.yaml").write_text(misspelt, encoding="utf-8")
    (folder / "promise.yaml").write_text(f"version: 1\nrules: [{rule}]\n", encoding="utf-8")
    given = {"--upstream": "http://127.0.0.1:9/v1", "--policy": "policy.yaml", "--port": "0"}
    given = {key: value for key, value in given.items() if key not in flags}
    ran = flames("serve", *(word for pair in given.items() for word in pair), *flags)
    assert ran.status == 2
    *hints, error = ran.err.splitlines()
    assert said in error
    assert all("--drift: no rule has a `dimension`" in hint for hint in hints)
    assert ran.out == ""


@pytest.mark.parametrize(
    "flags", [["--policy", "cut.yaml"], ["--keys", "no.json"], ["--upstream-key-env", "NO_SUCH"]]
)
def test_what_is_refused_leaves_no_folder(flames: Flames, folder: Path, flags: list[str]) -> None:
    """A mistaken policy, key or file of keys is told before anything is made."""
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    rule = "{dimension: Legality, cut: 0.5, action: block}"
    (folder / "cut.yaml").write_text(f"version: 1\nrules: [{rule}]\n", encoding="utf-8")
    given = ("--upstream", "http://127.0.0.1:9/v1", "--policy", "policy.yaml", *PORT)
    assert flames("serve", *given, "--data", "kept", *flags).status == 2
    assert not (folder / "kept").exists()


def test_answers_to_label_alone_may_be_deleted_in_time(flames: Flames, folder: Path) -> None:
    """They hold texts, and so need no log beside them to be kept for some days alone."""
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    given = ("--upstream", "http://127.0.0.1:9/v1", "--policy", "policy.yaml", *PORT)
    stop = ("--upstream-key-env", "NO_SUCH_VARIABLE")  # looked at later than the flags
    ran = flames("serve", *given, "--retain-days", 7, "--label-queue", "queue", *stop)
    assert "holds no key" in ran.err
