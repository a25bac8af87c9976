"""One raw row -> a record, or a bad row that says why."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.dimensions import Dimensions, load_category_map, shipped_prompts
from judge.errors import InputError
from judge.identity import Identities, prompt_id
from judge.records import BadRow, PromptRow, Record, Turn
from judge.rows import RowParser, judged_text
from tests.cases import PROMPT, RESPONSE, rubrics

SECRET = "只有这一行才有的字"
ROW = {"dimension": "Legality", "prompt": PROMPT, "response": RESPONSE}


def parser(
    dimension: str | None = None, categories: dict[str, str] | None = None, **options: Any
) -> RowParser:
    made = RowParser(Dimensions(rubrics(), dimension, categories), **options)
    made.begin("in.jsonl", "in")
    return made


def good(row: dict[str, Any], **options: Any) -> Record:
    record = parser(**options).record(1, row)
    assert isinstance(record, Record), record
    return record


def bad(row: dict[str, Any], **options: Any) -> BadRow:
    found = parser(**options).record(1, row)
    assert isinstance(found, BadRow), found
    assert SECRET not in found.model_dump_json()
    return found


def test_a_row_of_the_benchmarks_shape_becomes_a_record() -> None:
    """Fields carry over; the model is the file's stem, the id the prompt's hash."""
    assert good(ROW) == Record(
        id=hashlib.sha256(PROMPT.encode()).hexdigest()[:16],
        prompt=PROMPT,
        response=RESPONSE,
        dimension="Legality",
        model="in",
        source="in.jsonl:1",
    )


def test_fields_that_nobody_knows_are_ignored() -> None:
    """Rows of `respond` and of other tools carry more than is read here."""
    extra = {"generation": {"temperature": 0}, "usage": [1], "finish_reason": "stop", "x": None}
    assert good(ROW | extra) == good(ROW)


@pytest.mark.parametrize("name", ["legality", "LEGALITY", "合法", "Legality"])
def test_a_dimension_is_known_by_any_of_its_names(name: str) -> None:
    """Any case, the Chinese name, and the rubric's aliases."""
    assert good(ROW | {"dimension": name}).dimension == "Legality"


@pytest.mark.parametrize(
    "name", ["data_protection", "Data Protection", "data-protection", "数据保护"]
)
def test_spaces_and_hyphens_in_a_dimension_do_not_matter(name: str) -> None:
    """`data_protection` is `Data protection`."""
    assert good(ROW | {"dimension": name}).dimension == "Data protection"


@pytest.mark.parametrize("name", [SECRET, 3, ["Legality"], {"a": 1}, True])
def test_an_unknown_dimension_is_a_bad_row_that_names_the_known_ones(name: object) -> None:
    """It isn't judged under a guess."""
    found = bad(ROW | {"dimension": name})
    assert "Fairness, Safety, Morality, Legality, Data protection" in found.reason


def test_without_a_dimension_the_benchmarks_prompt_tells_it() -> None:
    """An exact prompt, white space around it aside, is known with its part."""
    for shipped in list(shipped_prompts())[::97]:
        row = {"prompt": f"{shipped.prompt}\n", "response": RESPONSE}
        record = good(row, dimension="Morality")
        assert (record.dimension, record.subcomponent) == shipped[1:]


def test_the_benchmark_ships_with_its_published_counts() -> None:
    """The counts of the released prompts by dimension."""
    counts = Counter(shipped.dimension for shipped in shipped_prompts())
    assert counts == {
        "Fairness": 249,
        "Safety": 429,
        "Morality": 201,
        "Legality": 46,
        "Data protection": 75,
    }


def test_without_a_dimension_the_option_decides_and_then_the_map() -> None:
    """The order: own field, the benchmark's prompt, --dimension, --map."""
    row = {"prompt": "p", "response": "r", "category_name": "Adult Content"}
    categories = {"adultcontent": "Morality"}
    assert good(row, categories=categories).dimension == "Morality"
    assert good(row, dimension="safety", categories=categories).dimension == "Safety"
    assert good(row | {"dimension": "公平"}, dimension="Safety").dimension == "Fairness"
    assert good(row | {"dimension": ""}, dimension="Safety").dimension == "Safety"


def test_the_finer_category_is_looked_up_first() -> None:
    """A map may send a whole category one way and a part of it another."""
    row = {"prompt": "p", "response": "r", "category_name": "a", "sub_category_name": "b"}
    assert good(row, categories={"a": "Safety", "b": "Fairness"}).dimension == "Fairness"
    assert good(row, categories={"a": "Safety"}).dimension == "Safety"


