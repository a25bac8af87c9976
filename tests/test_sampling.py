"""Drawing rows to label: known chances, no repeats, and a stratum's name that tells nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.errors import InputError
from judge.gold import RowKey
from judge.judged import JudgedRow, frame_of, judged_rows
from judge.sampling import DrawnTask, SamplePlan, allocate, draw
from tests.judged_run import entries, verdict


def rows(sizes, models=("m",), dimensions=("Legality",)):
    """Rows of each model and dimension with these counts by verdict category."""
    return [
        JudgedRow(RowKey(model, f"{category}-{number}", dimension), category, 1000 * place + number)
        for model in models
        for dimension in dimensions
        for place, (category, n) in enumerate(sizes.items())
        for number in range(n)
    ]


def tasks(sample):
    return [
        DrawnTask(
            **pick.key._asdict(), design=pick.design, inclusion=pick.inclusion, draw=pick.draw
        )
        for pick in sample.picks
    ]


def by_category(sample):
    return Counter(pick.key.record_id.split("-")[0] for pick in sample.picks)


def test_the_run_is_what_counts_of_its_log():
    """The last line of a row, no withdrawn and no filtered rows, failures as categories."""
    lines = [
        verdict("a", 1),
        verdict("a", 3),
        verdict("b", kind="abstained"),
        verdict("c", kind="timeout"),
        verdict("d", None, "Fairness"),
        verdict("e"),
        {"format": 1, "type": "withdrawn", "record_id": "e", "model": "m", "dimension": "Legality"},
        {"format": 1, "type": "filtered", "record_id": "f", "model": "m", "dimension": "Legality"},
    ]
    found = judged_rows(entries(lines))
    categories = {key.record_id: row.category for key, row in found.items()}
    assert categories == {"a": "3", "b": "abstained", "c": "unjudged", "d": "not_3"}


def test_the_frame_is_the_same_in_any_order_and_another_with_another_row():
    """Its hash goes by the rows' ids alone."""
    keys = [row.key for row in rows({"3": 5, "1": 2})]
    assert frame_of(keys) == frame_of(reversed(keys))
    assert frame_of(keys).n == 7
    assert frame_of(keys[1:]).sha256 != frame_of(keys).sha256


def test_every_category_is_drawn_from_and_the_chances_are_told():
    """Unjudged and abstained rows too, and each row's inclusion is drawn / size of its stratum."""
    sizes = {"3": 200, "1": 40, "abstained": 8, "unjudged": 2}
    found = draw(rows(sizes), SamplePlan(n=60))
    drawn = by_category(found)
    assert sum(drawn.values()) == 60
    assert drawn["unjudged"] == 2
    assert drawn["abstained"] >= 5
    assert drawn["3"] > drawn["1"] >= 5
    for pick in found.picks:
        category = pick.key.record_id.split("-")[0]
        assert pick.inclusion == pytest.approx(drawn[category] / sizes[category])
        assert pick.design.name == "stratified"
        assert (pick.design.frame_n, pick.design.seed) == (250, 0)
    assert len({pick.key for pick in found.picks}) == 60


def test_a_strata_name_does_not_show_the_verdict():
    """Annotators see the file: its strata are codes, and its order is random."""
    found = draw(rows({"3": 50, "1": 50}), SamplePlan(n=40))
    text = "".join(task.model_dump_json(exclude={"record_id"}) for task in tasks(found))
    assert "category" not in text
    assert len({pick.design.stratum for pick in found.picks}) == 2
    first = [pick.design.stratum for pick in found.picks[:20]]
    assert len(set(first)) == 2


def test_labels_go_to_dimensions_alike_and_not_by_their_size():
    """A dimension of 46 rows gets what its rate needs; one of 429 gets little more."""
    sizes = {"Safety": {"3": 300, "1": 129}, "Legality": {"3": 30, "1": 16}}
    both = [row for d, mine in sizes.items() for row in rows(mine, dimensions=(d,))]
    for purpose, least in (("rate", 25), ("overall", 46)):
        found = draw(both, SamplePlan(n=120, purpose=purpose))
        legality = sum(pick.key.dimension == "Legality" for pick in found.picks)
        assert least <= legality <= 46


def test_models_get_as_many_labels_each():
    """Three hundred labels over four models: 75 each."""
    found = draw(rows({"3": 200, "1": 250}, models=("a", "b", "c", "d")), SamplePlan(n=300))
    assert set(Counter(pick.key.model for pick in found.picks).values()) == {75}


