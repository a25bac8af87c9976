"""Server-Sent Events: whatever the network does to the bytes, the same events come out."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guard.openai_api import KEEP_ALIVE, SseError, SseEvent, SseParser, encode_event, encode_json

PIECES = [
    "data",
    "id",
    "event",
    "retry",
    ":",
    " ",
    "x",
    "你",
    "1",
    "\0",
    "\ufeff",
    "\r",
    "\n",
    "\r\n",
]
STREAMS = st.lists(st.sampled_from(PIECES), max_size=40).map(lambda parts: "".join(parts).encode())


def read(data: bytes, *, limit: int = 1 << 20) -> list[SseEvent | SseError]:
    return SseParser(limit).feed(data)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


def by_the_book(data: bytes) -> list[SseEvent]:
    """The specification's algorithm over a whole stream, written without regard to cuts."""
    text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found, buffer, kind, last_id = [], "", "", ""
    for line in text.split("\n")[:-1]:
        if not line:
            if buffer:
                found.append(SseEvent(buffer[:-1], kind or "message", last_id))
            buffer = kind = ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                buffer += value + "\n"
            elif field == "event":
                kind = value
            elif field == "id" and "\0" not in value:
                last_id = value
    return found


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("data: a\n\n", ["a"]),
        ("data:a\r\n\r\n", ["a"]),
        ("data: a\r\r", ["a"]),
        ("data:  a\n\n", [" a"]),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\n", ["first", "second"]),
        ("data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        ("data:test\n\ndata: test\n\n", ["test", "test"]),
        (": OPENROUTER PROCESSING\n\n: keep-alive\n\ndata: x\n\n", ["x"]),
        ("event: add\n\n", []),
        ("unknown: x\ndata: y\n\n", ["y"]),
        ("data: unfinished\n", []),
    ],
)
def test_the_specifications_own_examples_read_as_it_says(stream: str, data: list[str]) -> None:
    """Multi-line data, comments, a missing space, a missing colon, bare CR, an unfinished event."""
    assert [e.data for e in read(stream.encode()) if isinstance(e, SseEvent)] == data


def test_event_names_and_ids_are_kept_as_the_specification_keeps_them() -> None:
    """The name is for one event; the id stays; one with a NUL is ignored; retry takes digits."""
    parser = SseParser()
    stream = (
        b"event: e\nid: 7\nretry: 250\ndata: a\n\nid: 8\0\nretry: x1\ndata: b\n\nid\ndata: c\n\n"
    )
    assert parser.feed(stream) == [SseEvent("a", "e", "7"), SseEvent("b", id="7"), SseEvent("c")]
    assert parser.retry_ms == 250


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=12))
@example("data: 你\r\n\r\n".encode(), list(range(20)))
@example("\ufeffdata: a\r\ndata: b\r\n\r\n".encode(), list(range(30)))
def test_however_the_network_cuts_a_stream_the_events_are_the_books(
    data: bytes, places: list[int]
) -> None:
    """A cut inside a character, a CRLF or the byte order mark changes nothing."""
    for pieces in (cut(data, places), [bytes([byte]) for byte in data]):
        parser = SseParser()
        assert [e for piece in pieces for e in parser.feed(piece)] == by_the_book(data)


@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=8), st.integers(1, 40))
def test_any_bytes_give_events_or_one_error_wherever_they_are_cut(
    data: bytes, places: list[int], limit: int
) -> None:
    """Random bytes never raise; limits and encodings fail at the same event for every cut."""
    parser = SseParser(limit)
    found = [event for piece in cut(data, places) for event in parser.feed(piece)]
    whole = read(data, limit=limit)
    ended = [e for e in whole if isinstance(e, SseEvent)]
    assert [e for e in found if isinstance(e, SseEvent)] == ended
    # a line without an end may be refused early for its size; nothing is read after an error
    assert [e for e in found if isinstance(e, SseError)] == [
        e for e in whole if isinstance(e, SseError)
    ]
    assert all(isinstance(e, SseEvent) for e in found[:-1])


@given(st.lists(st.tuples(st.text(), st.text("abz"), st.text("xyz12"))))
def test_what_is_written_is_read_back(values: list[tuple[str, str, str]]) -> None:
    """Every event that the format can carry survives; a CR in data becomes a line's end."""
    for data, name, last_id in values:
        event = SseEvent(data.replace("\r\n", "\n").replace("\r", "\n"), name or "message", last_id)
        if not any("\ud800" <= c <= "\udfff" for c in data):
            assert read(encode_event(SseEvent(data, name, last_id))) == [event]


def test_an_event_larger_than_the_limit_ends_the_stream_with_an_error() -> None:
    """Memory is bounded: endless lines, endless data and endless comments all stop at the limit."""
    for piece in (b"data: " + b"x" * 20, b": " + b"x" * 20, b"data: xx\n"):
        parser = SseParser(100)
        found = [event for _ in range(1000) for event in parser.feed(piece)]
        assert found == [SseError("oversize")]
        assert parser.feed(b"\n\ndata: later\n\n") == []


def test_bytes_that_are_not_utf8_end_the_stream_after_the_events_before_them() -> None:
    """A client would show replacement characters where the guard had read something else."""
    found = read(b"data: a\n\ndata: \xff\n\ndata: b\n\n")
    assert found == [SseEvent("a"), SseError("encoding")]


def test_a_stream_that_was_cut_is_known() -> None:
    """At its end, `pending` says whether an event was lost."""
    parser = SseParser()
    parser.feed(b"data: a\n\ndata: b")
    assert parser.pending
    parser.feed(b"\n\n")
    assert not parser.pending


def test_a_name_that_would_end_its_line_is_not_written() -> None:
    """Nobody's text can smuggle a field into our stream."""
    with pytest.raises(ValueError, match="single lines"):
        encode_event(SseEvent("x", event="a\ndata: forged"))


def test_frames_and_comments_of_ours_are_read_by_our_reader() -> None:
    """JSON with line ends stays one frame; a keep-alive is no event."""
    assert read(KEEP_ALIVE + encode_json({"文": "一\n二"})) == [SseEvent('{"文":"一\\n二"}')]


@pytest.mark.slow
def test_reading_is_linear_in_the_bytes() -> None:
    """One long line in single bytes: four times the bytes take about four times as long."""
    took = []
    for size in (250_000, 1_000_000):
        parser, start = SseParser(1 << 22), time.perf_counter()
        for _ in range(size):
            parser.feed(b"x")
        took.append(time.perf_counter() - start)
    assert took[1] < 8 * took[0]
