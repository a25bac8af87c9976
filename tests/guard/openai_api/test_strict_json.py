"""Bodies: what two readers could take differently is refused, and nothing of it is repeated."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.openai_api import ApiError, check_headers, parse_object, serialised

TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def refusal(body: bytes, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse_object(body, **options)
    return caught.value


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_a_body_is_read_and_written_without_loss(value: dict[str, Any]) -> None:
    """Also strings full of brackets and quotes, which the count of the depth must not take in."""
    assert parse_object(serialised(value), max_depth=50) == value
    assert parse_object(json.dumps(value).encode(), max_depth=50) == value


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"x": {"a": 1, "\\u0061": 2}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1} {"b": 2}',
        b'{"a": 1}\x00',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "tab\there"}',
        b"[1]",
        b'"text"',
        b"",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
        b'{"a": ' + b"[" * 200_000,
    ],
)
def test_what_two_readers_could_read_differently_is_refused(body: bytes) -> None:
    """Equal keys (also one that is escaped), numbers that are none, other encodings, more data."""
    error = refusal(body)
    assert (error.status, error.code) == (400, "invalid_json")
    assert error.body()["error"]["type"] == "invalid_request_error"


def test_escaped_pairs_are_characters_and_not_lone_surrogates() -> None:
    """An emoji may be written as two escapes; that is the same text for everybody."""
    assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_a_body_that_is_too_large_is_refused_with_413() -> None:
    """The size is checked before anything is read."""
    assert refusal(b'{"a": "' + b"x" * 100 + b'"}', max_bytes=50).status == 413


@pytest.mark.parametrize(
    ("media", "encoding"),
    [
        ("text/plain", None),
        (None, None),
        ("application/json; charset=gbk", None),
        ("application/json", "gzip"),
        ("application/json", "br, gzip"),
        ("multipart/form-data; boundary=json", None),
        ("application/jsonp", None),
    ],
)
def test_other_media_types_charsets_and_encodings_are_refused_with_415(
    media: str | None, encoding: str | None
) -> None:
    """A compressed body would pass a guard that scans bytes; here it does not pass at all."""
    with pytest.raises(ApiError) as caught:
        check_headers(media, encoding)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("media", "encoding"),
    [
        ("application/json", None),
        ("Application/JSON; charset=UTF-8", "identity"),
        ('application/json;charset="utf-8"', ""),
        ("application/problem+json", None),
    ],
)
def test_plain_json_in_utf8_is_let_in(media: str, encoding: str | None) -> None:
    """Case, spaces and quotes in the header don't matter."""
    check_headers(media, encoding)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")))
def test_no_body_raises_anything_but_the_declared_error(body: bytes) -> None:
    """Random bytes are an object, or a refusal in words of ours."""
    with suppress(ApiError):
        assert isinstance(parse_object(body), dict)


@given(st.dictionaries(st.sampled_from("ab"), st.text('[]{}"\\', max_size=30), max_size=2))
def test_brackets_in_strings_are_not_depth(value: dict[str, str]) -> None:
    """A text about code is not refused for its brackets."""
    assert parse_object(serialised(value), max_depth=1) == value


def test_a_small_body_can_not_fill_the_memory() -> None:
    """A million empty lists are three bytes each on the wire and twenty times that when read."""
    body = b'{"a": [' + b"[]," * 150_000 + b"1]}"
    error = refusal(body)
    assert (error.status, error.message) == (413, "the body holds more than 100000 values")
    assert parse_object(serialised({"a": "," * 200_000}))["a"].startswith(",")


@pytest.mark.parametrize("tail", [b'"a', b'\\"', b"\\", b'"\\', b"[]"])
def test_a_body_made_to_be_slow_is_refused_at_once(tail: bytes) -> None:
    """Quotes that never close cost time in proportion to their number, and not to its square."""
    start = time.perf_counter()
    refusal(b'{"a": ' + b"[]," * 70 + b'"' + tail * 60_000)
    assert time.perf_counter() - start < 2


def test_what_is_not_json_is_not_written() -> None:
    """Dicts from a program may hold anything; the error is the declared one."""
    endless: list[Any] = []
    endless.append(endless)
    for value in (float("nan"), {1, 2}, endless, "\ud800"):
        with pytest.raises(ApiError):
            serialised({"a": value})
