"""The outermost layer: who may ask, what every response carries, and how every failure is told.

Plain ASGI; what belongs to one request is in its `Exchange` and its `_Reply`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from random import Random
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guard.log import raised_at
from guard.openai_api import ApiError
from guard.request_status import RequestStatus, about_guard
from guard.server.http.authorization import authorization
from guard.server.http.drain import Drain, shutting_down
from guard.server.http.exchange import KEY, Exchange
from guard.server.http.memory import Room
from guard.server.http.responses import Refusal, send_error
from guard.server.settings import Limits
from guard.server.state import State

OPEN_TO_ALL: Final = frozenset({"/healthz", "/readyz"})
_log = logging.getLogger("flames_judge.serve")


class Gate:
    """ASGI middleware around the routes; one for each worker.

    Args:
        app: the routes.
        state: what all requests share.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app, self._state = app, state
        self.limits: Limits = state.limits
        self.drain: Drain = state.drain
        self._about = about_guard(state.guard.policy.id, state.guard.calibration_id)
        # A name has to be another each time, and not a secret: asking the system takes longer.
        self._names = Random()  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"there is no {scope['type']} here")
        start = time.perf_counter()
        status = RequestStatus(f"{self._names.getrandbits(128):032x}", self._about)
        exchange = Exchange(status, Room(self._state.held))
        reply = _Reply(send, exchange)
        scope[KEY] = exchange
        task = self.drain.enter()
        try:
            await self._served(scope, receive, reply)
        finally:
            self.drain.leave(task)
            exchange.room.give_back()
            seconds = time.perf_counter() - start
            self._state.metrics.http(exchange.route, reply.status, seconds)

    async def _served(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        exchange = reply.exchange
        try:
            self._admit(scope, exchange)
            await self._app(scope, receive, reply.send)
        except ApiError as error:
            await reply.refuse(error)
        except HTTPException as error:
            await reply.refuse(_as_refusal(error))
        except ClientDisconnect:
            exchange.gone = True
        except asyncio.CancelledError:
            if exchange.gone:
                return
            if not self.drain.expired:
                raise
            await reply.refuse(shutting_down())
        except Exception as error:  # noqa: BLE001 - told without its text, which may be a user's
            _log.error("request %s: %s", exchange.request_id, raised_at(error))
            await reply.refuse(ApiError("the server has failed", status=500, code="internal_error"))

    def _admit(self, scope: Scope, exchange: Exchange) -> None:
        """Let a request in, or refuse it.

        Raises:
            ApiError: 400 it names no host, or several, or signs twice; 421 it is addressed to
                another name; 401 it has no valid key; 429 its caller has had the minute's requests.
        """
        state = self._state
        names = [value for name, value in scope["headers"] if name == b"host"]
        if len(names) != 1 and scope["http_version"] == "1.1":
            raise ApiError("a request names one host", status=400, code="invalid_host")
        if state.hosts is not None and not (
            len(names) == 1 and state.hosts.allow(names[0].decode("latin-1"))
        ):
            message = "this host name is not served here: without --keys only loopback names are"
            raise ApiError(message, status=421, code="wrong_host")
        if state.keys is None or scope["path"] in OPEN_TO_ALL:
            return
        key = state.keys.find(_key(scope))
        if key is None:
            raise Refusal(
                "the API key is missing or not valid",
                status=401,
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
        exchange.caller, exchange.runs = key.name, key.runs
        wait = 0.0 if key.rpm is None else state.counters.admit(key.name, key.rpm, time.time())
        if wait:
            raise Refusal(
                f"the key's limit is {key.rpm} requests a minute",
                status=429,
                code="rate_limit_exceeded",
                headers={"retry-after": str(int(wait) + 1)},
            )


class _Reply:
    """One response: adds what every response carries, and remembers what has gone out."""

    def __init__(self, send: Send, exchange: Exchange) -> None:
        self._send, self.exchange = send, exchange
        self.status = 499  # the caller left before there was one

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            told = self.exchange.status.headers.items()
            ours = ((name.encode(), value.encode()) for name, value in told)
            message["headers"] = [*message.get("headers", ()), *ours]
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Tell a failure, if there is no response yet; else the connection is closed."""
        if self.status != 499:
            raise ConnectionError("a response broke off")
        await send_error(self.send, error)


def _key(scope: Scope) -> str:
    """The key that a request brings: as a bearer's, or as litellm sends it; "" without one."""
    scheme, _, token = (authorization(scope) or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    given: Mapping[bytes, bytes] = dict(scope["headers"])
    return given.get(b"x-api-key", b"").decode("latin-1").strip()


def _as_refusal(error: HTTPException) -> Refusal:
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    return Refusal(
        error.detail, status=error.status_code, code=code, headers=dict(error.headers or {})
    )
