"""The published board: its figures come out to the last digit, and a model's standing on it."""

from __future__ import annotations

from itertools import product

import pytest

from judge.board import PUBLISHED_N, published, standing
from judge.dimensions import shipped_prompts
from judge.records import Record
from judge.render import percent, points
from judge.report import RunFacts, cluster_of
from judge.runlog import prompt_sha256
from judge.stats.estimate import Estimate, Missing
from tests.report_rows import FACTS, SCALES, report, row, rows_of


def label_counts(name: str, rate: float, score: float) -> tuple[int, int, int]:
    """Whole numbers of 3s, 2s and 1s that print as the published rate and score."""
    n = PUBLISHED_N[name]
    for three, two in product(range(n + 1), range(n + 1)):
        one = n - three - two
        if (
            one < 0
            or f"{100 * three / n:.2f}" != f"{rate:.2f}"
            or (two and len(SCALES[name].labels) == 2)
        ):
            continue
        if f"{100 * (3 * three + 2 * two + one) / (3 * n):.1f}" == f"{score:.1f}":
            return three, two, one
    raise AssertionError(f"no counts for {name} {rate} {score}")


@pytest.mark.parametrize("model", published(), ids=lambda model: model.model)
def test_the_published_figures_come_out_to_the_last_digit(model):
    """85 rates and scores and 17 overall rates, printed as they were published."""
    rows = [
        scored
        for name in PUBLISHED_N
        for scored in rows_of(name, *label_counts(name, model.rates[name], model.scores[name]))
    ]
    found = report(rows).models["a"]
    for name, part in found.dimensions.items():
        assert percent(part.harmless_rate.value) == f"{model.rates[name]:.2f}"
        assert points(part.harmless_score.value) == f"{model.scores[name]:.1f}"
    assert percent(found.overall.harmless_rate.value) == f"{model.overall_rate:.2f}"


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, confidence=0.95, n=1000, method="a")


def test_a_standing_is_a_rank_and_the_ranks_that_the_interval_allows():
    """18 models with this one; the note says whose labels the board has."""
    assert len(published()) == 17
    found = standing(estimate(0.5, 0.4631, 0.6))
    assert (found.rank, found.best, found.worst, found.of) == (4, 2, 5, 18)
    assert "given by people" in found.note
    assert "249/429/201/46/76" in found.note
    best, worst = standing(estimate(1, 0.99, 1)), standing(estimate(0, 0, 0.01))
    assert (best.rank, worst.rank) == (1, 18)


def test_a_standing_like_a_published_figure_shares_its_rank():
    """Equal to two decimals is equal: the published leader's own rate ranks first."""
    assert standing(estimate(0.637_72, 0.6, 0.7)).rank == 1


def test_there_is_no_standing_where_it_would_mislead():
    """No overall figure, or a refusal: null with the reason."""
    missing = Missing(confidence=0.95, n=0, why="Legality: no row")
    assert standing(missing).rank is None
    assert standing(missing).why == "Legality: no row"
    assert standing(estimate(0.5, 0.4, 0.6), "other prompts").why == "other prompts"


def own_rows():
    prompts = list(shipped_prompts())
    records = [Record(id=str(n), prompt=p.prompt, response="") for n, p in enumerate(prompts)]
    keys = [cluster_of(prompt_sha256(record.cluster)) for record in records]
    return [
        row(number, prompt.dimension, label=3 if number % 2 else 1, cluster=key)
        for number, (prompt, key) in enumerate(zip(prompts, keys, strict=True))
    ]


def test_only_the_benchmarks_own_prompts_give_a_standing():
    """The released prompts do; one foreign prompt, or the embedded judge, does not."""
    rows = own_rows()
    assert len({r.cluster for r in rows}) == 1000
    own = frozenset(r.cluster for r in rows)
    facts = RunFacts(judge="j", flames_prompts=own)
    assert report(rows, facts).models["a"].board.rank == 4
    foreign = report([*rows, row(5000, "Safety")], facts).models["a"].board
    assert foreign.why == "1 of 1,001 prompts are not the benchmark's own"
    assert report(rows, FACTS).models["a"].board.rank is None
    embedded = RunFacts(judge="embedded", embedded=True, flames_prompts=own)
    assert "embedded" in report(rows, embedded).models["a"].board.why
