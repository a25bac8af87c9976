"""Strings anywhere in JSON, and the paths that choose among them."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.openai_api import JsonPath, strings_of
from guard.texts.foreign_media import unread_in
from guard.texts.json_replies import Paths, texts_of
from judge.errors import InputError
from tests.guard.openai_api.marked import strings

VALUE: dict[str, Any] = {
    "choices": [{"message": {"content": "一"}}, {"message": {"content": ["二", {"t": "三"}]}}],
    "a.b": {"c d": "四"},
    "n": 5,
}
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("choices[*].message.content", ["一", ["二", {"t": "三"}]]),
        ("choices[1].message.content[0]", ["二"]),
        ("choices[*].*.content", ["一", ["二", {"t": "三"}]]),
        ('["a.b"]["c d"]', ["四"]),
        ("n", [5]),
        ("choices[7]", []),
        ("n.x", []),
        ("choices.message", []),
        ("*", [VALUE["choices"], VALUE["a.b"], 5]),
    ],
)
def test_a_path_finds_what_it_names_and_nothing_where_it_leads_nowhere(
    path: str, found: list[Any]
) -> None:
    """A body of another shape is no error: other rules say whether a text must be there."""
    assert [value for _, value in JsonPath.parse(path).find(VALUE)] == found


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a b", "a[-1]", '[""]',
                                  "ab[1]c", "a.[0]", "a" + ".a" * 40])  # fmt: skip
def test_what_is_no_path_is_the_users_mistake(path: str) -> None:
    """A typing error in a configuration must not quietly guard nothing."""
    with pytest.raises(InputError, match="not a path"):
        JsonPath.parse(path)


def test_only_the_named_strings_are_replaced_in_a_copy() -> None:
    """All strings below the named value change; keys and everything else stay."""
    changed = JsonPath.parse("choices[1].message").replaced(VALUE, lambda text: f"<{text}>")
    assert changed["choices"][1]["message"]["content"] == ["<二>", {"t": "<三>"}]
    assert changed["choices"][0] == VALUE["choices"][0]
    assert VALUE["choices"][1]["message"]["content"] == ["二", {"t": "三"}]
    assert JsonPath.parse("n").replaced(VALUE, str.upper) == VALUE


@given(JSON)
def test_every_string_is_found_in_order(value: Any) -> None:
    """Keys are strings too; they come before what they hold."""
    assert [text for _, text in strings_of(value)] == list(strings(value))


def test_strings_are_found_at_any_depth() -> None:
    """Nesting deeper than the interpreter's stack is walked all the same."""
    value: Any = "底"
    for _ in range(50_000):
        value = [value]
    assert [text for _, text in strings_of(value)] == ["底"]


@given(JSON)
def test_found_values_stand_at_their_paths(value: Any) -> None:
    """Each value of `*` has a path of its own."""
    found = JsonPath.parse("*").find(value)
    assert len({path for path, _ in found}) == len(found)


def test_a_long_key_is_not_written_again_for_all_that_it_holds() -> None:
    """A body of two hundred kilobytes would fill a server's memory: here it takes two gigabytes."""
    value = {"k" * 100_000: ["一二三 四"] * 20_000}
    tracemalloc.start()
    try:
        assert len({path for path, _ in strings_of(value)}) == 20_001
        assert len(texts_of(value)) == 20_001
        assert unread_in(value) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100 * 2**20


def test_a_path_leads_to_the_same_text_below_a_long_key() -> None:
    """What is a reply is told by its path, which all readers write alike."""
    long = "k" * 300
    value = {long: {"reply": ["好", "hello"], "text": "word"}}
    places = Paths.parse([f"{long}.reply", f"{long}.text"]).places(value)
    paths = {path for path, text in strings_of(value) if text in {"好", "hello", "word"}}
    assert places == paths
    assert len(paths) == 3
