"""/v1/moderations: what OpenAI's clients send and read."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import ModerationCreateResponse

from guard.openai_api import (
    ApiError,
    Category,
    ModerationResult,
    moderation_body,
    read_moderation,
)


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("文", [["文"]]),
        ("", [[""]]),
        (["一", "二"], [["一"], ["二"]]),
        ([{"type": "text", "text": "一"}, {"type": "text", "text": "二"}], [["一", "二"]]),
    ],
)
def test_a_request_is_as_many_inputs_as_results_are_expected(
    given: Any, texts: list[list[str]]
) -> None:
    """A list of strings has a result each; a list of parts is one input."""
    inputs = read_moderation({"model": "omni-moderation-latest", "input": given})
    assert [[part.text for part in one.parts] for one in inputs] == texts


def test_a_picture_in_a_request_is_unread_and_its_address_a_text() -> None:
    """A guard of texts must not call a picture harmless."""
    picture = {"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}
    [one] = read_moderation({"input": [picture]})
    assert [part.text for part in one.parts] == ["https://a.b/c.png"]
    assert [unread.kind for unread in one.unread] == ["image"]


@pytest.mark.parametrize(
    "given",
    [None, [], 5, {"text": "x"}, ["x", 5], [{"type": "video", "video": "x"}],
     [{"type": "text", "text": 5}], [["x"]], [{"type": "image_url", "image_url": "x"}]],
)  # fmt: skip
def test_an_input_of_another_form_is_refused(given: Any) -> None:
    """Nothing is skipped: what can't be read gets no result."""
    with pytest.raises(ApiError) as caught:
        read_moderation({"input": given})
    assert caught.value.status == 400


def test_the_official_client_reads_the_results() -> None:
    """Its thirteen categories are there, false and 0; ours stand beside them."""
    result = ModerationResult(
        flagged=True,
        categories={
            "flames/legality": Category(flagged=True, score=0.97),
            "flames/fairness": Category(flagged=False, score=0.02),
        },
    )
    clean = ModerationResult(flagged=False, categories={})
    body = moderation_body("modr-1", "flames", [result, clean])
    first, second = ModerationCreateResponse.model_validate(body).results
    assert (first.flagged, second.flagged) == (True, False)
    assert first.categories.sexual_minors is False
    assert first.category_scores.illicit_violent == 0.0
    assert first.category_applied_input_types.violence == []
    assert (first.categories.model_extra or {})["flames/legality"] is True
    assert (first.category_scores.model_extra or {})["flames/legality"] == 0.97
    assert body["results"][0]["category_applied_input_types"]["flames/fairness"] == ["text"]
