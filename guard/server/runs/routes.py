"""The routes of /v1/runs: submit, follow, fetch, cancel, resume, delete."""

from __future__ import annotations

from typing import Any, Final, Never

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from guard.openai_api import ApiError
from guard.server.http.body import pass_on
from guard.server.http.exchange import exchange_of
from guard.server.http.responses import json_response
from guard.server.routes.judging import no_rubric
from guard.server.runs.following import progress_events
from guard.server.runs.intake import Intake, Upload, no_room
from guard.server.runs.report import report_text
from guard.server.runs.sending import lines_response
from guard.server.runs.store import RunRequest, RunStore, as_run
from guard.server.state import State
from guard.wire import RunList, RunOptions
from judge.errors import InputError

KINDS: Final = (
    "application/jsonl",
    "application/x-ndjson",
    "application/x-jsonlines",
    "application/json",
    "text/csv",
)
LINES: Final = "application/x-ndjson"
_NAMES: Final = {"text/csv": "records.csv"}  # a file's name says what can't be told from its rows
WRITE_BYTES: Final = 2**20  # of an upload that are gathered before they are written
_FLAGS: Final = {"true": True, "false": False}


class Runs:
    """The routes.

    Args:
        state: what all requests share.
        store: the runs.
        intake: takes new ones in.
    """

    def __init__(self, state: State, store: RunStore, intake: Intake) -> None:
        self._state, self._store, self._intake = state, store, intake

    async def submit(self, request: Request) -> Response:
        """Take a file of records; its body is the file, its options are in the query.

        Raises:
            ApiError: it can't be read, the caller has too many, or there is no room.
        """
        options = self._options(request, _NAMES.get(_checked_kind(request)))
        asked = exchange_of(request.scope)
        bench = self._state.bench
        upload = await bench.aside(self._intake.open, asked.caller, options, asked.runs)
        try:
            await self._received(request, upload)
            run = await bench.aside(self._intake.accept, upload)
        finally:
            await bench.aside(upload.drop)
        return json_response(self._told(run), 202)

    async def listed(self, request: Request) -> Response:
        """The caller's runs, newest first."""

        def mine(caller: str | None) -> RunList:
            runs = self._store.of(caller)
            return RunList(runs=tuple(as_run(run, self._store.progress(run.ref)) for run in runs))

        found = await self._state.bench.aside(mine, exchange_of(request.scope).caller)
        return json_response(found.model_dump(mode="json"))

    async def one(self, request: Request) -> Response:
        """Where a run is."""
        return json_response(self._told(self._own(request)))

    async def follow(self, request: Request) -> Response:
        """Its progress as server-sent events, until it has ended; HEAD gets none of them."""
        if request.method == "HEAD":
            self._own(request)
            return Response(media_type="text/event-stream")
        return progress_events(self._state, self._store, self._own(request))

    async def verdicts(self, request: Request) -> Response:
        """The log so far; of several lines about one row the last one counts."""
        run = self._own(request)
        return await lines_response(self._state.bench, self._store.log(run.ref), LINES)

    async def summary(self, request: Request) -> Response:
        """The report as JSON, once the run has ended."""
        run = self._ended(request)
        try:
            text = await self._state.bench.aside(self._store.summary(run.ref).read_bytes)
        except OSError:
            raise _nothing() from None
        return Response(text, media_type="application/json")

    async def report(self, request: Request) -> Response:
        """The report as people read it, once the run has ended."""
        run = self._ended(request)
        try:
            text = await self._state.bench.aside(report_text, self._store.summary(run.ref))
        except OSError:
            raise _nothing() from None
        return Response(text, media_type="text/plain; charset=utf-8")

    async def bad_rows(self, request: Request) -> Response:
        """The records that could not be read, once the run has ended."""
        run = self._ended(request)
        return await lines_response(self._state.bench, self._store.bad_rows(run.ref), LINES)

    async def cancel(self, request: Request) -> Response:
        """Stop a run; what is judged stays. One that has ended stays as it is."""
        run = self._own(request)
        if not self._store.progress(run.ref).ended:
            try:
                self._store.cancel(run.ref)
            except OSError:
                self._own(request)  # deleted meanwhile
                raise no_room() from None
        return json_response(self._told(run), 202)

    async def resume(self, request: Request) -> Response:
        """Go on with a run that has ended: what is judged stays, what failed in passing is not.

        Raises:
            ApiError: 409 it has not ended; 429 the caller has as many open runs as may be.
        """
        run = self._ended(request)
        own = exchange_of(request.scope).runs
        try:
            await self._state.bench.aside(self._intake.resume, run.ref, own)
        except InputError:
            raise _not_ended() from None
        except FileNotFoundError:
            raise _no_run() from None
        except OSError:
            raise no_room() from None
        return json_response(self._told(run), 202)

    async def delete(self, request: Request) -> Response:
        """Delete a run with all that is kept of it, also while it is worked on."""
        run = self._own(request)
        try:
            await self._state.bench.aside(self._store.delete, run.ref)
        except FileNotFoundError:
            raise _no_run() from None
        return Response(status_code=204)

    async def _received(self, request: Request, upload: Upload) -> None:
        """Write the body to the upload, as it arrives."""
        bench, limits, waiting = self._state.bench, self._state.limits, bytearray()

        async def take(piece: bytes) -> None:
            waiting.extend(piece)
            if len(waiting) >= WRITE_BYTES:
                await write()

        async def write() -> None:
            await bench.aside(upload.write, bytes(waiting))
            waiting.clear()

        within_s = limits.body_s * max(1.0, limits.run_bytes / limits.body_bytes)
        most = limits.run_bytes
        await pass_on(request.scope, request.receive, take, most=most, within_s=within_s)
        await write()

    def _options(self, request: Request, name: str | None) -> RunOptions:
        """The query; `name` is the file's where the query gives none.

        Raises:
            ApiError: 400; it holds something else, or a dimension without a rubric.
        """
        given: dict[str, Any] = {} if name is None else {"name": name}
        given |= request.query_params
        if "ordinary" in given:
            given["ordinary"] = _FLAGS.get(given["ordinary"].lower(), "")
        try:
            options = RunOptions.model_validate(given)
        except ValidationError:
            raise ApiError(
                "the query holds name, dimension (1 to 200 characters) and ordinary=true or false",
                status=400,
                code="invalid_request",
            ) from None
        rubrics = self._state.rubrics
        if options.dimension is not None and rubrics.find(options.dimension) is None:
            raise no_rubric(rubrics)
        return options

    def _told(self, run: RunRequest) -> dict[str, Any]:
        return as_run(run, self._store.progress(run.ref)).model_dump(mode="json")

    def _own(self, request: Request) -> RunRequest:
        caller = exchange_of(request.scope).caller
        run = self._store.find(str(request.path_params["run"]), caller)
        if run is None:
            raise _no_run()
        return run

    def _ended(self, request: Request) -> RunRequest:
        run = self._own(request)
        if not self._store.progress(run.ref).ended:
            raise _not_ended()
        return run


async def no_runs(_: Request) -> Never:
    """What all of them say where there is no folder for runs.

    Raises:
        ApiError: 404; says how to have one.
    """
    raise ApiError(
        "this server keeps no runs: start it with --data DIR", status=404, code="no_runs"
    )


def _checked_kind(request: Request) -> str:
    """What a body is said to be.

    Raises:
        ApiError: 415; no file of records, or a compressed one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    packed = request.headers.get("content-encoding", "identity").strip().lower() != "identity"
    if packed or kind not in KINDS:
        raise ApiError(
            f"the body is the file itself, uncompressed, of content type {', '.join(KINDS)}",
            status=415,
            code="unsupported_media_type",
        )
    return kind


def _no_run() -> ApiError:
    return ApiError("there is no such run", status=404, code="not_found")


def _not_ended() -> ApiError:
    return ApiError("the run has not ended yet", status=409, code="not_ended")


def _nothing() -> ApiError:
    message = "the run ended before a row was judged: there is no summary"
    return ApiError(message, status=404, code="no_summary")
