"""The server behind: one pool of connections, no cookies, no redirects, no compression.

Nothing of a caller's request goes there but the body that we wrote and, where the server has no key
of its own, the caller's Authorization.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from guard.openai_api import ApiError, parse_object, upstream_unreadable
from guard.server.settings import Limits
from judge.errors import InputError

CONNECTIONS: Final = 1000
IDLE_S: Final = 4.0  # shorter than the 5 s after which many servers hang up
PROBE_S: Final = 2.0
FRESH_S: Final = 5.0
LAST_BYTES_S: Final = 0.05
PULSE_S: Final = 1.0
ERROR_BYTES: Final = 64 * 2**10
_ROUTES: Final = ("/chat/completions", "/models")


class Upstream:
    """The server behind. Open it within the event loop, and close it there.

    Args:
        base: its URL, with `/v1`.
        key: sent to it in place of callers' own; None for none.
        lend: whether a caller's Authorization is passed on where `key` is None.
        limits: how long it may take.
    """

    def __init__(self, base: str, key: str | None, limits: Limits, *, lend: bool) -> None:
        self._base, self._limits, self._lend = base.rstrip("/"), limits, lend
        self._own = None if key is None else f"Bearer {key}"
        self._chat = URL(f"{self._base}/chat/completions", encoded=True)
        self._models = URL(f"{self._base}/models", encoded=True)
        self._session: aiohttp.ClientSession | None = None
        self._probed: tuple[float, bool] = (-FRESH_S, False)

    async def open(self) -> None:
        """Make the pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._limits.connect_s, sock_read=self._limits.upstream_s
            ),
            headers={"accept-encoding": "identity", "user-agent": "flames-judge"},
            auto_decompress=False,
            raise_for_status=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def complete(self, body: bytes, caller: str | None) -> aiohttp.ClientResponse:
        """Ask for a chat completion; what comes back is to be closed, whatever its status.

        Args:
            body: the request.
            caller: the caller's Authorization.

        Raises:
            ApiError: 502 it can't be reached; 504 it is silent.
        """
        headers = {"content-type": "application/json", **self._signed(caller)}
        with upstream_faults():
            return await self._open_session.post(
                self._chat, data=body, headers=headers, allow_redirects=False
            )

    async def models(self, caller: str | None) -> aiohttp.ClientResponse:
        """Ask for the list of models; as `complete`."""
        with upstream_faults():
            return await self._open_session.get(
                self._models, headers=self._signed(caller), allow_redirects=False
            )

    async def reachable(self) -> bool:
        """Whether it answers at all, with whatever status; asked at most every five seconds."""
        at, found = self._probed
        if time.monotonic() - at < FRESH_S:
            return found
        try:
            async with asyncio.timeout(PROBE_S):
                response = await self.models(None)
            response.close()
            found = True
        except (ApiError, TimeoutError):
            found = False
        self._probed = (time.monotonic(), found)
        return found

    @property
    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise AssertionError("the upstream was not opened")
        return self._session

    def _signed(self, caller: str | None) -> dict[str, str]:
        given = self._own or (caller if self._lend else None)
        return {} if given is None else {"authorization": given}


async def pieces(response: aiohttp.ClientResponse, most: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes.

    Raises:
        ApiError: 502 it breaks off, is compressed or larger than `most` bytes; 504 it is silent.
    """
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise upstream_unreadable()
    size = 0
    with upstream_faults(), _Pulse(response):
        while piece := await _next(response.content):
            size += len(piece)
            if size > most:
                raise upstream_unreadable()
            yield piece


async def _next(content: aiohttp.StreamReader) -> bytes:
    """What comes next; b"" at the end."""
    try:
        return await content.readany()
    except RuntimeError:  # aiohttp's word for a connection that went while nobody waited
        raise aiohttp.ClientPayloadError("the connection is closed") from None


class _Pulse(AbstractContextManager[None]):
    """Ends the wait for a body whose connection is gone.

    aiohttp ends it itself, but not where the size of a chunk can't be read.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response, self._loop = response, asyncio.get_running_loop()
        self._next = self._loop.call_later(PULSE_S, self._feel)

    def __exit__(self, *_: object) -> None:
        self._next.cancel()

    def _feel(self) -> None:
        line, content = self._response.connection, self._response.content
        if content.is_eof() or content.exception() is not None:
            return
        if line is None or line.closed:
            content.set_exception(aiohttp.ClientPayloadError("the connection is closed"))
        else:
            self._next = self._loop.call_later(PULSE_S, self._feel)


async def whole(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body; as `pieces`."""
    return b"".join([piece async for piece in pieces(response, most)])


async def read_out(response: aiohttp.ClientResponse) -> None:
    """Read the last bytes of a stream that has said all: its connection can be used again."""
    try:
        async with asyncio.timeout(LAST_BYTES_S):
            while not response.content.at_eof() and not await _next(response.content):
                pass
    except (TimeoutError, aiohttp.ClientError):
        return


def parsed(body: bytes, most: int) -> dict[str, Any]:
    """A body or a chunk of the upstream's as an object.

    Raises:
        ApiError: 502; it is not one.
    """
    try:
        return parse_object(body, max_bytes=most)
    except ApiError:
        raise upstream_unreadable() from None


class _Faults(AbstractContextManager[None]):
    """See `upstream_faults`; it keeps nothing, so that there is one."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            return
        if isinstance(error, TimeoutError):
            message = "the upstream did not answer in time"
            raise ApiError(message, status=504, code="upstream_timeout") from None
        if isinstance(error, aiohttp.ClientPayloadError):
            message = "the upstream's answer broke off"
            raise ApiError(message, status=502, code="upstream_interrupted") from None
        if isinstance(error, aiohttp.ClientResponseError):
            raise upstream_unreadable() from None
        if isinstance(error, aiohttp.ClientError):
            message = "the upstream can't be reached"
            raise ApiError(message, status=502, code="upstream_unreachable") from None


_FAULTS: Final = _Faults()


def upstream_faults() -> AbstractContextManager[None]:
    """What goes wrong on the way to the upstream and back, as what a caller is told of it."""
    return _FAULTS


def upstream_url(given: str) -> str:
    """The URL of an upstream, as it was given.

    Raises:
        InputError: it is no base URL of a server.
    """
    mend = "give the base URL, such as http://127.0.0.1:8091/v1"
    try:
        url = urlsplit(given)
        fits = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        fits = False
    if fits and url.path.rstrip("/").endswith(_ROUTES):
        raise InputError("is the URL of a route, and no base URL", file="--upstream", mend=mend)
    if not fits or not given.isascii() or any(mark in given for mark in " ?#"):
        raise InputError("is not a server's URL", file="--upstream", mend=mend)
    if url.username is not None or url.password is not None:
        mend = "name an environment variable with --upstream-key-env"
        raise InputError("must not hold a password", file="--upstream", mend=mend)
    return given.rstrip("/")
