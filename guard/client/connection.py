"""One server over HTTP: what it refuses and how it fails, as one kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from judge.errors import FlamesJudgeError

M = TypeVar("M", bound=BaseModel)


class FlamesError(FlamesJudgeError):
    """What a server refused, or why it could not be asked.

    Args:
        message: for people.
        status: HTTP's; null where no answer came.
        code: for programs: `too_many_runs`, `not_found`, `unreachable`, `timeout`, ...
    """

    def __init__(self, message: str, *, status: int | None, code: str) -> None:
        self.message, self.status, self.code = message, status, code
        super().__init__(f"{message} ({code})")


class Connection:
    """Requests to one server.

    Args:
        base_url: where it is, with `/v1` or without.
        api_key: where it asks for keys.
        timeout_s: seconds for an answer.

    Raises:
        FlamesError: no key has such characters, or the address is none.
    """

    def __init__(self, base_url: str, api_key: str | None, timeout_s: float) -> None:
        headers = {} if api_key is None else {"authorization": f"Bearer {_checked(api_key)}"}
        base = base_url.rstrip("/").removesuffix("/v1")
        try:
            self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout_s)
        except httpx.InvalidURL as error:
            raise _unreached(error) from None

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def fetch(self, method: str, path: str, model: type[M], **more: Any) -> M:
        """What the server says, as a model.

        Raises:
            FlamesError: it refused, could not be asked, or says something else.
        """
        return read(model, self.request(method, path, **more).content)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A response with its body.

        Raises:
            FlamesError: the server refused, or could not be asked.
        """
        with self.opened(method, path, **more) as response:
            response.read()
            return response

    def download(self, path: str, file: IO[bytes]) -> None:
        """Write a body to a file as it comes.

        Raises:
            FlamesError: the server refused, or could not be asked.
            OSError: the file can't be written.
        """
        with self.opened("GET", path) as response:
            for data in response.iter_bytes():
                file.write(data)

    @contextmanager
    def opened(self, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:
        """A response that is no refusal, its body not yet read.

        Raises:
            FlamesError: the server refused, or could not be asked.
        """
        try:
            with self._http.stream(method, path, **more) as response:
                if response.is_success:
                    yield response
                else:
                    response.read()
                    raise _refused(response)
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise FlamesError("the server took too long", status=None, code="timeout") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _unreached(error) from None
        except httpx.DecodingError:
            raise unreadable() from None


def read(model: type[M], text: bytes) -> M:
    """JSON as a model.

    Raises:
        FlamesError: it is another JSON, or none.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise unreadable() from None


def _checked(key: str) -> str:
    """A key without the line's end of the file that it was read from.

    Raises:
        FlamesError: it is empty, or a header can't hold it; httpx would show it in its error.
    """
    key = key.strip()
    if not key:
        told = "the API key is empty: give the line that `keys add` printed, or None without keys"
        raise FlamesError(told, status=None, code="invalid_api_key")
    if not key.isascii() or not key.isprintable():
        told = "the API key has characters that no key has: give the line that `keys add` printed"
        raise FlamesError(told, status=None, code="invalid_api_key")
    return key


def _unreached(error: Exception) -> FlamesError:
    told = f"the server can't be reached: {error or type(error).__name__}"
    return FlamesError(told, status=None, code="unreachable")


def unreadable() -> FlamesError:
    """What is said of an answer that no such server gives."""
    told = "the answer is none of flames-judge's: is it the right address?"
    return FlamesError(told, status=None, code="unreadable")


def _refused(response: httpx.Response) -> FlamesError:
    """The server's own words, where it has some."""
    try:
        error = response.json()["error"]
        message, code = str(error["message"]), str(error["code"])
    except (ValueError, KeyError, TypeError):
        message, code = f"the server answered with status {response.status_code}", "unreadable"
    return FlamesError(message, status=response.status_code, code=code)
