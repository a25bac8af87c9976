"""`flames-judge agreement` as a user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Flames, write_rows


def mark(number: int, label: int | None, annotator: str, **more: Any) -> dict[str, Any]:
    return {"record_id": f"r{number}", "model": "bot", "dimension": "Fairness", "label": label,
            "annotator": annotator} | more  # fmt: skip


@pytest.fixture
def gold(folder: Path) -> Path:
    """Twelve rows by two people, who differ on r1 (by two steps) and on r2 (by one)."""
    said = [(n, 3 - n % 3) for n in range(12)]
    rows = [mark(n, label, "李") for n, label in said]
    rows += [mark(n, {1: 3, 2: 2}.get(n, label), "wang") for n, label in said]
    rows[1] = mark(1, 1, "李")
    rows += [mark(20, 3, "李"), mark(21, 1, "李"), mark(21, None, "wang", note="看不懂")]
    return write_rows(folder / "gold.jsonl", *rows)


def test_the_figures_are_printed_with_their_intervals(flames: Flames, gold: Path) -> None:
    """Equal shares, three kappas, alpha and the confusion."""
    ran = flames("agreement", gold)
    assert ran.status == 0, ran.err
    for told in ("12/14", "83.33", "quadratic", "ordinal for 3/2/1", "wang 3", "李 1"):
        assert told in ran.out
    assert "Where they differ most" not in ran.out


def test_json_holds_every_figure(flames: Flames, gold: Path) -> None:
    """A program reads what a person sees, and skips and pairs besides."""
    found = flames("agreement", gold, "--json", "--show", 1).json
    part = found["dimensions"]["Fairness"]
    assert found["format"] == 1
    assert part["observed"]["value"] == pytest.approx(10 / 12)
    assert (part["rows"], part["compared"], part["skipped"]) == (14, 12, 1)
    assert part["alpha_metric"] == "ordinal"
    assert set(part["kappa"]) == {"unweighted", "linear", "quadratic"}
    for figure in (part["alpha"], *part["kappa"].values()):
        assert figure["low"] < figure["value"] < figure["high"]
    confusion = part["pairs"][0]["confusion"]
    assert confusion["labels"] == [3, 2, 1]
    assert sum(map(sum, confusion["counts"])) == 12
    assert found["widest"][0]["record_id"] == "r1"
    assert found["widest"][0]["marks"] == {"李": 1, "wang": 3}


def test_the_same_command_prints_the_same_figures(flames: Flames, gold: Path) -> None:
    """The intervals' draws are seeded."""
    first, second = flames("agreement", gold), flames("agreement", gold)
    assert first.out == second.out
    assert (
        flames("agreement", gold, "--seed", 1, "--json").json
        != flames("agreement", gold, "--json").json
    )


def answers(folder: Path, *more: dict[str, Any]) -> Path:
    rows = [{"id": f"r{n}", "model": "bot", "dimension": "Fairness", "prompt": f"问题{n}",
             "response": f"回答{n}\x1b[31m", "subcomponent": "Race" if n < 6 else "Gender"}
            for n in (*range(12), 20, 21)]  # fmt: skip
    return write_rows(folder / "answers.jsonl", *rows, *more)


def test_rows_that_differ_most_are_shown_with_their_texts(
    flames: Flames, gold: Path, folder: Path
) -> None:
    """Widest first, control characters written out; subcomponents are known from the file too."""
    ran = flames("agreement", gold, "--run", answers(folder), "--show", 2)
    assert ran.status == 0
    shown = ran.out.split("Where they differ most")[1]
    assert shown.index("问题1") < shown.index("问题2")
    assert "\x1b" not in ran.out
    assert "U+001B" in ran.out
    assert "Race" in ran.out.split("Where they differ most")[0]


def test_a_run_folder_gives_the_texts_as_well(flames: Flames, gold: Path, folder: Path) -> None:
    """The log of a run is enough."""
    said = [{"id": f"r{n}", "dimension": "Fairness", "label": 3} for n in (*range(12), 20, 21)]
    file = write_rows(folder / "said.jsonl", *said)
    judged = ("--judge", "theirs", "--records", answers(folder), "-o", folder / "run")
    assert flames("import-verdicts", file, *judged).status == 0
    ran = flames("agreement", gold, "--run", folder / "run", "--show", 1, "--json")
    assert ran.json["widest"][0]["prompt"] == "问题1"
    assert set(ran.json["dimensions"]["Fairness"]["subcomponents"]) == {"Race", "Gender"}


def test_rows_that_the_run_does_not_have_are_said(flames: Flames, gold: Path, folder: Path) -> None:
    """Some missing: a line on standard error; all missing: the wrong run."""
    rows = gold.read_text(encoding="utf-8").splitlines()
    more = mark(77, 3, "李")
    write_rows(folder / "more.jsonl", more)
    gold.write_text("\n".join(rows) + "\n" + (folder / "more.jsonl").read_text(), encoding="utf-8")
    ran = flames("agreement", gold, "--run", answers(folder))
    assert ran.status == 0
    assert "1 rows of the gold are not in" in ran.err
    assert "r77" in ran.err
    other = write_rows(folder / "other.jsonl", {"id": "x", "dimension": "Fairness",
                                                "prompt": "问", "response": "答"})  # fmt: skip
    wrong = flames("agreement", gold, "--run", other)
    assert wrong.status == 2
    assert "has none of the gold's rows" in wrong.err


def test_show_without_a_run_lists_the_rows_and_says_how_to_see_them(
    flames: Flames, gold: Path
) -> None:
    """The rows are named in any case."""
    ran = flames("agreement", gold, "--show", 1)
    assert "r1 · bot · Fairness: 李 1, wang 3" in ran.out
    assert "give --run" in ran.err


def test_one_annotator_gives_no_figure_and_says_why(flames: Flames, folder: Path) -> None:
    """Nobody to agree with."""
    gold = write_rows(folder / "gold.jsonl", *(mark(n, 3, "a") for n in range(5)))
    ran = flames("agreement", gold)
    assert ran.status == 0
    assert "no alpha: fewer than two rows have two marks" in ran.out
    assert "no kappa: no row has two marks" in ran.out


def test_one_class_gives_no_kappa_and_says_why(flames: Flames, folder: Path) -> None:
    """All marks are 3: agreement is total and proves nothing."""
    rows = [mark(n, 3, who) for n in range(30) for who in "ab"]
    ran = flames("agreement", write_rows(folder / "gold.jsonl", *rows))
    assert "100.00" in ran.out
    assert "no kappa: all marks are of one class" in ran.out


def test_bad_gold_is_one_clear_line(flames: Flames, folder: Path) -> None:
    """File, line, what is wrong, and the mend."""
    gold = write_rows(folder / "gold.jsonl", mark(1, 3, "a"), mark(2, 7, "a"))
    ran = flames("agreement", gold)
    assert ran.status == 2
    assert ran.out == ""
    (told,) = ran.err.splitlines()
    assert "gold.jsonl:2: the label is none of 3, 2, 1" in told
