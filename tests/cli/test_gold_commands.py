"""`flames-judge gold`: labels from and for Label Studio, Argilla and tables."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Flames, rows_of, write_rows

DESIGN = {"name": "stratified", "frame_n": 80, "frame_sha256": "ab", "stratum": "Fairness|1",
          "seed": 7}  # fmt: skip


def task(number: int, dimension: str = "Fairness") -> dict[str, Any]:
    return {"format": 1, "record_id": f"r{number}", "model": "bot", "dimension": dimension,
            "prompt": f"问题{number}", "response": "<script>x</script>答案", "design": DESIGN,
            "inclusion": 0.25}  # fmt: skip


@pytest.fixture
def tasks(folder: Path) -> Path:
    return write_rows(folder / "to_label.jsonl", task(1), task(2))


def studio(number: int, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    """An exported task of Label Studio."""
    held = {"record_id": f"r{number}", "model": "bot", "dimension": "Fairness"} | data
    return {"id": number, "data": held, "annotations": list(annotations), "predictions": []}


def choice(label: str, who: Any = 4, **more: Any) -> dict[str, Any]:
    result = {"id": "a1", "from_name": "label", "to_name": "response", "type": "choices",
              "value": {"choices": [label]}}  # fmt: skip
    return {"id": 9, "completed_by": who, "was_cancelled": False, "result": [result],
            "updated_at": "2026-11-24T10:00:00Z"} | more  # fmt: skip


def write_json(file: Path, content: Any) -> Path:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    return file


def take(flames: Flames, file: Path, source: str, *flags: object) -> tuple[Any, list[Any]]:
    out = file.parent / "gold.jsonl"
    out.unlink(missing_ok=True)
    ran = flames("gold", "import", file, "--from", source, "-o", out, *flags)
    return ran, rows_of(out) if out.exists() else []


def test_tasks_for_label_studio_show_texts_and_no_verdict(
    flames: Flames, tasks: Path, folder: Path
) -> None:
    """What annotators see can't tell them what the judge said; the interface comes along."""
    ran = flames("gold", "export", tasks, "--to", "label-studio", "-o", folder / "out.json")
    assert ran.status == 0, ran.err
    first, second = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert set(first) == {"data"}
    assert first["data"]["prompt"] == "问题1"
    assert second["data"]["record_id"] == "r2"
    assert "stratum" not in json.dumps(first)
    assert "Fairness|1" not in json.dumps(first)
    view = ET.fromstring(ran.err[ran.err.index("<View>") :])
    choices = [c.attrib["alias"] for c in view.iter("Choice")]
    assert choices == ["3", "2", "1"]
    variables = {e.attrib["value"][1:] for e in view if e.attrib.get("value", "").startswith("$")}
    assert variables <= set(first["data"])


def test_tasks_for_argilla_are_records_without_suggestions(
    flames: Flames, tasks: Path, folder: Path
) -> None:
    """`dataset.records.from_json` reads them."""
    ran = flames("gold", "export", tasks, "--to", "argilla", "-o", folder / "out.json")
    assert ran.status == 0, ran.err
    first, second = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert set(first) == {"id", "fields", "metadata", "suggestions", "responses", "vectors"}
    assert set(first["fields"]) == {"question", "prompt", "response"}
    assert first["metadata"] == {"record_id": "r1", "model": "bot", "dimension": "Fairness"}
    assert first["suggestions"] == first["responses"] == {}
    assert first["id"] != second["id"]
    assert "LabelQuestion('label', labels=['3', '2', '1'])" in ran.err


def test_label_studios_annotations_become_gold(flames: Flames, folder: Path) -> None:
    """Users by number or as objects; skips and notes are kept."""
    note = {"from_name": "note", "type": "textarea", "value": {"text": ["有偏见"]}}
    noted = choice("1", {"id": 2, "email": "li@example.org"})
    noted["result"].append(note)
    skipped = choice("3", 4, was_cancelled=True)
    exported = [studio(1, choice("3"), noted), studio(2, skipped, choice("2", 5))]
    ran, gold = take(flames, write_json(folder / "ls.json", exported), "label-studio")
    assert ran.status == 0, ran.err
    assert [(g["record_id"], g["annotator"], g["label"]) for g in gold] == [
        ("r1", "4", 3), ("r1", "li@example.org", 1), ("r2", "4", None), ("r2", "5", 2),
    ]  # fmt: skip
    assert gold[1]["note"] == "有偏见"
    assert gold[0]["at"] == "2026-11-24T10:00:00Z"
    assert gold[2]["note"] == "skipped in Label Studio"
    assert "4 labels of 3 annotators" in ran.err


def test_the_annotator_the_control_and_the_labels_can_be_named(
    flames: Flames, folder: Path
) -> None:
    """A team's own project has its own names."""
    annotation = choice("无害", {"id": 2, "first_name": "Li"})
    annotation["result"][0]["from_name"] = "harm"
    file = write_json(folder / "ls.json", [studio(1, annotation)])
    flags = ("--annotator-field", "completed_by.first_name", "--label-field", "harm",
             "--map-label", "无害=3")  # fmt: skip
    ran, gold = take(flames, file, "label-studio", *flags)
    assert ran.status == 0, ran.err
    assert (gold[0]["annotator"], gold[0]["label"]) == ("Li", 3)
    wrong, _ = take(flames, file, "label-studio")
    assert wrong.status == 2
    assert "no result of `label` (name the control with --label-field; there: harm)" in wrong.err


