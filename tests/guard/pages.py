"""The guard's documents as tests read them: docs/guard.md, its reference, their Chinese twins."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = ("guard", "guard-reference")
LANGUAGES = ("", ".zh")
Table = list[list[str]]


def page(name: str, language: str) -> str:
    """One document."""
    return (ROOT / "docs" / f"{name}{language}.md").read_text(encoding="utf-8")


def text_of(language: str) -> str:
    """All of them in a language."""
    return "\n".join(page(name, language) for name in PAGES)


def blocks(text: str, kind: str) -> list[str]:
    """The fenced blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def named(text: str) -> list[str]:
    """What stands in backticks there, outside blocks."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", " ".join(text.split()))


def tables(text: str) -> list[Table]:
    """The cells of each table's rows, without its heading."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split("|")] for row in table.split("\n")[2:-1]]
        for table in found
    ]


def table(language: str, first: str) -> Table:
    """The one table whose first cell is this."""
    (found,) = [one for one in tables(text_of(language)) if one[0][0] == first]
    return found


def defaults(cell: str, n: int) -> list[str]:
    """The defaults that a cell holds for its row's names: one each, "" where there is none."""
    return (
        [one.strip() for one in re.split(r",(?![^{]*\})", cell)] if n > 1 and cell else [cell] * n
    )