def test_the_map_also_translates_a_dimension_of_another_set() -> None:
    """A name in the row that no rubric has may stand in the map."""
    row = ROW | {"dimension": "Privacy"}
    assert good(row, categories={"privacy": "Data protection"}).dimension == "Data protection"


def test_a_row_whose_dimension_cannot_be_told_is_bad_and_says_what_to_do() -> None:
    """The mend names the flags; with a map, it is the map that lacks the category."""
    row = {"prompt": SECRET, "response": "r", "category_name": SECRET}
    assert "--dimension or --map" in bad(row).mend
    assert "doesn't have its category" in bad(row, categories={"x": "Safety"}).reason


def test_subcomponents_get_the_rubrics_own_names() -> None:
    """Known ones by any name, unknown ones as they are, missing ones from the shipped prompt."""
    row = ROW | {"dimension": "Safety"}
    assert good(row | {"subcomponent": "心理伤害"}).subcomponent == "Mental harm"
    assert good(row | {"subcomponent": "Own part"}).subcomponent == "Own part"
    assert good(row).subcomponent is None
    assert "`subcomponent` is not text" in bad(row | {"subcomponent": 3}).reason


def test_a_shipped_prompt_judged_under_another_dimension_has_no_part_of_its_own() -> None:
    """Its part belongs to the dimension it was written for."""
    shipped = next(shipped_prompts())
    row = {"prompt": shipped.prompt, "response": "r"}
    assert good(row | {"dimension": shipped.dimension}).subcomponent == shipped.subcomponent
    assert good(row | {"dimension": "Legality"}).subcomponent is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": None}, "has no `prompt`"),
        ({"prompt": 3}, "`prompt` is not text"),
        ({"prompt": " \n"}, "the prompt is empty"),
        ({"response": None}, "has no `response`"),
        ({"response": float("nan")}, "`response` is not text"),
        ({"response": 3}, "`response` is not text"),
        ({"response": [SECRET]}, "`response` is not text"),
        ({"response": None, "filtered": False}, "has no `response`"),
        ({"id": 1.5}, "`id` is neither text nor a whole number"),
        ({"id": float("inf")}, "`id` is neither text nor a whole number"),
        ({"id": True}, "`id` is neither text nor a whole number"),
        ({"id": [SECRET]}, "`id` is neither text nor a whole number"),
        ({"model": 4}, "`model` is not text"),
        ({"history": SECRET}, "`history` is not a list of turns"),
        ({"messages": 3}, "`messages` is not a list of turns"),
    ],
)
def test_a_row_that_cannot_be_judged_says_why(change: dict[str, Any], reason: str) -> None:
    """Nothing is guessed and no score is made up."""
    found = bad(ROW | change)
    assert found.reason == reason
    assert found.mend
    assert found.source == "in.jsonl:1"


def test_an_empty_answer_is_an_answer() -> None:
    """A model that says nothing has said nothing: that is judged, not dropped."""
    assert good(ROW | {"response": ""}).response == ""


@pytest.mark.parametrize("response", [None, ""])
@pytest.mark.parametrize("filtered", [{"kind": "provider_filter_input"}, {}, True, "true", "True"])
def test_a_filtered_prompt_has_no_response_and_says_so(response: object, filtered: object) -> None:
    """What the tested provider's filter stopped is counted in its own way."""
    record = good(ROW | {"response": response, "filtered": filtered})
    assert (record.response, record.filtered) == (None, True)


def test_an_answer_beside_a_filter_note_is_an_answer() -> None:
    """The filter may have been retried with success."""
    record = good(ROW | {"filtered": {"kind": "x"}})
    assert (record.response, record.filtered) == (RESPONSE, False)


LIBRA = {
    "source": "s",
    "category_name": "违法违规",
    "sub_category_name": "犯罪",
    "question": PROMPT,
    "response": RESPONSE,
    "label": 1,
    "analyze": "因为",
    "id": 7,
}


def test_a_libra_test_row_is_read_and_its_label_left_alone() -> None:
    """Its 1 means unsafe or safe, not the benchmark's 1."""
    record = good(LIBRA, categories={"犯罪": "Legality"})
    assert (record.prompt, record.id, record.label) == (PROMPT, "7", None)
    assert "has no label" in bad(LIBRA, dimension="Legality", labelled=True).reason


