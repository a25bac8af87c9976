"""Headers: what a request's say about its body, and what a guarded response's are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from guard.decision import Decision, Status, worst

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


def response_headers(headers: Iterable[tuple[bytes, bytes]], more: Raw, length: int | None) -> Raw:
    """The headers of a response whose body was read and written anew."""
    kept = [
        (key, value)
        for key, value in headers
        if key.lower() not in _NOT_TOLD and not key.lower().startswith(b"x-flames-")
    ]
    size = [] if length is None else [(b"content-length", str(length).encode())]
    return [*kept, *size, *more]


class GuardHeaders:
    """What the headers of one response say about the guard.

    Args:
        policy: the policy's id.
        calibration: the calibration's id; None without one.
        request_id: ours.
    """

    def __init__(self, policy: str, calibration: str | None, request_id: str) -> None:
        self.request_id = request_id
        self._policy, self._calibration = policy, calibration
        self._status: Status | None = None  # nothing was judged so far
        self._missed = self._abstained = 0

    def decided(self, decision: Decision) -> None:
        """Take note of a decision; the most severe one is told."""
        self._missed += len(decision.missed)
        self._abstained += len(decision.abstained)
        self._status = worst(self._status or "allowed", decision.told)

    def failed(self) -> None:
        """A check failed outside of a decision about a whole text."""
        self._status = "failed"

    @property
    def headers(self) -> Raw:
        """As they are now: of a stream, what is known when it begins."""
        known = {
            b"x-flames-decision": self._status,
            b"x-flames-policy": self._policy,
            b"x-flames-calibration": self._calibration,
            b"x-flames-request-id": self.request_id,
            b"x-flames-missed": str(self._missed) if self._missed else None,
            b"x-flames-abstained": str(self._abstained) if self._abstained else None,
        }
        return [(name, value.encode()) for name, value in known.items() if value is not None]
