"""`flames-judge summarize` as a user runs it: labels in, published figures out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from judge.board import PUBLISHED_N, Published, published
from tests.cases import PROMPT
from tests.cli.conftest import Flames, rows_of, write_rows
from tests.cli.test_score import asking, row
from tests.openai_server import FILTERS, OpenAIServer
from tests.oracle import oracle
from tests.test_board import label_counts


def labelled(model: Published, field: str = "label") -> Iterator[dict[str, Any]]:
    """Rows whose labels count up to a published model's figures."""
    for name in PUBLISHED_N:
        counts = label_counts(name, model.rates[name], model.scores[name])
        labels = [
            label for label, count in zip((3, 2, 1), counts, strict=True) for _ in range(count)
        ]
        for number, label in enumerate(labels):
            prompt = f"{name}{number}"
            yield {"model": model.model, "dimension": name, "prompt": prompt, field: label}


@pytest.mark.parametrize("model", [published()[n] for n in (0, 1, 16)], ids=lambda m: m.model)
def test_published_counts_print_the_published_figures(
    flames: Flames, folder: Path, model: Published
) -> None:
    """Every rate to two decimals and every score to one, in the table that a person reads."""
    ran = flames("summarize", write_rows(folder / "in.jsonl", *labelled(model)))
    assert ran.status == 0
    assert model.model in ran.out
    tables, _, _ = ran.out.partition("ubcomponent")
    printed = tables.split()
    for name in PUBLISHED_N:
        assert f"{model.rates[name]:.2f}" in printed
        assert f"{model.scores[name]:.1f}" in printed
    assert f"{model.overall_rate:.2f}" in printed


def test_json_holds_the_same_figures_unrounded(flames: Flames, folder: Path) -> None:
    """A program reads rates in [0, 1] with their intervals."""
    model = published()[0]
    ran = flames("summarize", write_rows(folder / "in.jsonl", *labelled(model)), "--json")
    found = ran.json["models"][model.model]
    for name, n in PUBLISHED_N.items():
        part = found["dimensions"][name]
        assert part["n"] == part["judged"] == n
        assert round(100 * part["harmless_rate"]["value"], 2) == model.rates[name]
        assert round(part["harmless_score"]["value"], 1) == model.scores[name]
        assert part["harmless_rate"]["low"] < part["harmless_rate"]["value"]
    assert round(100 * found["overall"]["harmless_rate"]["value"], 2) == model.overall_rate


def test_a_predicted_field_is_a_label_too(flames: Flames, folder: Path) -> None:
    """As the authors' scorer writes it; another field by its name."""
    model = published()[1]
    told = [
        flames("summarize", write_rows(folder / "a.jsonl", *labelled(model, "predicted"))),
        flames("summarize", write_rows(folder / "b.jsonl", *labelled(model, "label"))),
        flames("summarize", write_rows(folder / "c.jsonl", *labelled(model, "my_label")),
               "--label-field", "my_label"),
    ]  # fmt: skip
    assert [ran.status for ran in told] == [0, 0, 0]
    assert told[0].out == told[1].out == told[2].out


def test_a_table_from_standard_input_is_summarized(flames: Flames, folder: Path) -> None:
    """`-` reads a CSV from a pipe."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["model", "dimension", "prompt", "label"])
    writer.writeheader()
    writer.writerows(labelled(published()[0]))
    ran = flames("summarize", "-", stdin=text.getvalue().encode())
    assert ran.status == 0
    assert f"{published()[0].overall_rate:.2f}" in ran.out


def test_bad_rows_are_listed_with_their_lines_and_the_rest_counts(
    flames: Flames, folder: Path
) -> None:
    """No label, a label off the scale, an unknown dimension, no JSON: status 3."""
    good = {"model": "bot", "dimension": "合法", "prompt": PROMPT, "label": 3}
    rows = [good, good | {"label": None}, good | {"label": 2}, good | {"dimension": "x"}]
    file = write_rows(folder / "in.jsonl", *rows)
    file.write_text(file.read_text(encoding="utf-8") + "{", encoding="utf-8")
    ran = flames("summarize", file, "--json")
    assert ran.status == 3
    assert [f"in.jsonl:{n}: " in ran.err for n in range(1, 6)] == [False, True, True, True, True]
    assert ran.json["bad_rows"] == 4
    assert ran.json["models"]["bot"]["dimensions"]["Legality"]["n"] == 1


def test_a_run_is_summarized_from_its_folder_or_its_log(flames: Flames, folder: Path) -> None:
    """The figures are those of `score`, and no judge is asked."""
    write_rows(folder / "in.jsonl", *(row(n) for n in range(4)))
    with OpenAIServer(oracle(lambda _: 1)) as server:
        scored = flames("score", "in.jsonl", *asking(server), "--json")
    for place in ("in.flames", "in.flames/verdicts.jsonl"):
        ran = flames("summarize", place, "--json")
        assert ran.status == 0
        assert ran.json["judge"]["name"] == "llm:openai/judge"
        assert (
            ran.json["models"]["bot"]["dimensions"] == (scored.json["models"]["bot"]["dimensions"])
        )
    several = flames("summarize", "in.flames", "in.jsonl")
    assert several.status == 2


def test_a_run_with_unjudged_rows_has_the_status_of_its_scoring(
    flames: Flames, folder: Path
) -> None:
    """3, whoever prints the figures."""
    write_rows(folder / "in.jsonl", row(1))
    with OpenAIServer(FILTERS["kimi"]) as server:
        assert flames("score", "in.jsonl", *asking(server)).status == 3
    assert flames("summarize", "in.flames").status == 3


def test_a_foreign_line_in_a_log_is_named(flames: Flames, folder: Path) -> None:
    """File, line and mend in one line."""
    (folder / "run").mkdir()
    (folder / "run" / "verdicts.jsonl").write_text(json.dumps({"format": 9}) + "\n")
    ran = flames("summarize", "run")
    assert ran.status == 2
    assert "verdicts.jsonl:1" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert rows_of(folder / "run" / "verdicts.jsonl") == [{"format": 9}]
