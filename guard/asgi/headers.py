"""Headers: what a request's say about its body, and what a guarded response's are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

Raw = list[tuple[bytes, bytes]]

# Of a request: its body's length changes, and neither a part nor a compressed answer can be read.
_NOT_ASKED: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"accept-encoding", b"range", b"if-range", b"expect"}
)
# Of a response: they describe a body that is no longer the one that is sent.
_NOT_TOLD: Final = frozenset(
    {
        b"content-length",
        b"transfer-encoding",
        b"content-md5",
        b"digest",
        b"content-digest",
        b"etag",
        b"accept-ranges",
        b"trailer",
    }
)


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """A header's value, several joined; "" without it."""
    found = [value for key, value in headers if key.lower() == name]
    return b", ".join(found).decode("latin-1").strip()


def is_utf8(charset: str) -> bool:
    """Whether a body of this character set can be read: as UTF-8, of which ASCII is a part."""
    return charset in {"utf-8", "utf8", "us-ascii"}


def media_type(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """The body's media type and character set, in lower case; the latter "utf-8" unless told."""
    media, *parameters = header(headers, b"content-type").lower().split(";")
    charset = next((p.split("=", 1)[1] for p in parameters if p.strip().startswith("charset=")), "")
    return media.strip(), charset.strip().strip('"') or "utf-8"


def is_plain(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the body is not compressed."""
    return header(headers, b"content-encoding").lower() in {"", "identity"}


def request_headers(headers: Iterable[tuple[bytes, bytes]], length: int) -> Raw:
    """The headers of a request whose body was read and written anew."""
    kept = [(key, value) for key, value in headers if key.lower() not in _NOT_ASKED]
    return [
        *kept,
        (b"content-length", str(length).encode()),
        (b"accept-encoding", b"identity"),
    ]


def response_headers(
    headers: Iterable[tuple[bytes, bytes]], more: Mapping[str, str], length: int | None
) -> Raw:
    """The headers of a response whose body was read and written anew."""
    kept = [
        (key, value)
        for key, value in headers
        if key.lower() not in _NOT_TOLD and not key.lower().startswith(b"x-flames-")
    ]
    size = [] if length is None else [(b"content-length", str(length).encode())]
    return [*kept, *size, *((name.encode(), value.encode()) for name, value in more.items())]
