"""What a person reads: every figure with its interval, at 80 columns, safe to show."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from judge.render import plain, show
from judge.report import RunFacts
from tests.report_rows import FACTS, report, row, rows_of, whole_run

HOSTILE = "a[red]b[/red]\x1b[31m\x1b]0;t\x07\u202eevil\u2066\r\n\x9b2J[link=x]"


def shown(found, width=80, *, colour=False):
    """What a console of this width gets, by default one that is piped."""
    out = io.StringIO()
    kind = {"force_terminal": True, "color_system": "truecolor"} if colour else {}
    show(found, Console(file=out, width=width, **kind))
    return out.getvalue()


def flat(text):
    return " ".join(text.split())


def test_a_model_is_shown_with_every_figure_and_its_interval():
    """Counts, rate with two decimals, score with one, Chinese names, overall, and what they are."""
    rows = rows_of("Fairness", 113, 90, 46)
    for name, (three, two, one) in {
        "Safety": (195, 135, 99),
        "Morality": (86, 90, 25),
        "Legality": (21, 0, 25),
        "Data protection": (42, 0, 34),
    }.items():
        rows += rows_of(name, three, two, one)
    found = flat(shown(report(rows)))
    assert "Fairness 249/249 113 90 46 0 45.38 75.6 公平 [39.31, 51.59]" in found
    assert "Legality 46/46 21 0 25 0 45.65 63.8 合法" in found
    assert "Overall n 1001 46.91" in found
    assert "95% intervals; target: population" in found
    assert "Wilson, Wilson with effective n" in found
    assert "MOVER over exact intervals" in found


def test_open_rows_are_shown_by_reason_with_bounds():
    """Unjudged rows, open labels and filtered prompts each have their line."""
    rows = [*rows_of("Fairness", 40, 4, 4), *(row(n, failure="judge_refusal") for n in range(2))]
    rows += [row(100 + n, "Safety", harmless=False) for n in range(3)]
    rows += [row(200, "Legality"), row(201, "Legality", filtered=True)]
    found = flat(shown(report(rows)))
    assert "Fairness 4.0%: 2 judge refusal [67.61, 91.65]" in found
    assert "Safety: no harmless score: 2 and 1 can't be told apart in 3 of 3 judged rows" in found
    assert (
        "Legality: left out: 1 stopped by the tested provider's filter; counted as declined"
        in found
    )
    assert "Overall: no harmless rate: Morality: no row; Data protection: no row" in found
    assert "Open rows" not in shown(report(rows_of("Fairness", 3, 0, 0)))


def test_subcomponents_costs_trust_standing_and_warnings_are_shown():
    """Everything that the report says beside its figures."""
    rows = whole_run(subcomponent="Toxic language", cost_usd=0.5, prompt_tokens=1000)
    facts = RunFacts(
        judge="llm:x", trust="right in 77 % of 200 rows", bad_rows=3, warnings=("beware",)
    )
    found = flat(shown(report(rows, facts)))
    assert "Judge: llm:x How far to trust it: right in 77 % of 200 rows" in found
    assert "Subcomponent" in found
    assert "Toxic language" in found
    assert "Cost: $500.5000; 1,001,000 prompt tokens" in found
    assert "Bad rows: 3 of the input couldn't be read" in found
    assert "Warning: beware" in found
    assert "no standing: 1,001 of 1,001 prompts are not the benchmark's own" in found
    own = facts.model_copy(update={"flames_prompts": frozenset(r.cluster for r in rows)})
    assert "rank 1 of 18 by overall harmless rate (1 to 1" in flat(shown(report(rows, own)))
    assert "Cost: none, no model was asked" in shown(report([row(1)]))
    assert "Cost: no price known; 9 prompt" in shown(report([row(1, prompt_tokens=9)]))


def many(models):
    rows = []
    for number in range(models):
        label = 3 if number else 1
        rows += [
            row(1000 * number + n, label=label, cluster=n, model=f"m{number}") for n in range(30)
        ]
    return report(rows)


def test_models_are_shown_side_by_side():
    """Paired differences, intervals and adjusted p-values; of many pairs the overall alone."""
    found = flat(shown(many(2)))
    assert "m0 - m1: Fairness 30 -100.00 <.001" in found
    assert "not compared: m0: Safety: no row" in found
    assert "comparisons by dimension are in summary.json" not in found
    assert "6 comparisons by dimension are in summary.json" in flat(shown(many(4)))


def test_names_from_files_can_do_nothing_to_the_terminal():
    """Markup, escapes, controls and bidi overrides are written out, never obeyed."""
    rows = [row(1, model=HOSTILE, subcomponent=HOSTILE), row(2, model="b", cluster=1)]
    facts = RunFacts(judge=HOSTILE, trust=HOSTILE, warnings=(HOSTILE,))
    found = shown(report(rows, facts))
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", found
    )
    assert "[red]b[/red]⟦U+001B⟧[31m" in found
    assert "⟦U+202E⟧evil" in found
    coloured = shown(report(rows, facts), colour=True)
    assert "\x1b[31m" not in coloured
    assert "\x1b]0;" not in coloured


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_name_stays_on_its_line(name):
    """No name breaks a line or leaves a control character behind."""
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", plain(name))


def test_a_piped_report_fits_80_columns_and_has_no_colour():
    """Plain text in lines that a mail or a log can hold."""
    rows = [*whole_run(subcomponent="Non-environmental friendly"), *many_rows("another-model")]
    rows += [row(n, "Safety", failure="provider_filter_output") for n in range(30)]
    found = shown(report(rows))
    assert max(map(cell_len, found.splitlines())) <= 80
    assert "\x1b" not in found


def many_rows(model):
    return [r._replace(model=model, key=r.key + 2**40) for r in whole_run(label=1)]


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_narrow_terminal_costs_no_digit(width):
    """Numbers are never cut: lines get longer than the terminal instead."""
    found = shown(report(rows_of("Fairness", 113, 90, 46), FACTS), width)
    assert "[39.31, 51.59]" in found
    assert "249/249" in found
    assert "…" not in found
