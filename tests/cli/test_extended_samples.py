"""A sample that was extended says so, from the draw to the corrected figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.annotators import mark
from tests.cases import rubrics
from tests.cli.conftest import Flames, rows_of
from tests.judged_run import judged, write_run

WORDS = "intervals and promises hold for a size that was fixed beforehand"


@pytest.fixture
def truth(folder: Path) -> dict[tuple[str | None, str], int]:
    """The truths of a run that lies in the working directory."""
    lines, truth = judged(300, 0.7, (0.15, 0.1))
    write_run(folder / "run", lines)
    return truth


def calibrated(flames: Flames, tasks: Path, truth: dict[Any, Any]) -> Any:
    """Label the sample on the annotators' page, export its gold, and calibrate."""
    mark(tasks, {"li": lambda item: truth[item.model, item.record_id]}, rubrics())
    assert flames("annotate", tasks, "--export", "gold.jsonl").status == 0
    return flames("calibrate", "run", "--gold", "gold.jsonl", "-o", "c.json")


def test_the_mark_of_an_extension_reaches_the_corrected_figures(
    flames: Flames, folder: Path, truth: dict[Any, Any]
) -> None:
    """to_label.jsonl, gold.jsonl, calibration.json, both reports and summary.json."""
    flames("sample", "run", "-n", 60, "-o", "first.jsonl")
    told = flames("sample", "run", "-n", 60, "--extend", "first.jsonl", "-o", "t.jsonl")
    assert "120 of 300 rows are to be labelled (2 draws; the reports will say so)" in told.err
    ran = calibrated(flames, folder / "t.jsonl", truth)
    assert ran.status == 0, ran.err
    assert {row["design"]["draws"] for row in rows_of(folder / "gold.jsonl")} == {2}
    assert f"The sample was extended (2 draws): {WORDS}" in " ".join(ran.out.split())
    made = json.loads((folder / "c.json").read_text(encoding="utf-8"))
    assert made["dimensions"]["Legality"]["design"]["draws"] == 2
    given = ("summarize", "run", "--calibration", "c.json")
    shown = " ".join(flames(*given).out.split())
    assert f"Extended samples: Legality (2 draws): {WORDS}" in shown
    found = flames(*given, "--json").json["models"]["m"]["dimensions"]["Legality"]["corrected"]
    assert found["draws"] == 2
    assert found["harmless_rate"]["n"] == 120


def test_one_draw_has_no_mark(flames: Flames, folder: Path, truth: dict[Any, Any]) -> None:
    """Neither file nor report speaks of an extension that there wasn't."""
    told = flames("sample", "run", "-n", 60, "-o", "t.jsonl")
    assert "draws" not in told.err
    ran = calibrated(flames, folder / "t.jsonl", truth)
    assert "draws" not in (folder / "gold.jsonl").read_text(encoding="utf-8")
    shown = flames("summarize", "run", "--calibration", "c.json")
    assert "extended" not in (ran.out + shown.out).lower()


def test_each_extension_counts_and_one_without_a_new_row_does_not(
    flames: Flames, folder: Path, truth: dict[Any, Any]
) -> None:
    """Three draws make three; a run that is drawn to its end can't be extended."""
    flames("sample", "run", "-n", 100, "-o", "1.jsonl")
    for number in (2, 3, 4):
        before, after = f"{number - 1}.jsonl", f"{number}.jsonl"
        flames("sample", "run", "-n", 100, "--extend", before, "-o", after)
        rows = rows_of(folder / after)
        assert len(rows) == min(100 * number, 300)
        assert {row["design"]["draws"] for row in rows} == {min(number, 3)}
    assert "draws" not in rows_of(folder / "1.jsonl")[0]["design"]