def test_a_libra_test_row_with_a_label_of_ours_is_labelled() -> None:
    """People who labelled such a set again put their labels beside the old ones."""
    row = LIBRA | {"human_label": 3}
    assert good(row, dimension="Legality", labelled=True).label == 3
    chosen = good(LIBRA, dimension="Legality", labelled=True, label_field="label")
    assert chosen.label == 1


@pytest.mark.parametrize("value", [3, "3", " 3 ", 3.0, "3.0"])
@pytest.mark.parametrize("field", ["label", "human_label", "predicted"])
def test_labels_are_read_as_numbers_or_text(value: object, field: str) -> None:
    """As a number, as text, or as a table's float; prompt and response may be missing."""
    record = good({"dimension": "Safety", field: value}, labelled=True)
    assert (record.label, record.prompt, record.response) == (3, "", None)


@pytest.mark.parametrize("value", [0, 4, "harmless", True, [3], {"a": 3}, float("nan"), 2.5, "三"])
def test_a_row_without_a_usable_label_is_bad_when_labels_are_asked_for(value: object) -> None:
    """Elsewhere the label plays no part."""
    found = bad(ROW | {"label": value, "dimension": "Safety"}, labelled=True)
    assert found.reason == "the label is none of 3, 2, 1"
    assert good(ROW | {"label": value}).label is None


def test_a_label_that_the_dimension_does_not_have_is_bad() -> None:
    """Legality has 3 and 1, no 2."""
    assert bad(ROW | {"label": 2}, labelled=True).reason == "the label is none of 3, 1"


def test_labels_that_contradict_each_other_are_bad_and_agreeing_ones_good() -> None:
    """Nobody is guessed to be right; `label_field` says which field counts."""
    row = ROW | {"label": 3, "predicted": 1}
    assert "contradict" in bad(row, labelled=True).reason
    assert good(row, labelled=True, label_field="predicted").label == 1
    assert good(ROW | {"label": 3, "predicted": "3"}, labelled=True).label == 3


def test_rows_without_a_prompt_are_clusters_of_their_own() -> None:
    """They aren't taken for answers to one and the same prompt."""
    made = parser(labelled=True)
    rows = [made.record(line, {"dimension": "Safety", "label": 3}) for line in (1, 2)]
    assert [row.cluster for row in rows if isinstance(row, Record)] == ["in.jsonl:1", "in.jsonl:2"]
    assert good(ROW).cluster == PROMPT


def message(role: str, content: object, **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


def test_in_messages_the_last_assistant_turn_is_judged() -> None:
    """The prompt is the last user turn before it, and what was said earlier is history."""
    messages = [
        message("developer", "系统"),
        message("user", "一"),
        message("assistant", "二"),
        message("user", [{"type": "text", "text": "三"}, {"type": "input_text", "text": "四"}]),
        message("Assistant", [{"type": "output_text", "text": "五"}], tool_calls=None),
    ]
    record = good({"dimension": "Safety", "messages": messages})
    assert (record.prompt, record.response) == ("三\n四", "五")
    assert record.history == (
        Turn(role="system", content="系统"),
        Turn(role="user", content="一"),
        Turn(role="assistant", content="二"),
    )


@pytest.mark.parametrize(
    "answer",
    [
        message("assistant", None, refusal="不行"),
        message("assistant", [{"type": "refusal", "refusal": "不行"}]),
    ],
)
def test_a_refusal_in_its_own_field_is_the_answer(answer: dict[str, object]) -> None:
    """OpenAI writes refusals beside an empty content."""
    assert (
        good({"dimension": "Safety", "messages": [message("user", "问"), answer]}).response
        == "不行"
    )


def test_messages_that_end_with_the_user_need_a_response_beside_them() -> None:
    """A conversation without its answer can't be judged."""
    row = {"dimension": "Safety", "messages": [message("user", SECRET)]}
    assert bad(row).reason == "`messages` has no assistant turn at its end"
    assert good(row | {"response": "答"}).response == "答"
    filtered = good(row | {"response": None, "filtered": {"kind": "x"}})
    assert (filtered.prompt, filtered.filtered) == (SECRET, True)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [message("assistant", SECRET)],
        [message("tool", SECRET), message("user", "a"), message("assistant", "b")],
        [SECRET],
        [message("user", [{"type": "image_url", "image_url": SECRET}]), message("assistant", "b")],
        [message("user", "a"), message("assistant", None, tool_calls=[SECRET])],
        [message("user", "a"), message("assistant", [])],
        [message("user", "a"), message("assistant", [3])],
        [message(SECRET, "a")],
        {"role": "user"},
        "[",
    ],
)
def test_a_conversation_that_is_not_all_text_is_a_bad_row(messages: object) -> None:
    """A part of it left out could change what the answer means."""
    assert "`messages`" in bad({"dimension": "Safety", "messages": messages}).reason


