"""POST /v1/judge: one record or many, judged at once as `flames-judge score` judges them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from guard.openai_api import ApiError
from guard.server.http.body import read_object
from guard.server.http.exchange import ANYONE, exchange_of
from guard.server.http.responses import Refusal, json_response
from guard.server.http.wanted import while_wanted
from guard.server.records.bench import Bench
from guard.server.records.reading import BY_REQUEST, of_a_size
from guard.server.state import State
from guard.wire import MOST_RECORDS, CalibratedVerdict, Filtered, Judged, Judgement, Unreadable
from judge.errors import FlamesJudgeError
from judge.llm.about import about
from judge.readers import ReadOptions
from judge.records import BadRow, Record
from judge.rows import judged_text
from judge.rubric import Rubrics
from judge.verdict import Case, Hazard, Outcome, Verdict

NAME: Final = "record"  # record:1 is the first; rows that name no model are of this one
_WANTED: Final = 'an object: send a record, or {"records": [record, ...]}'
_WHOLE: Final = '{"records": [record], "ordinary": true}'
_KEYS: Final = frozenset({"records", "dimension", "ordinary"})


async def judge(state: State, request: Request) -> Response:
    """Outcomes in the records' order; one that can't be read is told at its place.

    Raises:
        ApiError: the body is none of ours, the judge can't be reached, or the budget is spent.
    """
    body = await read_object(request.scope, request.receive, state.limits, _WANTED)
    asked = _asked(body)
    rows = _read(state.rubrics, asked)
    cases = [_case(state.rubrics, one, asked) for one in rows if _to_judge(one)]
    exchange = exchange_of(request.scope)
    async with while_wanted(request.receive, exchange):
        with about(exchange.caller or ANYONE):
            outcomes = iter(await _assess(state, cases))
    bench, known = state.bench, state.guard.calibration_id
    results = [_told(bench, next(outcomes) if _to_judge(one) else one) for one in rows]
    told = Judgement(judge=bench.judge.name, calibration=known, results=tuple(results))
    return json_response(told.model_dump(mode="json"))


def _read(rubrics: Rubrics, asked: _Asked) -> list[Record | BadRow]:
    """The rows as a file's are read.

    Raises:
        ApiError: 400; no rubric has the dimension.
    """
    if asked.dimension is not None and rubrics.find(asked.dimension) is None:
        raise no_rubric(rubrics)
    parser = ReadOptions(rubrics, dimension=asked.dimension, mends=BY_REQUEST).parser()
    parser.begin(NAME, NAME)
    return list(of_a_size(parser.record(n, row) for n, row in enumerate(asked.rows, 1)))


def _case(rubrics: Rubrics, row: Record | BadRow, asked: _Asked) -> Case:
    if isinstance(row, BadRow) or row.response is None:
        raise AssertionError("such a row isn't judged")
    rubric = rubrics[row.dimension or ""]
    response = judged_text(row.response)
    return Case(record=row, rubric=rubric, response=response, hazard=asked.hazard)


async def _assess(state: State, cases: Sequence[Case]) -> list[Outcome]:
    """What the judge says.

    Raises:
        ApiError: 429 the money is spent; 503 no judge; 504 it took too long.
    """
    bench = state.bench
    if cases and not bench.budget.open:
        raise _spent(datetime.now(UTC))
    try:
        async with asyncio.timeout(state.limits.upstream_s):
            return await bench.assess(cases)
    except FlamesJudgeError:
        raise ApiError("the judge can't be reached", status=503, code="judge_unavailable") from None
    except TimeoutError:
        raise ApiError("the judge took too long", status=504, code="judge_timeout") from None


def _told(bench: Bench, found: Outcome | Record | BadRow) -> Judged:
    """A row's result."""
    if isinstance(found, BadRow):
        return Unreadable(**found.model_dump())
    if isinstance(found, Record):
        return Filtered(record_id=found.id, dimension=found.dimension or "")
    if not isinstance(found, Verdict):
        return found
    p_harmless = bench.calibrated(found)
    return CalibratedVerdict(**dict(found), calibrated_p_harmless=p_harmless)


class _Asked(NamedTuple):
    """Records, and how they are to be judged."""

    rows: Sequence[Mapping[str, Any]]
    dimension: str | None = None
    hazard: Hazard = Hazard.KNOWN


def _to_judge(row: Record | BadRow) -> bool:
    return isinstance(row, Record) and row.response is not None


def _asked(body: Mapping[str, Any]) -> _Asked:
    """What a body asks.

    Raises:
        ApiError: neither one record nor a list of them.
    """
    if "records" not in body:
        if "ordinary" in body:  # unheard, it would be judged as a probe
            problem = f"`ordinary` stands beside `records`: {_WHOLE}"
            raise ApiError(problem, status=400, code="invalid_request", param="ordinary")
        return _Asked([body])
    rows = body["records"]
    dimension, ordinary = body.get("dimension"), body.get("ordinary", False)
    problem = ""
    if set(body) - _KEYS:
        problem = "a key is unknown: there are records, dimension, ordinary"
    elif not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problem = "`records` is not a list of objects"
    elif not rows:
        problem = "`records` is empty"
    elif len(rows) > MOST_RECORDS:
        problem = f"more than {MOST_RECORDS} records: send them to /v1/runs"
    elif not (dimension is None or isinstance(dimension, str)) or not isinstance(ordinary, bool):
        problem = "`dimension` is text and `ordinary` is true or false"
    if problem:
        raise ApiError(problem, status=400, code="invalid_request")
    return _Asked(rows, dimension, Hazard.UNKNOWN if ordinary else Hazard.KNOWN)


def no_rubric(known: Mapping[str, object]) -> ApiError:
    """The refusal of a dimension that no rubric has."""
    message = f"no rubric has this dimension: there are {', '.join(known)}"
    return ApiError(message, status=400, code="invalid_request", param="dimension")


def _spent(now: datetime) -> Refusal:
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    return Refusal(
        "the day's budget for records is spent",
        status=429,
        code="budget_spent",
        headers={"retry-after": str(int((midnight - now).total_seconds()) + 1)},
    )
