"""Bodies read strictly and written by us: what two readers could read differently is refused.

A guard and the server behind it must see the same text. JSON leaves room for a difference: of two
equal keys one reader takes the first and another the last; NaN, a lone surrogate, bytes after the
value, another character set or a compressed body are read by some and not by others.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from itertools import accumulate
from typing import Any, Never

from guard.openai_api.errors import ApiError

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 100_000

# A string, closed or not: it matches wherever it is tried, so that the search stays linear.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _OPENING + _CLOSING)
_STEPS = bytes(1 if byte in _OPENING else 255 for byte in range(256))  # 255 is -1 as a signed byte
_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)


def check_headers(content_type: str | None, content_encoding: str | None) -> None:
    """Refuse a body that is not plain JSON in UTF-8.

    Raises:
        ApiError: 415; another media type or character set, or any content encoding.
    """
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise ApiError(
            "the body must not be compressed", status=415, code="unsupported_content_encoding"
        )
    media, *parameters = (part.strip() for part in (content_type or "").split(";"))
    charset = [p for p in parameters if p.lower().startswith("charset")]
    utf8 = all(p.partition("=")[2].strip(' "').lower() in {"utf-8", "utf8"} for p in charset)
    if not is_json_type(media) or not utf8:
        raise ApiError(
            "the body must be application/json in UTF-8", status=415, code="unsupported_media_type"
        )


def is_json_type(media: str) -> bool:
    """Whether a media type, without its parameters, is one of JSON's."""
    return _JSON_TYPE.fullmatch(media) is not None


def parse_object(
    body: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    wanted: str = "a JSON object",
) -> dict[str, Any]:
    """The JSON object that `body` is.

    Args:
        body: the whole body.
        max_bytes: larger bodies are refused with status 413.
        max_depth: how many arrays and objects may be open at once.
        wanted: what is told to who sends another value.

    Raises:
        ApiError: 413 when it is too large, or holds more values than any conversation has (a small
            body can fill a large memory); 400 when it is not UTF-8, not exactly one JSON object, or
            holds equal keys, NaN, an infinite number, a lone surrogate or too deep a nesting.
    """
    if len(body) > max_bytes:
        raise ApiError(
            f"the body is larger than {max_bytes} bytes", status=413, code="body_too_large"
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("the body is not UTF-8")
    _check_structure(body, max_depth)
    try:
        value = _READER.decode(text)
        if b"\\u" in body:  # the only way in for a lone surrogate
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        _refuse("the body holds a lone surrogate")
    except (ValueError, RecursionError):
        _refuse("the body is not JSON")
    if not isinstance(value, dict):
        _refuse(f"the body is not {wanted}")
    return value


def parse_value(body: bytes, max_bytes: int = MAX_BYTES) -> Any:
    """Any JSON value, read as `parse_object` reads objects.

    Raises:
        ApiError: as there.
    """
    value = parse_object(b'{"":' + body + b"}", max_bytes=max_bytes + 5)
    if list(value) != [""]:
        _refuse("the body is not JSON")
    return value[""]


def is_json(body: bytes) -> bool:
    """Whether a lenient reader finds strings in it, in whatever form of Unicode."""
    try:
        value = json.loads(body, strict=False)
        if not isinstance(value, str):
            return isinstance(value, dict | list)
        return isinstance(json.loads(body), str)  # a text in quotes may have several lines
    except RecursionError:  # others may read what is nested deeper
        return True
    except ValueError:
        return False


def serialised(value: object) -> bytes:
    """`value` as compact JSON in UTF-8.

    Raises:
        ApiError: 400; it holds something that is not JSON.
    """
    try:
        return _WRITER.encode(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise ApiError("the body is not JSON", code="invalid_json") from None


def _check_structure(body: bytes, max_depth: int) -> None:
    """Count brackets and commas outside strings before anything is built from them."""
    brackets = body.count(b"[") + body.count(b"{")
    if brackets <= max_depth and body.count(b",") + brackets <= MAX_VALUES:
        return
    outside = _STRING.sub(b"", body)
    steps = array("b", outside.translate(_STEPS, _NO_BRACKETS))
    if max(accumulate(steps), default=0) > max_depth:
        _refuse(f"the body is nested more than {max_depth} deep")
    if outside.count(b",") + len(steps) // 2 > MAX_VALUES:
        message = f"the body holds more than {MAX_VALUES} values"
        raise ApiError(message, status=413, code="body_too_large")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        _refuse("the body has two equal keys in one object")
    return built


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse("the body holds a number that is not finite")
    return number


def _no_constant(_name: str) -> Never:
    _refuse("the body holds a number that is not finite")


def _refuse(message: str) -> Never:
    raise ApiError(message, code="invalid_json") from None


# Made once: building them anew for every chunk of a stream costs more than reading it.
_READER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite
)
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
