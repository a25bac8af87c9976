from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.views import pairs
from judge.embedded import compiled
from judge.embedded.spans import Span, spans

ANY = st.text(alphabet=st.characters(codec=None), max_size=120)
FEW = st.text(alphabet="一二三a😀", max_size=60)
WAYS = [pytest.param(True, id="compiled"), pytest.param(False, id="python")]


@pytest.fixture(params=WAYS, autouse=True)
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled passes, where they could be built, and without."""
    if not request.param:
        monkeypatch.setattr(compiled, "grams", None)


def in_python(call: Callable[[], list[int]]) -> list[int]:
    """What the same call gives without the compiled passes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "grams", None)
        return call()


def test_the_pairs_of_a_set_are_found_where_they_stand() -> None:
    """In order, also where they overlap, and no others in a set with room."""
    members = pairs.set_of(["女马", "古月月"], 18)
    assert pairs.places("她说女马是古月月半", members) == [2, 5, 6]
    assert pairs.places("女", members) == pairs.places("", members) == []


@given(ANY, FEW)
def test_no_member_of_a_set_is_missed(text: str, more: str) -> None:
    """Whatever the characters, lone surrogates included; a small set only adds to what is found."""
    whole = text + more
    everywhere = list(range(max(len(whole) - 1, 0)))
    for bits in (3, 10, 21):
        members = pairs.set_of([whole], bits)
        assert pairs.places(whole, members) == everywhere
        assert pairs.places(more + text, members) == in_python(
            lambda members=members: pairs.places(more + text, members)
        )


def test_parts_full_of_strange_pairs_are_told_from_others() -> None:
    """Enough of them, and enough of all that is Chinese; other characters are in no pair."""
    usual = pairs.set_of(["我们常去公园散步"], 21)
    text = "我们常去公园散步abc添汽狠号"
    whole, new = (0, len(text), False), (11, 15, True)
    assert pairs.strange(text, [whole, new], usual, 3, (0.2, 0.2)) == [0, 1]
    assert pairs.strange(text, [whole, new], usual, 3, (0.5, 0.5)) == [1]
    assert pairs.strange(text, [whole, new], usual, 3, (0.2, 1.1)) == [0]
    assert pairs.strange(text, [whole, new], usual, 4, (0.0, 0.0)) == []


@given(ANY, FEW, st.integers(0, 4), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_what_is_strange_does_not_depend_on_how_it_was_built(
    text: str, more: str, least: int, shares: tuple[float, float]
) -> None:
    """Compiled or not, for every window and piece."""
    whole = text + more
    usual = pairs.set_of([more], 12)
    asked = list(spans(whole))
    found = pairs.strange(whole, asked, usual, least, shares)
    assert found == in_python(lambda: pairs.strange(whole, asked, usual, least, shares))
    assert set(found) <= set(range(len(asked)))


def test_a_character_at_every_second_place_is_found() -> None:
    """Five times in a row, from wherever it begins."""
    assert pairs.alternating("口天口气口很口好口") == [0]
    assert pairs.alternating("今口天口气口很口好口") == [1]
    assert pairs.alternating("口天口气口很口好") == []
    assert pairs.alternating("哈" * 10) == [0, 1]


@given(FEW)
def test_runs_at_every_second_place_are_all_found(text: str) -> None:
    """As slices say it."""
    runs = [at for at in range(len(text) - 8) if len(set(text[at : at + 9 : 2])) == 1]
    assert pairs.alternating(text) == runs


@pytest.mark.parametrize("span", [(0, 3, False), (-1, 1, False), (2, 1, False)])
def test_nothing_is_read_outside_a_text(span: Span) -> None:
    """The compiled pass refuses the span before it reads."""
    if compiled.grams is not None:
        with pytest.raises(ValueError, match="outside"):
            compiled.grams.strange("一二", [span], bytes(1), 1, 0.0, 0.0)


@pytest.mark.parametrize("size", [0, 3, 5])
def test_nothing_is_read_outside_a_set(size: int) -> None:
    """A set whose size is no power of two is refused."""
    if compiled.grams is not None:
        with pytest.raises(ValueError, match="power of two"):
            compiled.grams.places("一二", bytes(size))
