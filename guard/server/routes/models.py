"""GET /v1/models: the upstream's list, written anew from names alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from guard.openai_api import is_count, is_nobodys, upstream_unreadable
from guard.server.http.authorization import authorization
from guard.server.http.exchange import exchange_of
from guard.server.http.responses import json_response
from guard.server.state import State
from guard.server.upstream.connection import parsed, upstream_faults, whole
from guard.server.upstream.errors import check_status

_ID: Final = re.compile(r"[!-~]{1,256}")  # no room for a sentence
LIST_BYTES: Final = 2**20
LIST_S: Final = 30.0


async def listed(state: State, request: Request) -> Response:
    """The models that the upstream has."""
    caller = authorization(request.scope)
    request_id = exchange_of(request.scope).request_id
    with upstream_faults():
        async with asyncio.timeout(LIST_S):
            response = await state.upstream.models(caller)
            try:
                await check_status(response, state.guard, request_id)
                body = await whole(response, LIST_BYTES)
            finally:
                response.close()
    found = {"data": (), **parsed(body, LIST_BYTES)}["data"]
    entries = [] if found is None else found  # Ollama has null for none
    if not isinstance(entries, list):
        raise upstream_unreadable("data")
    models = [_model(one) for one in entries if isinstance(one, Mapping) and _is_id(one.get("id"))]
    return json_response({"object": "list", "data": models})


def _model(entry: Mapping[str, Any]) -> dict[str, Any]:
    created, owner = entry.get("created"), entry.get("owned_by")
    return {
        "id": entry["id"],
        "object": "model",
        "created": created if type(created) is int and is_count(created) else 0,
        "owned_by": owner if _is_id(owner) else "",
    }


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(_ID.fullmatch(value)) and is_nobodys(value)