def test_history_may_stand_beside_prompt_and_response() -> None:
    """The same turns in the flat shape."""
    record = good(ROW | {"history": [message("user", "早"), message("assistant", "好")]})
    assert [turn.content for turn in record.history] == ["早", "好"]


def test_given_ids_stand_and_whole_numbers_become_text() -> None:
    """An id column with gaps comes as floats."""
    assert [good(ROW | {"id": given}).id for given in ("a b", 7, 7.0)] == ["a b", "7", "7"]


def test_further_answers_to_a_prompt_are_numbered_by_model() -> None:
    """The first has the prompt's hash, then -2 and -3; another model begins anew."""
    made = parser()
    models = ["a", "a", "b", "a", "b"]
    rows = [made.record(n, ROW | {"model": model}) for n, model in enumerate(models)]
    base = prompt_id(PROMPT)
    ids = [row.id for row in rows if isinstance(row, Record)]
    assert ids == [base, f"{base}-2", base, f"{base}-3", f"{base}-2"]


def test_mending_a_bad_row_does_not_renumber_the_rows_after_it() -> None:
    """A resumed run finds each answer under the id it had."""

    def ids(second: dict[str, Any]) -> list[str]:
        made = parser()
        rows = [made.record(n, row) for n, row in enumerate([ROW, second, ROW])]
        return [rows[n].id for n in (0, 2)]  # type: ignore[union-attr]

    assert ids(ROW) == ids(ROW | {"response": None}) == ids(ROW | {"dimension": "?"})


def test_an_id_that_stands_twice_is_refused_and_names_the_first() -> None:
    """The first row is kept. Another model or another dimension may use the id again."""
    made = parser()
    rows = [
        made.record(n, ROW | change)
        for n, change in enumerate(
            [
                {"id": "x"},
                {"id": "x", "model": "m"},
                {"id": "x", "dimension": "Safety"},
                {"id": "x"},
            ]
        )
    ]
    assert [isinstance(row, Record) for row in rows] == [True, True, True, False]
    assert isinstance(rows[3], BadRow)
    assert rows[3].reason == "the id is already that of in.jsonl:0"
    made.begin("more.jsonl", "in")
    again = made.record(9, ROW | {"id": "x"})
    assert isinstance(again, BadRow)
    assert "in.jsonl:0" in again.reason


def test_given_ids_never_collide_with_numbers() -> None:
    """Neither when the given id comes first, nor when it comes last."""
    base = prompt_id(PROMPT)
    made = parser()
    rows = [made.record(1, ROW | {"id": base}), made.record(2, ROW), made.record(3, ROW)]
    assert [row.id for row in rows if isinstance(row, Record)] == [base, f"{base}-2", f"{base}-3"]
    late = made.record(4, ROW | {"id": f"{base}-3"})
    assert isinstance(late, BadRow)
    assert "earlier row, which came without one" in late.reason


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("pq"), st.booleans()), max_size=40)
)
def test_no_two_records_share_model_and_id(rows: list[tuple[str, str, bool]]) -> None:
    """Whatever ids are given or missing, in any order; no row without one is lost."""
    made = parser()
    kept: list[tuple[str | None, str]] = []
    for line, (model, prompt, with_id) in enumerate(rows):
        given_id = {"id": prompt_id(prompt)} if with_id else {}
        row = made.record(line, ROW | {"model": model, "prompt": prompt} | given_id)
        assert with_id or isinstance(row, Record)
        kept += [(row.model, row.id)] if isinstance(row, Record) else []
    assert len(kept) == len(set(kept))


@given(st.lists(st.sampled_from("pqr"), max_size=30))
def test_numbers_count_a_models_answers_to_a_prompt(prompts: list[str]) -> None:
    """The n-th answer gets the n-th number."""
    ids, seen = Identities(), Counter[str]()
    for prompt in prompts:
        seen[prompt] += 1
        n = seen[prompt]
        assert ids.number("m", prompt) == prompt_id(prompt) + (f"-{n}" if n > 1 else "")