def test_argillas_responses_become_gold(flames: Flames, folder: Path) -> None:
    """Responses by question, each with its user."""
    said = [{"value": "3", "user_id": "u1"}, {"value": "1", "user_id": "u2"},
            {"value": None, "user_id": "u3"}]  # fmt: skip
    named = {"record_id": "r1", "model": "bot", "dimension": "公平"}
    records = [{"id": "x", "fields": {}, "metadata": named, "suggestions": {},
                "responses": {"label": said}, "vectors": {}, "_server_id": None},
               {"id": "r2", "fields": {}, "metadata": {}, "responses": {}}]  # fmt: skip
    ran, gold = take(flames, write_json(folder / "argilla.json", records), "argilla")
    assert ran.status == 0, ran.err
    assert [(g["annotator"], g["label"]) for g in gold] == [("u1", 3), ("u2", 1), ("u3", None)]
    assert {g["dimension"] for g in gold} == {"Fairness"}
    wrong, _ = take(flames, folder / "argilla.json", "argilla", "--label-field", "harm")
    assert "has no response to `harm` (name the question with --label-field; there: label)" in (
        wrong.err
    )


@pytest.mark.parametrize("tool", ["label-studio", "argilla"])
def test_what_was_exported_comes_back_with_its_design(
    flames: Flames, tasks: Path, folder: Path, tool: str
) -> None:
    """The round trip: the design stays in to_label.jsonl and is joined again by row."""
    flames("gold", "export", tasks, "--to", tool, "-o", folder / "out.json")
    made = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    for item in made:
        if tool == "label-studio":
            item["annotations"] = [choice("1")]
        else:
            item["responses"] = {"label": [{"value": "1", "user_id": "u1"}]}
    write_json(folder / "done.json", made)
    ran, gold = take(flames, folder / "done.json", tool, "--tasks", tasks)
    assert ran.status == 0, ran.err
    assert [g["record_id"] for g in gold] == ["r1", "r2"]
    assert all(g["design"] == DESIGN and g["inclusion"] == 0.25 for g in gold)
    plain, gold = take(flames, folder / "done.json", tool)
    assert plain.status == 0
    assert all(g["design"] is None for g in gold)


def test_annotations_of_rows_that_were_never_tasks_are_refused(
    flames: Flames, tasks: Path, folder: Path
) -> None:
    """Their chance of being drawn isn't known."""
    file = write_json(folder / "ls.json", [studio(9, choice("3"))])
    ran, gold = take(flames, file, "label-studio", "--tasks", tasks)
    assert ran.status == 2
    assert "is none of the tasks" in ran.err
    assert not gold


def test_a_table_has_a_mark_a_row_or_a_column_an_annotator(flames: Flames, folder: Path) -> None:
    """Both layouts, with the adjudicated label beside them."""
    long, wide = folder / "long.csv", folder / "wide.csv"
    long.write_text(
        "id,model,dimension,label,who,note\n1,m,Fairness,3,li,\n1,m,Fairness,1,wang,x\n"
    )
    wide.write_text("id,model,dimension,Li,Wang,Final\n1,m,Fairness,3,1,1\n2,m,Fairness,2,,\n")
    ran, gold = take(flames, long, "table", "--annotator-field", "who")
    assert ran.status == 0, ran.err
    assert [(g["annotator"], g["label"], g["note"]) for g in gold] == [
        ("li", 3, None), ("wang", 1, "x"),
    ]  # fmt: skip
    flags = ("--label-field", "li", "--label-field", "wang", "--adjudicated-field", "final")
    ran, gold = take(flames, wide, "table", *flags)
    assert ran.status == 0, ran.err
    assert [(g["record_id"], g["annotator"], g["label"]) for g in gold] == [
        ("1", "li", 3), ("1", "wang", 1), ("1", "adjudicator", 1), ("2", "li", 2),
    ]  # fmt: skip


def test_bad_annotations_are_listed_and_nothing_is_written(flames: Flames, folder: Path) -> None:
    """Each with its line; half a gold file would be a biased one."""
    rows = [studio(1, choice("3")), studio(2, choice("maybe")), studio(3, choice("3"), model=5),
            {"data": {}}]  # fmt: skip
    file = folder / "ls.json"
    file.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")
    ran, gold = take(flames, file, "label-studio")
    assert ran.status == 2
    assert not gold
    lines = ran.err.splitlines()
    assert len(lines) == 3
    assert "ls.json:3: the label is none of 3, 2, 1" in lines[0]
    assert "ls.json:4: model" in lines[1]
    assert "ls.json:5: is no annotated task" in lines[2]


@pytest.mark.parametrize("tool", ["label-studio", "argilla", "table"])
def test_an_export_without_labels_is_one_line_and_no_file(
    flames: Flames, folder: Path, tasks: Path, tool: str
) -> None:
    """Exported too early: an empty gold file would be found out by the next command alone."""
    file, flags = folder / "out.json", ()
    if tool == "table":
        file, flags = folder / "wide.csv", ("--label-field", "li", "--label-field", "wang")
        file.write_text("id,model,dimension,Li,Wang\n1,m,Fairness,,\n")
    else:
        flames("gold", "export", tasks, "--to", tool, "-o", file)
        if tool == "label-studio":
            made = json.loads(file.read_text(encoding="utf-8"))
            write_json(file, [one | {"annotations": []} for one in made])
    ran, _ = take(flames, file, tool, *flags)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"flames-judge: {file}: holds no labels (label first, then export again)\n"
    assert not (folder / "gold.jsonl").exists()


def test_flags_that_fit_no_tool_are_refused(flames: Flames, folder: Path) -> None:
    """Several label fields and an adjudicated one are a table's."""
    file = write_json(folder / "ls.json", [studio(1, choice("3"))])
    two, _ = take(flames, file, "argilla", "--label-field", "a", "--label-field", "b")
    decided, _ = take(flames, file, "label-studio", "--adjudicated-field", "final")
    assert (two.status, decided.status) == (2, 2)
    assert "--from table" in two.err
    assert "--from table" in decided.err
