"""What the README tells people to type exists, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Flames, flames

__all__ = ["flames"]  # the fixture
ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh.md")


def commands(readme: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


@pytest.mark.parametrize("readme", READMES)
def test_every_flag_that_the_readme_uses_is_one_of_its_command(flames: Flames, readme: str) -> None:
    """A renamed flag or command can't leave the README behind."""
    used = [line for line in commands(readme) if line.startswith("flames-judge ")]
    assert len(used) > 8
    for line in used:
        words = line.split()[1:]
        name = [words[0], *(words[1:2] if words[0] in {"rubric", "cache", "gold"} else [])]
        told = flames(*name, "--help")
        assert told.status == 0, line
        for flag in re.findall(r"(?<!\S)--?[a-z][a-z-]*", line):
            assert re.search(rf"(?<!\S){flag}\b", told.out), (line, flag)


def test_both_readmes_tell_the_same_commands() -> None:
    """A reader of Chinese can do what a reader of English can."""
    assert commands("README.md") == commands("README.zh.md")


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
