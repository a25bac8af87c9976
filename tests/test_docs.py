"""What the documents say of names and fields is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from guard.drift import DriftFile
from guard.replay.tally import Difference, Replay, RuleReplay
from guard.selftest.measure import SelftestReport
from guard.server.keys.file import Key
from guard.server.runs.routes import KINDS
from guard.wire import Judgement, Phase, Run
from judge.gold.model import FIELDS, Design
from judge.promises import EXACT
from judge.sampling import DrawnTask
from judge.stats import agreement, correction, ppi
from judge.stats.drift import Evidence
from tests.cli.conftest import Flames, flames

__all__ = ["flames"]  # the fixture
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
    """What stands in backticks there, outside blocks, each on one line."""
    text = (DOCS / document).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`]+)`", " ".join(text.split())))


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


def row(first: str) -> set[str]:
    """The names that stand in backticks in the row of formats.md that begins so."""
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^\| {re.escape(first)} \|(.*)$", text, re.MULTILINE)
    told = [one for one in re.findall(r"`([^`]+)`", found) if not one.startswith("-")]
    return set(re.findall(r"\w+", " ".join(told)))


def test_the_json_of_the_guards_commands_is_as_told(flames: Flames) -> None:
    """`guard check`, `replay` and `selftest`: who reads it in a script needs no example."""
    checked = flames("guard", "check", "你好", "--json").json
    assert {"format", *row("`guard check`")} == set(checked)
    rows = json.dumps({"prompt": "你好", "response": "你好"}).encode()
    replayed = flames("guard", "replay", "-", "--json", stdin=rows).json
    assert {"format", *row("`guard replay`")} == set(replayed)
    assert set(Replay.model_fields) <= row("... of `replays`") == set(replayed["replays"][0])
    assert {*RuleReplay.model_fields, "value", "sd"} == row("... of `rules`")
    assert set(Difference.model_fields) == row("`difference`")
    assert set(SelftestReport.model_fields) == {"format", *row("`guard selftest`")}


def test_the_fields_of_the_guards_files_and_bodies_are_those_that_are_written() -> None:
    """Keys, the watch for drift, records and runs."""
    assert {"format", "keys", *Key.model_fields} == row("of `keys add`")
    assert set(DriftFile.model_fields) == row("of `serve --drift`")
    assert (
        {"value", "limit", "towards", "alarm_at"} == set(Evidence._fields) <= row("`guard drift`")
    )
    told = named("formats.md")
    assert set(Judgement.model_fields) <= row("`POST /v1/judge`")
    assert {*Run.model_fields, *get_args(Phase), "calibrated_p_harmless"} <= told
    assert set(KINDS) <= told
