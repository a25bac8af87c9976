"""What a caller signs with: read in one place, since two readers could take two of several."""

from __future__ import annotations

from starlette.types import Scope

from guard.openai_api import ApiError


def authorization(scope: Scope) -> str | None:
    """The request's Authorization header, None without one.

    Raises:
        ApiError: 400; there are several, or it has letters that a header can't hold.
    """
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) > 1:
        raise ApiError("a request has one Authorization header", code="invalid_authorization")
    if not all(map(bytes.isascii, given)):
        raise ApiError("the Authorization header is not ASCII", code="invalid_authorization")
    return given[0].decode() if given else None
