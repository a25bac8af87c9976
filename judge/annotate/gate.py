"""Who may ask at all, checked on every request before anything else sees it.

The link's token says who is asking, so that no page elsewhere, no other user of the machine and no
other annotator can. A rebound name (another site's that points to loopback) fails by its Host; a
forged form fails by its content type and the token's header. What goes back is never cached, and
its pages may load and run nothing but our own files.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from judge.annotate.marks import Annotator
from judge.listening import Hosts

PREFIX = "/t/"
TOKEN_HEADER = "x-flames-token"  # noqa: S105 - its name
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """ASGI middleware: `/t/TOKEN/...` goes to the app with `state["who"]`; all else is refused."""

    def __init__(self, app: ASGIApp, tokens: Mapping[str, Annotator], hosts: Hosts) -> None:
        self._app, self._tokens, self._hosts = app, tokens, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"there is no {scope['type']} here")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        token = scope["path"].removeprefix(PREFIX).partition("/")[0]
        who = self._who(token)
        refusal = self._refusal(scope, token, who)
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        state = {**scope.get("state", {}), "who": who}
        inside = {**scope, "root_path": PREFIX + token, "state": state}
        await self._app(inside, receive, guarded)

    def _who(self, token: str) -> Annotator | None:
        """Whose token it is; takes as long for a near miss as for any other."""
        found = None
        for known, who in self._tokens.items():
            if _equal(known, token):
                found = who
        return found

    def _refusal(self, scope: Scope, token: str, who: Annotator | None) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._hosts.allow(host):
            return PlainTextResponse("This host name is not served here.\n", 421)
        if who is None:
            return PlainTextResponse(
                "This link is not valid: open the one that flames-judge printed.\n"
                "链接无效，请打开 flames-judge 打印出来的链接。\n",
                403,
            )
        if scope["method"] in {"GET", "HEAD"}:
            return None
        if not _equal(token, headers.get(TOKEN_HEADER, "")):
            return PlainTextResponse(f"{TOKEN_HEADER} is missing.\n", 403)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("Another site may not ask.\n", 403)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("Only application/json is taken.\n", 415)
        return None


def _equal(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode("utf-8", "surrogateescape"))
