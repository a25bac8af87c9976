"""The property everything rests on: no text is forwarded that was not reported."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.openai_api import (
    ApiError,
    Finish,
    FrameWriter,
    TextDelta,
    UpstreamError,
    parse_object,
    read_chunk,
    read_completion,
    read_error,
    read_moderation,
    read_request,
    serialised,
)
from guard.openai_api.request_keys import MESSAGE, REQUEST, ROLES
from guard.openai_api.response_keys import CHOICE
from guard.openai_api.response_keys import MESSAGE as ANSWER
from guard.openai_api.shapes import Flag, Number, Numbers, OneOf, Withheld
from tests.guard.openai_api.marked import Marker, marks

SEEDS = st.integers(0, 2**32 - 1).map(random.Random)
SURROUNDINGS = ["id", "model", "object", "created", "system_fingerprint", "service_tier", "usage",
                "timings", "metrics", "metadata", "citations"]  # fmt: skip


def refused(read: Any, *body: Any) -> ApiError | None:
    """The declared error, if reading gives it; any other fails the test."""
    try:
        read(*body)
    except ApiError as error:
        return error
    return None


def request_body(marker: Marker) -> dict[str, Any]:
    body = marker.object(REQUEST.keys)
    messages = [marker.object(MESSAGE.keys) for _ in range(marker.random.randint(1, 4))]
    for message in messages:
        message["role"] = marker.random.choice(sorted(ROLES))
        if not isinstance(message.get("content"), str | list | None):
            del message["content"]
    return {**body, "messages": messages}


def answer_body(marker: Marker) -> dict[str, Any]:
    choices = []
    for place in range(marker.random.randint(0, 3)):
        message = marker.object(ANSWER.keys)
        choices.append({**marker.object(CHOICE.keys), "index": place, "message": message})
    around = {key: marker.anything() for key in marker.random.sample(SURROUNDINGS, 4)}
    return {**around, marker.mark(): marker.anything(), "choices": choices}


def chunk_body(marker: Marker) -> dict[str, Any]:
    body = answer_body(marker)
    for choice in body["choices"]:
        choice["delta"] = choice.pop("message")
    return body


@settings(max_examples=400, deadline=None)
@given(SEEDS)
def test_every_string_of_a_forwarded_request_was_reported(seed: random.Random) -> None:
    """Every place of the tables, and values that don't belong there, with a mark in each string."""
    marker = Marker(seed)
    request = read_request(request_body(marker))
    reported = marks([part.text for part in (*request.parts, *request.context)])
    assert marks(request.forward) <= reported
    assert marks([d.path for d in request.dropped]) == set()
    assert marks([part.path for part in (*request.parts, *request.context)]) == set()


def test_the_made_bodies_reach_every_key_of_the_tables() -> None:
    """The properties here are about something: each known key is forwarded marked, or withheld."""
    marker = Marker(random.Random(1))
    marked, withheld = set(), set()
    for _ in range(600):
        request = read_request(request_body(marker))
        answer = read_completion(answer_body(marker))
        marked |= {key for key, value in request.forward.items() if marks(value)}
        withheld |= {d.path for d in request.dropped if d.reason == "withheld"}
        for body, table in (
            *((message, "message") for message in request.forward["messages"]),
            *((choice["message"], "answer") for choice in answer.forward["choices"]),
        ):
            marked |= {f"{table}.{key}" for key, value in body.items() if marks(value)}
    silent = (Number, Flag, Numbers, Withheld, OneOf)
    tables = (("", REQUEST), ("message.", MESSAGE), ("answer.", ANSWER))
    speaking = {
        f"{t}{k}" for t, o in tables for k, r in o.keys.items() if not isinstance(r, silent)
    }
    speaking -= {"message.role", "stream_options", "allowed_token_ids", "stop_token_ids"}
    assert speaking <= marked
    assert {k for k, r in REQUEST.keys.items() if isinstance(r, Withheld)} <= withheld


@settings(max_examples=400, deadline=None)
@given(SEEDS)
def test_every_string_of_a_forwarded_answer_was_reported(seed: random.Random) -> None:
    """Also for several choices, each of which reports its own texts."""
    completion = read_completion(answer_body(Marker(seed)))
    parts = [part for choice in completion.choices for part in choice.parts]
    assert marks(completion.forward) <= marks([part.text for part in parts])
    for choice, body in zip(completion.choices, completion.forward["choices"], strict=True):
        assert marks(body) <= marks([part.text for part in choice.parts])
    assert marks([d.path for d in completion.dropped]) == set()


@settings(max_examples=400, deadline=None)
@given(SEEDS)
def test_no_frame_holds_a_text_that_was_not_released(seed: random.Random) -> None:
    """Half of the texts of a stream are held back: none of those is in what we write."""
    marker = Marker(seed, wild=0.05)
    writer, released, written, reasons = FrameWriter(), set(), [], {}
    for _ in range(4):
        try:
            chunk = read_chunk(chunk_body(marker))
        except ApiError:
            continue
        writer.see(chunk)
        for event in chunk.events:
            if isinstance(event, TextDelta) and seed.random() < 0.5:
                released |= marks(event.text)
                written += writer.text(event.choice, event.channel, event.text)
            elif isinstance(event, Finish):
                reasons[event.choice] = event.reason
    for choice in writer.open_choices:
        written += writer.finish(choice, reasons.get(choice, "stop"))
    assert marks(written) == released


@given(SEEDS)
def test_the_shape_of_a_forwarded_body_is_json_that_reads_back(seed: random.Random) -> None:
    """What is forwarded can be written, reads as itself, and has nothing unknown left in it."""
    forward = read_request(request_body(Marker(seed))).forward
    assert parse_object(serialised(forward)) == forward
    assert not [d for d in read_request(forward, "block").dropped if d.reason != "withheld"]


@pytest.mark.parametrize("read", [read_request, read_completion, read_chunk])
@pytest.mark.parametrize("unknown", ["drop", "block"])
@given(seed=SEEDS)
def test_no_json_raises_anything_but_the_declared_error(
    read: Any, unknown: Any, seed: random.Random
) -> None:
    """Random JSON, along the tables and against them, is read or refused."""
    marker = Marker(seed, wild=0.5)
    made = seed.choice([request_body, answer_body, chunk_body])(marker)
    for body in (made, {**made, "choices": marker.anything(), "messages": marker.anything()}):
        error = refused(read, body, unknown)
        assert error is None or not marks([error.message, error.param or ""])


@given(SEEDS)
def test_moderations_and_errors_are_read_or_refused(seed: random.Random) -> None:
    """The two smaller readers never raise anything else either."""
    marker = Marker(seed)
    body = {"input": marker.anything(), "error": marker.anything(), "message": marker.anything()}
    assert isinstance(read_error(body), UpstreamError)
    error = refused(read_moderation, body)
    assert error is None or error.status == 400
    inputs = () if error else read_moderation(body)
    reported = marks([part.text for one in inputs for part in one.parts])
    assert error is not None or marks(body["input"]) == reported
