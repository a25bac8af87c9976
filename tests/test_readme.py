"""What the README tells people to type exists, in both languages."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests import warm
from tests.benchmarks.corrected_rates import DRAWS, all_draws, cases, first_draw
from tests.cli.conftest import Flames, flames, rows_of

__all__ = ["flames"]  # the fixture
ROOT = Path(__file__).parent.parent
GROUPS = ("rubric", "cache", "gold", "guard", "keys")
READMES = ("README.md", "README.zh.md")


def blocks(readme: str, kind: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands_of(block: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


def commands(readme: str) -> list[str]:
    return [command for block in blocks(readme, "sh") for command in commands_of(block)]


@pytest.mark.parametrize("readme", READMES)
def test_every_flag_that_the_readme_uses_is_one_of_its_command(flames: Flames, readme: str) -> None:
    """A renamed flag or command can't leave the README behind."""
    used = [line for line in commands(readme) if line.startswith("flames-judge ")]
    assert len(used) > 8
    for line in used:
        words = line.split()[1:]
        name = [
            words[0],
            *(words[1:2] if words[0] in {"rubric", "cache", "gold", "guard", "keys"} else []),
        ]
        told = flames(*name, "--help")
        assert told.status == 0, line
        for flag in re.findall(r"(?<!\S)--?[a-z][a-z-]*", line):
            assert re.search(rf"(?<!\S){flag}\b", told.out), (line, flag)


def test_both_readmes_tell_the_same_commands() -> None:
    """A reader of Chinese can do what a reader of English can."""
    assert commands("README.md") == commands("README.zh.md")


def test_the_examples_commands_name_files_that_are_there() -> None:
    """Typed in the folder above the examples, as their page says."""
    words = [word for line in commands("examples/README.md") for word in line.split()]
    files = [word for word in words if word.endswith((".py", ".yaml"))]
    assert len(files) > 4
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("readme", READMES)
def test_the_two_lines_of_set_up_stand_first(readme: str) -> None:
    """The first block installs and scores, the second installs what developers need and tests."""
    assert commands(readme)[:4] == [
        "pip install .",
        "flames-judge score examples/responses.jsonl",
        "pip install -e '.[dev]'",
        "pytest",
    ]


@pytest.mark.parametrize("readme", READMES)
def test_the_trust_figures_are_those_of_the_shipped_card(readme: str) -> None:
    """The table of the embedded scorer is what its measurement wrote down."""
    import json

    card = json.loads((ROOT / "judge/embedded/weights/card.json").read_text(encoding="utf-8"))
    text = (ROOT / readme).read_text(encoding="utf-8")
    for group in ("jade", "xstest"):
        found = card["figures"]["stance"][group]
        assert f"{100 * found['decided']:.1f} / {100 * found['right']:.1f}" in text


def corrected_path(readme: str) -> list[str]:
    """The block that leads from answers to a corrected figure."""
    (block,) = (block for block in blocks(readme, "sh") if "--calibration" in block)
    return commands_of(block)


SAID = {"li": ("不能", "不应", "不要", "违法", "尊重", "抱歉", "无法"),
        "wang": ("不能", "不应", "不要", "违法", "尊重", "抱歉")}  # fmt: skip


def label_in_the_browser(command: str) -> None:
    """Run `annotate`, and label every row through each annotator's link as the page does.

    An answer that holds one of the annotator's words is a 3, any other a 1.
    """
    run = "import guard.cli; guard.cli.main()"
    argv = warm.python(run, *shlex.split(command)[1:])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        for _ in SAID:
            name, link = process.stdout.readline().strip().split(": ", 1)
            header = {"x-flames-token": link.split("/")[-2]}
            with httpx.Client(base_url=link, headers=header) as page:
                for row in page.get("api/queue").json()["items"]:
                    place = f"api/items/{row['id']}"
                    pieces = page.get(place).json()["response"]
                    answer = "".join(piece.get("text", "") for piece in pieces)
                    label = 3 if any(word in answer for word in SAID[name]) else 1
                    mark = {"kind": "label", "label": label}
                    assert page.post(f"{place}/marks", json=mark).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("readme", READMES)
def test_the_way_to_a_corrected_figure_is_six_commands(readme: str) -> None:
    """One to judge, two to draw and label, two to export and calibrate, one to report."""
    names = [shlex.split(command)[1] for command in corrected_path(readme)]
    assert names == ["score", "sample", "annotate", "annotate", "calibrate", "summarize"]


def test_the_way_to_a_corrected_figure_runs_and_prints_the_readmes_figures(
    flames: Flames, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's own commands, as they stand there, with a script at the annotators' page."""
    monkeypatch.setenv("COLUMNS", "80")
    shutil.copytree(ROOT / "examples", folder / "examples")
    for command in corrected_path("README.md"):
        words = shlex.split(command)
        if words[1] == "annotate" and "--export" not in words:
            label_in_the_browser(command)
            continue
        ran = flames(*words[1:])
        assert ran.status == 0, (command, ran.err)
    assert len(rows_of(folder / "gold.jsonl")) == 240
    printed = [line.rstrip() for line in ran.out.splitlines()]
    for readme in READMES:
        (shown,) = blocks(readme, "text")
        places = [printed.index(line.rstrip()) for line in shown.splitlines()]
        assert places == sorted(places)


@pytest.mark.parametrize("readme", READMES)
def test_the_corrected_rates_are_those_that_peoples_labels_give(readme: str) -> None:
    """The README's table of real judges beside real people, but for its many draws."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    for name, known in cases().items():
        assert f" | {first_draw(known)} | " in text, name


@pytest.mark.slow
def test_the_corrected_rates_hold_as_often_as_the_readme_says() -> None:
    """The rest of that table: 500 draws of each."""
    told = {name: f"{first_draw(known)} | {all_draws(known, DRAWS)} |"
            for name, known in cases().items()}  # fmt: skip
    for readme in READMES:
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert all(cells in text for cells in told.values())
