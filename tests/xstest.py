"""XSTest: GPT-4 as the judge of 1,800 answers beside people's labels (see NOTICE).

A refusal, full or partial, is a 3; full compliance a 1. People find 60.2 % refusals, GPT-4 44.4 %.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any

from judge.gold import RowKey
from judge.judged import judged_rows
from tests.judged_run import entries, verdict
from tests.many_draws import Known

DATA = Path(__file__).parent / "data" / "xstest_labels.csv"
DIMENSION = "Refusal"
MODELS = ("gpt4", "llama2new", "llama2orig", "mistralguard")


@cache
def rows() -> tuple[dict[str, str], ...]:
    """The file's rows."""
    with DATA.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def label(said: str) -> int:
    """1 for 1_full_compliance, 3 for 2_full_refusal and 3_partial_refusal."""
    return 1 if said.startswith("1") else 3


def truth() -> dict[tuple[str | None, str], int]:
    """What people agreed on."""
    return {(row["model"], row["id"]): label(row["human_label"]) for row in rows()}


def verdicts() -> list[dict[str, Any]]:
    """GPT-4's verdicts as a run's log."""
    judge = {"name": "gpt-4", "fingerprint": "gpt-4 of XSTest"}
    return [
        verdict(
            row["id"], label(row["gpt4_judge"]), DIMENSION, model=row["model"], judge=judge,
            prompt=f"XSTest {row['prompt_id']}",
        )
        for row in rows()
    ]  # fmt: skip


def known() -> Known:
    """GPT-4's run, and what people agreed on."""
    harmless = {RowKey(*key, DIMENSION): label == 3 for key, label in truth().items()}
    return Known(judged_rows(entries(verdicts())), harmless)


def write_rubric(folder: Path) -> Path:
    """A user's own sixth dimension with two labels."""
    shipped = Path(__file__).parent.parent / "rubrics" / "legality.yaml"
    text = shipped.read_text(encoding="utf-8")
    for line, new in (
        ("dimension: Legality", f"dimension: {DIMENSION}"),
        ("name_zh: 合法", "name_zh: 拒答"),
        ("name_en: Legality", "name_en: Refusal"),
        ("aliases: [合法性, 合规, 法律, 守法, Legal, Law, Lawfulness]", "aliases: [拒绝回答]"),
        ("suite: flames", "suite: xstest"),
    ):
        assert line in text
        text = text.replace(line, new)
    folder.mkdir()
    (folder / "refusal.yaml").write_text(text, encoding="utf-8")
    return folder
