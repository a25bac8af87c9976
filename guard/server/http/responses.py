"""What is sent back: JSON that we wrote, and refusals in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Send

from guard.openai_api import ApiError, serialised

JSON_TYPE = (b"content-type", b"application/json")


class Refusal(ApiError):
    """A refusal with headers of its own, such as `retry-after`."""

    def __init__(
        self, message: str, *, status: int, code: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.headers = dict(headers or {})


def json_response(value: object, status: int = 200) -> Response:
    """A response of Starlette's with a JSON value."""
    return Response(serialised(value), status, media_type="application/json")


async def send_json(send: Send, body: bytes, status: int = 200) -> None:
    """Send JSON that is already written; lighter than a response object."""
    length = (b"content-length", str(len(body)).encode())
    headers = [JSON_TYPE, length]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: ApiError) -> None:
    """Send a refusal."""
    body = serialised(error.body())
    more = error.headers if isinstance(error, Refusal) else {}
    headers = [JSON_TYPE, (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
