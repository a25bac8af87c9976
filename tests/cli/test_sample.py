"""`flames-judge sample` and `plan`: which rows to label, and how many."""

from __future__ import annotations

import json
import os

import pytest

from tests.cli.conftest import rows_of
from tests.judged_run import judged, verdict, write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "a.flames", judged(300, 0.7, (0.1, 0.1))[0])


def test_a_sample_holds_what_an_annotator_needs_and_no_verdict(flames, run, tmp_path):
    """Texts, design and chance of each row; nothing that tells what the judge said."""
    done = flames("sample", run, "-n", 50, "-o", tmp_path / "to_label.jsonl")
    assert done.status == 0
    assert "50 of 300 rows are to be labelled" in done.err
    assert "Legality: 50" in done.err
    rows = rows_of(tmp_path / "to_label.jsonl")
    assert len(rows) == 50
    for row in rows:
        assert row["prompt"] == f"问题 {row['record_id']}"
        assert row["response"] == f"回答 {row['record_id']}"
        assert row["format"] == row["draw"] == 1
        assert 0 < row["inclusion"] <= 1
        assert set(row["design"]) == {"name", "frame_n", "frame_sha256", "stratum", "seed"}
        assert not {"label", "harmless", "p_harmless", "judge", "reason"} & set(row)


def test_a_run_folder_and_its_log_are_the_same_run(flames, run, tmp_path):
    """And the same seed draws the same rows."""
    flames("sample", run, "-n", 20, "-o", tmp_path / "a.jsonl", "--seed", 4)
    flames("sample", run / "verdicts.jsonl", "-n", 20, "-o", tmp_path / "b.jsonl", "--seed", 4)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_a_sample_is_extended_without_repeating_a_row(flames, run, tmp_path):
    """The first rows stay, new ones are marked, and all chances are those of the whole."""
    first, both = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    flames("sample", run, "-n", 20, "-o", first, "--seed", 9)
    done = flames("sample", run, "-n", 30, "--extend", first, "-o", both)
    assert done.status == 0
    old, new = rows_of(first), rows_of(both)
    assert [row["record_id"] for row in new[:20]] == [row["record_id"] for row in old]
    assert len({row["record_id"] for row in new}) == 50
    assert [row["draw"] for row in new] == [1] * 20 + [2] * 30
    assert new[0]["inclusion"] > old[0]["inclusion"]


def test_a_sample_takes_no_other_files_place(flames, run, tmp_path):
    """Labels, a run's log, a sample labelled by hand: hours of work, lost by a wrong name."""
    out = tmp_path / "to_label.jsonl"
    again = ("sample", run, "-o", out, "-n")
    assert flames(*again, 20).status == 0
    assert flames(*again, 30).status == 0  # another draw takes the place of the last
    assert flames(*again, 10, "--extend", out).status == 0
    *rows, last = rows_of(out)
    assert len(rows) == 39
    gold = {name: last[name] for name in ("record_id", "model", "dimension", "design", "inclusion")}
    for text in (
        json.dumps(gold | {"label": 1}) + "\n",
        "".join(json.dumps(row) + "\n" for row in (*rows, last | {"label": 1})),
        (run / "verdicts.jsonl").read_text(encoding="utf-8"),
        "[" * 10_000 + "\n",
        "notes\n",
        "\0",
    ):
        out.write_text(text, encoding="utf-8")
        done = flames(*again, 20)
        assert (done.status, done.out) == (2, "")
        told = f"{out}: exists already, and is no sample (give another -o)"
        assert done.err == f"flames-judge: {told}\n"
        assert out.read_text(encoding="utf-8") == text
    out.write_bytes(b"")
    assert flames(*again, 20).status == 0
    out.unlink()
    os.mkfifo(out)
    assert "is no sample" in flames(*again, 20).err
    assert out.is_fifo()
    done = flames("sample", run, "-n", 20, "-o", tmp_path)
    assert (done.status, "is a folder" in done.err) == (2, True)


def test_hopeless_samples_are_one_line(flames, run, tmp_path):
    """No run, a run without texts, a sample of another run, a file that is none."""
    out = tmp_path / "o.jsonl"
    bare = write_run(tmp_path / "bare", [verdict("a") | {"prompt": None, "response": None}])
    other = write_run(tmp_path / "other", judged(100, 0.5, (0.1, 0.1))[0])
    flames("sample", other, "-n", 10, "-o", tmp_path / "s.jsonl")
    (tmp_path / "junk.jsonl").write_text("{}\n")
    for arguments, told in (
        ((tmp_path / "nothing", "-n", 5), "no such run"),
        ((bare, "-n", 1), "the run holds hashes instead of texts"),
        ((run, "-n", 5, "--extend", tmp_path / "s.jsonl"), "was not drawn from these rows"),
        (
            (run, "-n", 5, "--extend", tmp_path / "junk.jsonl"),
            "junk.jsonl:1: has no `record_id` (a line",
        ),
    ):
        done = flames("sample", *arguments, "-o", out)
        assert done.status == 2
        assert told in done.err
        assert len(done.err.splitlines()) == 1
    assert not out.exists()


def test_a_plan_prints_the_labels_and_the_whole_promise_table(flames, run):
    """Without a run the benchmark's sizes; unreachable where no number of labels helps."""
    done = flames("plan")
    assert done.status == 0
    flat = " ".join(done.out.split())
    assert "Legality 46 70 35 unreachable" in flat
    assert "Legality: unreachable: 46 answers" in flat
    assert "0 59 197" in flat
    content = flames("plan", run, "--json", "--misses", 4, "--joint", "--half-width", 0.08).json
    assert [row["misses"] for row in content["promise"]["table"]] == [0, 1, 2, 3, 4]
    assert content["promise"]["table"][0]["harmful"] == 90
    (rate,) = content["rates"]
    assert (rate["dimension"], rate["n"]) == ("Legality", 300)
    assert 0 < rate["labels_run"] < rate["labels_population"] <= 300


def test_a_plan_with_a_bad_promise_is_one_line(flames):
    """A share over 1, a word, an unknown name."""
    for text in ("miss_rate=2", "miss_rate=few", "recall=0.9", "0.05"):
        done = flames("plan", "--promise", text)
        assert done.status == 2
        assert "is no promise (write it as in miss_rate=0.05,confidence=0.95)" in done.err


def test_a_first_calibration_sends_labels_where_the_errors_are(flames, tmp_path):
    """The judge errs on its harmless verdicts alone: there the next labels go."""
    lines = [verdict(f"r{n}", 3 if n < 200 else 1) for n in range(400)]
    run = write_run(tmp_path / "run", lines)
    flames("sample", run, "-n", 100, "-o", tmp_path / "a.jsonl")
    gold = tmp_path / "gold.jsonl"
    with gold.open("w", encoding="utf-8") as file:
        for task in rows_of(tmp_path / "a.jsonl"):
            number = int(task["record_id"][1:])
            label = 3 if number < 200 and number % 3 else 1
            kept = {
                name: task[name]
                for name in ("record_id", "model", "dimension", "design", "inclusion")
            }
            file.write(json.dumps(kept | {"label": label, "annotator": "a"}) + "\n")
    calibration = tmp_path / "c.json"
    assert flames("calibrate", run, "--gold", gold, "-o", calibration).status == 0
    flames("sample", run, "-n", 100, "-o", tmp_path / "b.jsonl", "--calibration", calibration)
    passed = sum(int(row["record_id"][1:]) < 200 for row in rows_of(tmp_path / "b.jsonl"))
    assert passed > 70