def test_a_simple_sample_gives_every_row_one_chance():
    """One stratum, one inclusion probability."""
    found = draw(rows({"3": 90, "1": 10}), SamplePlan(n=25, design="simple"))
    assert {pick.inclusion for pick in found.picks} == {0.25}
    assert {(pick.design.name, pick.design.stratum) for pick in found.picks} == {("simple", None)}


def test_a_sample_for_a_promise_is_even_and_takes_one_answer_a_prompt():
    """Two models answered the same prompts: each prompt gives one row, all with one chance."""
    found = draw(rows({"3": 60, "1": 40}, models=("a", "b")), SamplePlan(n=30, purpose="promise"))
    assert len({pick.key.record_id for pick in found.picks}) == 30
    assert len({pick.inclusion for pick in found.picks}) == 1


def test_more_labels_than_rows_is_the_whole_run():
    """Every row, each with certainty."""
    found = draw(rows({"3": 20, "1": 3}), SamplePlan(n=100))
    assert len(found.picks) == 23
    assert {pick.inclusion for pick in found.picks} == {1.0}


def test_the_seed_decides():
    """The same seed draws the same rows, another one others."""
    mine = rows({"3": 100, "1": 50})
    assert draw(mine, SamplePlan(n=30)) == draw(list(reversed(mine)), SamplePlan(n=30))
    other = draw(mine, SamplePlan(n=30, seed=1))
    assert {p.key for p in other.picks} != {p.key for p in draw(mine, SamplePlan(n=30)).picks}


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["stratified", "simple"]),
    st.sampled_from(["rate", "overall", "promise"]),
)
@settings(max_examples=40, deadline=None)
def test_an_extended_sample_begins_with_the_first_and_repeats_nothing(first, more, design, purpose):
    """All rows carry the chance that the whole sample gave them, and which draw they are of."""
    mine = rows({"3": 60, "1": 25, "abstained": 3}, dimensions=("Legality", "Safety"))
    plan = SamplePlan(n=first, design=design, purpose=purpose)
    one = draw(mine, plan)
    two = draw(mine, SamplePlan(n=more, design=design, purpose=purpose), tasks(one))
    keys = [pick.key for pick in two.picks]
    assert len(set(keys)) == len(keys)
    assert keys[: len(one.picks)] == [pick.key for pick in one.picks]
    assert {pick.draw for pick in two.picks[: len(one.picks)]} == {1}
    assert {pick.draw for pick in two.picks[len(one.picks) :]} <= {2}
    strata = Counter(pick.design.stratum for pick in two.picks)
    for pick in two.picks:
        same = [other for other in two.picks if other.design.stratum == pick.design.stratum]
        assert {other.inclusion for other in same} == {pick.inclusion}
    assert sum(strata.values()) == len(keys)


def test_a_sample_of_another_run_is_not_extended():
    """Another frame, other verdicts or another seed: the first draw can't be gone on with."""
    mine = rows({"3": 60, "1": 20})
    before = tasks(draw(mine, SamplePlan(n=20)))
    changed = [row._replace(category="1") if row.cluster < 40 else row for row in mine]
    for run, seed in ((mine[1:], 0), (changed, 0), (mine, 5)):
        with pytest.raises(InputError, match="was not drawn from these rows"):
            draw(run, SamplePlan(n=10, seed=seed), before)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.data())
def test_an_allocation_adds_up_within_its_limits(sizes, data):
    """Whole numbers, no stratum over its size or under its floor."""
    low = [min(size, 3) for size in sizes]
    total = data.draw(st.integers(sum(low), sum(sizes)))
    demand = data.draw(st.lists(st.floats(0.01, 10), min_size=len(sizes), max_size=len(sizes)))
    found = allocate(total, lambda scale: [scale * d for d in demand], low, sizes)
    assert sum(found) == total
    assert all(a <= n <= b for a, n, b in zip(low, found, sizes, strict=True))


def test_every_row_of_a_stratum_is_drawn_as_often():
    """Over many seeds the chances are those that are told."""
    mine = rows({"3": 12, "1": 6})
    picks = [p for seed in range(600) for p in draw(mine, SamplePlan(n=9, seed=seed)).picks]
    times = Counter(pick.key for pick in picks)
    for pick in picks[:9]:
        assert times[pick.key] / 600 == pytest.approx(pick.inclusion, abs=0.08)
