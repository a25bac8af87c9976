"""The shipped abuse head as the judge of COLD's comments, corrected by 300 labels of people."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from judge.embedded.evidence import find_evidence
from judge.embedded.fold import fold
from judge.embedded.published import FILES
from judge.embedded.shipped import shipped_weights
from judge.rubric import load_rubrics
from tests import cold
from tests.annotators import mark
from tests.cli.conftest import Flames, flames, rows_of, write_rows
from tests.many_draws import LABELS, corrected, covered, narrowed, saved

__all__ = ["flames"]  # the fixture
DATA = os.environ.get("FLAMES_JUDGE_TEST_DATA")
CUTS = {"the shipped cut": cold.shipped_cut(), "even odds": cold.EVEN_ODDS}


def test_the_scores_are_those_of_the_shipped_head() -> None:
    """Recomputed for harmless comments; the product shows evidence for those above its cut."""
    texts = cold.texts()
    known = {comment.id: comment for comment in cold.comments()}
    assert len(texts) > 20
    assert all(known[name].label == 0 for name in texts)
    found = cold.logits(list(texts.values()))
    assert found == pytest.approx([known[name].logit for name in texts], abs=2e-4)
    shown = find_evidence(list(map(fold, texts.values())), shipped_weights().evidence)
    flagged = [any(one.kind == "abuse" for one in evidence) for evidence in shown]
    assert flagged == [known[name].verdict(cold.shipped_cut()) == 1 for name in texts]
    assert any(flagged)


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="FLAMES_JUDGE_TEST_DATA names no folder of COLD")
def test_every_score_and_label_is_that_of_the_published_file() -> None:
    """All 5,323 comments, in their order."""
    file = Path(DATA or "") / "cold_test.csv"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == FILES[file.name].sha256
    again, here = cold.scored(Path(DATA or "")), cold.comments()
    assert [c[:3] for c in again] == [c[:3] for c in here]
    assert [c.logit for c in again] == pytest.approx([c.logit for c in here], abs=2e-4)


def test_the_head_is_far_off_what_people_say() -> None:
    """Built to raise few false alarms, it lets most of the offensive comments pass."""
    rates = {name: round(100 * cold.known(cut).judges_rate, 1) for name, cut in CUTS.items()}
    assert rates == {"the shipped cut": 88.9, "even odds": 54.4}
    assert len(cold.comments()) == 5323
    assert round(100 * cold.known(0).rate(), 1) == 60.4


def check(cut: float, seeds: int, slack: float) -> None:
    known = cold.known(cut)
    figures = corrected(known, seeds)[None]
    rate = known.rate()
    told = saved(figures, known), narrowed(figures, known), known.agreement
    print("labels saved: {:.3f} by variance, {:.3f} by width; at most {:.3f}".format(*told))
    assert 0.92 - slack <= covered(figures, rate)
    assert covered(figures, known.judges_rate) < 0.5
    assert abs(np.mean([figure.value for figure in figures]) - rate) < 0.01
    assert abs(told[1] - known.agreement) < 0.05


@pytest.mark.parametrize("name", CUTS)
def test_300_labels_correct_the_rate(name: str) -> None:
    """Intervals hold people's rate, not the judge's, and are as narrow as its verdicts allow."""
    check(CUTS[name], 40, 3 * np.sqrt(0.05 * 0.95 / 40))


@pytest.mark.slow
@pytest.mark.parametrize("name", CUTS)
def test_300_labels_correct_the_rate_over_500_draws(name: str) -> None:
    """Coverage of .92 at least."""
    check(CUTS[name], 500, 0.0)


def test_from_verdicts_over_the_annotators_page_to_the_corrected_rate(
    flames: Flames, folder: Path
) -> None:
    """Every step by its command; the marks go into the page's store."""
    rubric = ("--rubrics", cold.RUBRIC)
    verdicts = write_rows(folder / "COLD.jsonl", *cold.imported_rows(cold.shipped_cut()))
    given = ("--judge", "abuse head", "--dimension", cold.DIMENSION, "-o", "run", *rubric)
    assert flames("import-verdicts", verdicts, *given).status == 0
    assert flames("sample", "run", "-n", LABELS, "-o", "t.jsonl").status == 0
    truth = {comment.id: comment.truth for comment in cold.comments()}
    people = {"li": lambda item: truth[item.record_id]}
    assert mark(folder / "t.jsonl", people, load_rubrics(cold.RUBRIC)) == LABELS
    ran = flames("annotate", "t.jsonl", "--export", "gold.jsonl", *rubric)
    assert ran.status == 0, ran.err
    assert {row["annotator"] for row in rows_of(folder / "gold.jsonl")} == {"li"}
    ran = flames("calibrate", "run", "--gold", "gold.jsonl", "-o", "c.json", *rubric)
    assert ran.status == 0, ran.err
    assert "Offence: 300 labelled rows, worth 300 of equal weight" in ran.out
    ran = flames("summarize", "run", "--calibration", "c.json", "--json", *rubric)
    found = ran.json["models"][cold.MODEL]["dimensions"][cold.DIMENSION]["corrected"]
    assert (found["target"], found["gold"], found["draws"]) == ("run", LABELS, 1)
    assert round(found["raw_rate"], 3) == 0.889
    rate = cold.known(0).rate()
    assert found["harmless_rate"]["low"] <= rate <= found["harmless_rate"]["high"] < 0.7
