"""Records, a judge that waits until it is told to go on, and a server that keeps runs."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from guard.engine.limits import DailyBudget, PocketPurse, Purse
from guard.loading import calibration_id
from guard.server.records.bench import Bench
from guard.server.settings import Limits
from guard.server.state import State
from judge.calibration import Calibration
from judge.errors import BudgetReached, JudgeUnavailable
from judge.llm.bill import current_bill
from judge.protocols import Judge
from judge.testing import Said, ScriptedJudge
from judge.verdict import Case, Outcome, Usage
from tests.guard.made import guard, policy
from tests.guard.server.serving import Answer, Served, serving, state_of

HARMFUL = "照做"
LINES = "application/jsonl"
SMALL = Limits(grace_s=1.0, run_rests_s=(0.01, 0.01))


def row(number: int, response: str = "抱歉，我不能。", **more: Any) -> dict[str, Any]:
    """A record that can be read."""
    told = {"id": f"r{number}", "prompt": f"问题{number}", "response": response}
    return {**told, "dimension": "Legality", "model": "m", **more}


def lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Records as JSON lines."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows).encode()


def opinion(case: Case) -> Said:
    """Harmful where the answer says so."""
    return 1 if HARMFUL in case.response else 0.9


class HeldJudge(ScriptedJudge):
    """Judges freely, then waits for each further case until it is let go.

    Args:
        free: cases that it judges before it waits.
        script: what it says.
        paid: whether each case costs a dollar, waited for or not.
    """

    def __init__(
        self, free: int = 0, script: Callable[[Case], Said] = opinion, *, paid: bool = False
    ) -> None:
        super().__init__(script, name="held")
        self._free, self._gate, self._paid = free, Future[None](), paid

    def let_go(self) -> None:
        """Judge what waits, and all that comes."""
        self._gate.set_result(None)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        bill = current_bill()
        if self._paid and bill is not None:
            bill.add(Usage(), 1.0)
        if len(self.seen) >= self._free:
            await asyncio.shield(asyncio.wrap_future(self._gate))
        return await super().assess(cases)


class Noticing(HeldJudge):
    """Says when it is asked, and when that is broken off."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.cancelled = threading.Event(), threading.Event()

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        self.began.set()
        try:
            return await super().assess(cases)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class PricedJudge(ScriptedJudge):
    """Takes a dollar for each case, and can't be stopped midway."""

    def __init__(self) -> None:
        super().__init__(opinion, name="priced")

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        outcomes = await super().assess(cases)
        return [outcome.model_copy(update={"cost_usd": 1.0}) for outcome in outcomes]


class FailingJudge(ScriptedJudge):
    """Raises what it is given, one for each call, and then judges."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(opinion, name="failing")
        self._errors = list(errors)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        if self._errors:
            raise self._errors.pop(0)
        return await super().assess(cases)


class AwayJudge(ScriptedJudge):
    """Judges so many cases; then it can't be reached, until it is `away` no longer."""

    def __init__(self, free: int) -> None:
        super().__init__(opinion, name="away")
        self._free, self.away = free, True

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        if self.away and len(self.seen) >= self._free:
            raise JudgeUnavailable("away")
        return await super().assess(cases)


class BrokeAfter(ScriptedJudge):
    """Judges so many cases; then its money is spent."""

    def __init__(self, cases: int) -> None:
        super().__init__(opinion, name="broke")
        self._left = cases

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        if self._left < len(cases):
            raise BudgetReached("the budget is spent")
        self._left -= len(cases)
        return await super().assess(cases)


class Clock:
    """The date, as a test sets it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def bench_of(
    judge: Judge,
    *,
    usd: float | None = None,
    purse: Purse | None = None,
    clock: Callable[[], datetime] | None = None,
    calibration: Calibration | None = None,
) -> Bench:
    """A bench around a judge."""
    now = clock or (lambda: datetime.now(UTC))
    return Bench(judge, DailyBudget(usd, purse or PocketPurse(), now), calibration)


def records_state(judge: Judge, data: Path | None = None, **more: Any) -> State:
    """What a server shares that judges records with this judge."""
    bench = more.pop("bench", None) or bench_of(judge)
    limits = more.pop("limits", SMALL)
    upstream = "http://127.0.0.1:1/v1"
    known = calibration_id(bench.calibration)
    plan = policy({"evidence": "abuse", "action": "block"})
    whole = guard(plan, judge, calibration_id=known)
    return state_of(whole, upstream, data=data, bench=bench, limits=limits, **more)


@asynccontextmanager
async def judging(judge: Judge, data: Path | None = None, **more: Any) -> AsyncIterator[Served]:
    """A server that judges records with this judge, and keeps runs in a folder."""
    port = more.pop("port", 0)
    async with serving(records_state(judge, data, **more), port) as served:
        yield served


async def until(true: Callable[[], object]) -> None:
    """Wait for what a file shows."""
    while not true():  # noqa: ASYNC110 - files tell nobody
        await asyncio.sleep(0.01)


async def sent(served: Served, path: str, content: bytes, **headers: str) -> Answer:
    """The answer to a body that may be large."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    url, body = served.base + path, io.BytesIO(content)
    async with served.client.post(url, data=body, headers=given) as response:
        return Answer(response.status, dict(response.headers), await response.read())


async def submitted(served: Served, content: bytes, query: str = "", **headers: str) -> str:
    """The id of a run of this file."""
    headers = {"content_type": LINES, **headers}
    answer = await sent(served, f"/v1/runs{query}", content, **headers)
    assert answer.status == 202, answer.body
    return str(answer.json["id"])


async def events(
    served: Served,
    run: str,
    enough: Callable[[dict[str, Any]], object] | None = None,
    **headers: str,
) -> list[tuple[str, dict[str, Any]]]:
    """The events of a run's stream, to its end or until one is what is wanted."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    found: list[tuple[str, dict[str, Any]]] = []
    kind = ""
    url = f"{served.base}/v1/runs/{run}/events"
    async with served.client.get(url, headers=given) as response:
        assert response.status == 200, await response.read()
        async for line in response.content:
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                found.append((kind, json.loads(line[6:])))
                if enough is not None and enough(found[-1][1]):
                    response.close()
                    break
    return found


async def ended(served: Served, run: str, **headers: str) -> dict[str, Any]:
    """A run once it has ended."""
    return (await events(served, run, None, **headers))[-1][1]


async def reaches(
    served: Served, run: str, wanted: Callable[[dict[str, Any]], bool], **headers: str
) -> dict[str, Any]:
    """A run as soon as it is what is wanted."""
    found = await events(served, run, wanted, **headers)
    assert wanted(found[-1][1]), found
    return found[-1][1]
