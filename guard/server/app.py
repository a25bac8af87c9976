"""The application: the table of its routes, and what lives as long as it does."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from guard.openai_api import ApiError
from guard.server.chat.route import Chat
from guard.server.gate import Gate
from guard.server.http.exchange import exchange_of
from guard.server.http.responses import Refusal
from guard.server.openapi.document import described
from guard.server.routes import health, judging, litellm_api, models, moderations
from guard.server.runs import Intake, Runs, RunStore, RunWorker, no_runs
from guard.server.state import State
from guard.stream import settled

FORGET_EVERY_S: Final = 3600.0
_log = logging.getLogger("flames_judge.serve")


def routes(state: State, store: RunStore | None) -> Sequence[Route]:
    """All that is served, the most asked first."""
    return [
        Route("/v1/chat/completions", Chat(state), methods=["POST"]),
        Route("/v1/models", partial(models.listed, state), methods=["GET"]),
        Route("/v1/moderations", partial(moderations.moderate, state), methods=["POST"]),
        Route(
            "/beta/litellm_basic_guardrail_api", partial(litellm_api.apply, state), methods=["POST"]
        ),
        Route("/healthz", health.alive, methods=["GET"]),
        Route("/readyz", partial(health.ready, state), methods=["GET"]),
        Route("/metrics", partial(health.metrics, state), methods=["GET"]),
        Route("/v1/judge", partial(judging.judge, state), methods=["POST"]),
        *_run_routes(state, store),
        Route("/openapi.json", described, methods=["GET"]),
    ]


def _run_routes(state: State, store: RunStore | None) -> Sequence[Route]:
    """What can be done with runs; where there is no folder for them, each says so."""
    one = "/v1/runs/{run}"
    table = [
        ("POST", "/v1/runs", Runs.submit),
        ("GET", "/v1/runs", Runs.listed),
        ("GET", one, Runs.one),
        ("DELETE", one, Runs.delete),
        ("GET", f"{one}/events", Runs.follow),
        ("GET", f"{one}/verdicts", Runs.verdicts),
        ("GET", f"{one}/summary", Runs.summary),
        ("GET", f"{one}/report", Runs.report),
        ("GET", f"{one}/bad-rows", Runs.bad_rows),
        ("POST", f"{one}/cancel", Runs.cancel),
        ("POST", f"{one}/resume", Runs.resume),
    ]
    if store is None:
        return [Route(path, no_runs, methods=[method]) for method, path, _ in table]
    runs = Runs(state, store, Intake(store, state.limits, state.rubrics))
    return [
        Route(path, partial(function, runs), methods=[method]) for method, path, function in table
    ]


def services(state: State, store: RunStore | None) -> Sequence[AbstractAsyncContextManager[None]]:
    """What runs beside the requests, from before the first one to after the last."""
    work = [] if store is None else [RunWorker(state, store).working()]
    return [_closing(state), _warm(state), _forgetting(state), state.bench.opened(), *work]


def create_app(state: State) -> Gate:
    """The ASGI application of one worker."""
    store = None if state.data is None else RunStore(state.data / "runs")
    return Gate(_Routes(routes(state, store), state, store), state)


class _Routes:
    """Finds a request's route by the path of its scope alone; all else is refused."""

    def __init__(self, table: Sequence[Route], state: State, store: RunStore | None) -> None:
        self._table = table
        self._lifespan: ASGIApp = Router(lifespan=lambda _: _running(services(state, store)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        methods: set[str] = set()
        for route in self._table:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                exchange_of(scope).route = route.path
                await route.handle(scope, receive, send)
                return
            if match is Match.PARTIAL:
                exchange_of(scope).route = route.path
                methods |= route.methods or set()
        if methods:
            raise Refusal(
                "the method is not allowed here",
                status=405,
                code="method_not_allowed",
                headers={"allow": ", ".join(sorted(methods))},
            )
        message = "there is nothing here: GET /openapi.json lists the routes, all others are closed"
        raise ApiError(message, status=404, code="not_found")


@asynccontextmanager
async def _running(
    beside: Sequence[AbstractAsyncContextManager[None]],
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for service in beside:
            await stack.enter_async_context(service)
        yield


@asynccontextmanager
async def _closing(state: State) -> AsyncIterator[None]:
    """The upstream's connections, the guard's, and what has been kept; each whatever else fails."""
    async with AsyncExitStack() as stack:  # from the last to the first
        stack.callback(state.closing.close)
        stack.push_async_callback(_close_clients)
        stack.push_async_callback(state.guard.aclose)
        for queue in state.queues:
            stack.push_async_callback(queue.aclose)
        stack.push_async_callback(settled)
        await state.upstream.open()
        stack.push_async_callback(state.upstream.aclose)
        yield


async def _close_clients() -> None:
    if "litellm" in sys.modules:
        from judge.llm.library import close_clients

        await close_clients()


@asynccontextmanager
async def _warm(state: State) -> AsyncIterator[None]:
    """No request waits for what the first one would have to load."""
    await state.guard.warm()
    yield


@asynccontextmanager
async def _forgetting(state: State) -> AsyncIterator[None]:
    """What is older than the server keeps it is deleted, at the start and every hour."""
    task = None
    if state.retain_days is not None and (state.logs or state.queues):
        task = asyncio.create_task(_forget(state, timedelta(days=state.retain_days)))
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _forget(state: State, kept: timedelta) -> None:
    while True:
        before = datetime.now(UTC) - kept
        for forget in (*(log.forget for log in state.logs), *(q.forget for q in state.queues)):
            try:
                await asyncio.to_thread(forget, before=before)
            except Exception as error:  # noqa: BLE001 - tried again, and told until it works
                _log.error("old decisions were not deleted: %s", error)
        await asyncio.sleep(FORGET_EVERY_S)
