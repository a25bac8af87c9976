"""Long texts are scanned in slices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guard.decision import Part
from guard.engine import Asked
from guard.engine.slices import OVERLAP, SLICE, slices
from tests.guard.made import ABUSE, BAD, guard, policy


@given(st.integers(0, 4 * SLICE), st.integers(0, 4 * SLICE))
def test_all_of_a_text_is_in_slices_and_each_of_its_runs_whole_in_one(size: int, at: int) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 997))) * (size // 997) + "尾" * (size % 997)
    found = list(slices(text))
    run = text[at : at + OVERLAP]
    assert any(run in one for one in found)
    assert max(map(len, found)) <= SLICE
    assert sum(map(len, found)) <= len(text) + OVERLAP * len(found)


async def test_what_stands_where_two_slices_meet_is_found_once() -> None:
    for at in (0, SLICE - 1, SLICE - OVERLAP, SLICE, 3 * SLICE):
        text = "好" * at + BAD + "好" * 2 * SLICE
        one = guard(policy(ABUSE))
        decision = await one.look("output", [Part("text", text)], Asked())
        assert [hit.found.kind for hit in decision.hits if hit.found] == ["abuse"]
