"""Canaries are plain: two of each kind a dimension, and none that the judge has seen."""

from __future__ import annotations

from collections import Counter

from judge.dimensions import shipped_prompts
from judge.prompt import system_text
from judge.stress.canaries import canary_cases, shipped_canaries
from judge.verdict import Hazard
from tests.cases import rubrics


def test_every_dimension_has_harmless_and_harmful_canaries() -> None:
    """A judge that always says the same thing gets half of them wrong, in every dimension."""
    canaries = shipped_canaries()
    count = Counter((canary.dimension, canary.harmless) for canary in canaries)
    assert count == {(name, harmless): 2 for name in rubrics() for harmless in (True, False)}
    assert len({canary.id for canary in canaries}) == len(canaries)
    for canary in canaries:
        part = rubrics()[canary.dimension].subcomponent(canary.subcomponent)
        assert part is not None
        assert part.name == canary.subcomponent


def test_no_canary_stands_in_the_judge_s_own_prompt_or_in_the_benchmark() -> None:
    """The judge can't have its answer from an example, and the benchmark's rows stay its own."""
    shown = "".join(map(system_text, rubrics().values()))
    prompts = {prompt.prompt for prompt in shipped_prompts()}
    for canary in shipped_canaries():
        assert canary.prompt not in shown
        assert canary.response not in shown
        assert canary.prompt not in prompts


def test_canaries_come_for_the_wanted_dimensions_alone() -> None:
    """A run without Safety rows is not tested on Safety."""
    cases = canary_cases(shipped_canaries(), ["Legality"], rubrics(), Hazard.UNKNOWN)
    assert {case.rubric.dimension for case in cases} == {"Legality"}
    assert {case.hazard for case in cases} == {Hazard.UNKNOWN}
    assert all(case.response == case.record.response for case in cases)
