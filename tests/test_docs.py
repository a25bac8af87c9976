"""What the documents say of names and fields is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from judge.gold.model import FIELDS, Design
from judge.promises import EXACT
from judge.sampling import DrawnTask
from judge.stats import agreement, correction, ppi

DOCS = Path(__file__).parent.parent / "docs"
ESTIMATORS = (
    correction.POST_STRATIFIED,
    correction.ROGAN_GLADEN,
    correction.INVERSION,
    ppi.METHOD,
    agreement.POSTERIOR,
    agreement.ROWS_POSTERIOR,
    EXACT,
)


def named(document: str) -> set[str]:
    """What stands in backticks there, each on one line."""
    text = " ".join((DOCS / document).read_text(encoding="utf-8").split())
    return set(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimators_printed_name_is_explained(name: str) -> None:
    """Who reads a name in a report finds it in the document."""
    assert name in named("statistics.md")


def test_the_fields_of_labels_are_those_that_are_written() -> None:
    """gold.jsonl, to_label.jsonl, and what a design holds."""
    told = named("formats.md")
    extended = Design(name="simple", frame_n=2, frame_sha256="a", draws=2)
    fields = ", ".join(name for name in extended.model_dump() if name != "draws")
    assert {*FIELDS, *DrawnTask.model_fields, "first_label", "draws"} <= told
    assert f"{{{fields}}}" in told
    assert json.loads(extended.model_dump_json())["draws"] == 2
