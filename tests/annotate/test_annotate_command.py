"""`flames-judge annotate` as a user runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from guard.cli import main
from judge.annotate.items import read_items
from judge.annotate.marks import Annotator, GiveLabel
from judge.annotate.store import Store
from tests.annotate.conftest import ticking
from tests.annotate.rows import to_label, write_rows
from tests.cases import rubrics


@pytest.fixture
def rows(folder: Path) -> Path:
    """A file to label, in the working directory."""
    return write_rows(folder / "to_label.jsonl", *to_label())


def flames(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["flames-judge", *map(str, args)])
    try:
        main()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    return 0


def test_each_annotator_gets_a_link_and_ctrl_c_ends_it(rows: Path) -> None:
    """The links work at once, each for its own annotator; nothing is lost at the end."""
    code = "import guard.cli; guard.cli.main()"
    names = ["--annotator", "李", "--annotator", "wang"]
    command = [sys.executable, "-c", code, "annotate", str(rows), *names]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3)]
        found = dict(line.strip().split(": ", 1) for line in told[:2])
        assert list(found) == ["李", "wang"]
        for name, link in found.items():
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/t/[\w-]{43}/", link)
            assert httpx.get(f"{link}api/queue").json()["annotator"] == name
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (0, "ended; every mark is saved\n")
    assert "3 rows" in told[2]
    assert rows.with_name("to_label.annotations.sqlite").exists()


def test_gold_is_exported_without_a_browser(
    rows: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One command writes what has been marked so far, to a file or to standard output."""
    with Store.open(str(rows.with_name("to_label.annotations.sqlite"))) as store:
        first = next(iter(store.register(read_items(rows, rubrics()))))
        store.add(first, Annotator("李"), GiveLabel(label=1), ticking()())
    assert flames(monkeypatch, "annotate", rows, "--export", "gold.jsonl") == 0
    assert capfd.readouterr().out == "gold.jsonl: 1 marks on 3 rows\n"
    line: dict[str, Any] = json.loads(Path("gold.jsonl").read_text(encoding="utf-8"))
    assert line == {
        "format": 1,
        "record_id": "hostile",
        "model": "m",
        "dimension": "Fairness",
        "label": 1,
        "annotator": "李",
        "at": "2026-01-02T03:04:05+00:00",
        "note": None,
        "design": to_label()[1]["design"],
        "inclusion": 1.0,
    }
    assert flames(monkeypatch, "annotate", rows, "--export", "-") == 0
    assert json.loads(capfd.readouterr().out) == line


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ([], "--annotator: is missing"),
        (["--export", "gold.jsonl"], "holds no marks"),
        (["--annotator", " "], "not a name"),
        (["--annotator", "a\nb"], "not a name"),
        (["--annotator", "a\u202eb"], "not a name"),
        (["--annotator", "x" * 65], "longer"),
        (["--annotator", "Adjudicator: me"], "no annotator's name"),
        (["--annotator", "a", "--annotator", "a"], "twice"),
        (["--annotator", "a", "--host", "192.0.2.1"], "can't listen"),
        (["--annotator", "a", "--host", "[2001:db8::1]"], "2001:db8::1:0: can't listen"),
        (["--annotator", "a", "--database", "mysql://h/d"], "neither SQLite nor PostgreSQL"),
    ],
)
def test_what_cannot_be_is_one_line(
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    args: list[str],
    problem: str,
) -> None:
    """Exit status 2 and a mend, before anything is served."""
    assert flames(monkeypatch, "annotate", rows, *args) == 2
    told = capfd.readouterr()
    assert problem in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