def test_prompts_need_no_answer_and_no_dimension() -> None:
    """What `respond` asks; an answer in the row is left out, a dimension told where it can be."""
    made = parser()
    messages = [message("system", "s"), message("user", "问"), message("assistant", "旧答")]
    rows = [
        made.prompt(1, {"prompt": "自己的"}),
        made.prompt(2, {"messages": messages, "id": 4, "dimension": "safety"}),
        made.prompt(3, next(shipped_prompts())._asdict() | {"dimension": None}),
    ]
    assert rows[0] == PromptRow(id=prompt_id("自己的"), prompt="自己的", source="in.jsonl:1")
    assert rows[1] == PromptRow(
        id="4",
        prompt="问",
        dimension="Safety",
        history=(Turn(role="system", content="s"),),
        source="in.jsonl:2",
    )
    assert isinstance(rows[2], PromptRow)
    assert rows[2].dimension == "Fairness"


@pytest.mark.parametrize(
    "row", [{}, {"prompt": ""}, {"prompt": "p", "dimension": "?"}, {"id": "4"}]
)
def test_a_row_without_a_usable_prompt_is_a_bad_row(row: dict[str, Any]) -> None:
    """Nothing is asked in its place."""
    assert isinstance(parser().prompt(1, row), BadRow)


def test_a_prompt_that_stands_twice_is_asked_twice_under_two_ids() -> None:
    """Two samples of one prompt; a given id that stands twice is refused."""
    made = parser()
    rows = [made.prompt(n, {"prompt": "p"}) for n in (1, 2)]
    assert [row.id for row in rows if isinstance(row, PromptRow)][1].endswith("-2")
    made.prompt(3, {"prompt": "p", "id": "x"})
    assert isinstance(made.prompt(4, {"prompt": "q", "id": "x"}), BadRow)


@pytest.mark.parametrize(
    ("response", "judged"),
    [
        ("答", "答"),
        (" 空白留着 ", " 空白留着 "),
        ("<think>想</think>\n\n答", "答"),
        ("<THINK>想</Think>答", "答"),
        ("< think >想</ think>答", "答"),
        ("<think>一</think>甲<think>二</think>乙", "甲乙"),
        ("甲<think>想</think>", "甲"),
        ("<think>想不完", ""),
        ("甲<think>想不完", "甲"),
        ("模板开了头</think>答", "答"),
        ("<think>a<think>b</think>c</think>d", "d"),
        ("<think>他问<think>是什么</think>答", "答"),
        ("<think></think>", ""),
        ("a < b, thinking", "a < b, thinking"),
    ],
)
def test_thinking_is_not_judged(response: str, judged: str) -> None:
    """What a user doesn't see isn't the answer; without an end, all the rest is thinking."""
    assert judged_text(response) == judged
    assert judged_text(response, "judge") == response


@given(st.text(alphabet="<>/think 甲乙\n", max_size=60))
def test_what_is_judged_was_said(response: str) -> None:
    """Characters are left out, and none is added."""
    assert not Counter(judged_text(response)) - Counter(response)


def write(folder: Path, text: str) -> Path:
    file = folder / "map.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_category_map_is_read_with_any_names_of_the_dimensions(tmp_path: Path) -> None:
    """Categories may be numbers; case and spaces don't matter when they are looked up."""
    file = write(tmp_path, "违法: 合法\nHate Speech: fairness\n3: safety\n")
    found = load_category_map(file, rubrics())
    assert found == {"违法": "Legality", "hatespeech": "Fairness", "3": "Safety"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: Safety\nb: Nonsense\n", "map.yaml:2: no dimension 'Nonsense' (known: Fairness"),
        ("a: [Safety]\n", "map.yaml:1: a dimension must be text"),
        ("a: Safety\nA: Fairness\n", "map.yaml:2: the category 'A' stands twice"),
        ("- a\n", "is not a mapping"),
        ("", "is not a mapping"),
        ("a: !!python/object:os.system x\n", "is not YAML"),
        ("a: b: c", "map.yaml:1: is not YAML"),
    ],
)
def test_a_wrong_category_map_is_one_clear_line(tmp_path: Path, text: str, problem: str) -> None:
    """File, line, problem and mend; nothing in it is run."""
    with pytest.raises(InputError) as caught:
        load_category_map(write(tmp_path, text), rubrics())
    assert problem in str(caught.value)


def test_an_unknown_default_dimension_is_refused_at_once() -> None:
    """Not row by row."""
    with pytest.raises(InputError, match=r"--dimension: no dimension 'X' .known: Fairness"):
        parser(dimension="X")
