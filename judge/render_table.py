"""The terminal's vocabulary: lines, tables, figures with their intervals.

Names come from files and may hold anything: they go through `plain` and are never read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from judge.stats.estimate import Estimate, Figure
from judge.text import visible

Form = Callable[[float], str]
Row = tuple[str, ...]
NONE = "-"
GAP = "  "
LEAST = 12  # columns that a text gets on the narrowest console
WIDEST = 1000


def plain(text: str) -> str:
    """A text from outside on one line, with control, bidi and hidden characters written out."""
    return " ".join(visible(text).split())


def percent(rate: float) -> str:
    """A rate as the published board prints it: 0.4538 -> 45.38."""
    return f"{100 * rate:.2f}"


def points(score: float) -> str:
    """A score as the published board prints it: 79.78 -> 79.8."""
    return f"{score:.1f}"


def say(console: Console, text: str, style: str = "") -> None:
    """Print one line, never read as markup."""
    console.print(Text(text, style), highlight=False)


def print_table(console: Console, headings: Row, rows: Sequence[Row], left: int = 1) -> None:
    """Print a table: texts (the `left` first columns) fold to the console's width, numbers never.

    A console that is too narrow for the numbers gets longer lines rather than lost digits.
    """
    widths = [max(map(_width, column)) for column in zip(headings, *rows, strict=True)]
    room = console.width - sum(width + len(GAP) for width in widths[left:])
    for place in range(left):
        later = (left - 1 - place) * (LEAST + len(GAP))
        widths[place] = min(widths[place], max(room - later, LEAST))
        room -= widths[place] + len(GAP)
    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    for place, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        side: JustifyMethod = "left" if place < left else "right"
        table.add_column(heading, justify=side, overflow="fold", width=width)
    for row in rows:
        table.add_row(*map(Text, row))
    options = console.options.update(width=WIDEST)
    console.print(Segments(console.render(table, options)), end="", crop=False)


def _width(cell: str) -> int:
    return max(map(cell_len, cell.split("\n")))


def figure_text(figure: Figure, form: Form, gap: str = "\n") -> str:
    """A figure with its interval, or a dash."""
    if not isinstance(figure, Estimate):
        return NONE
    return form(figure.value) + gap + range_text((figure.low, figure.high), form)


def range_text(ends: tuple[float, float] | None, form: Form) -> str:
    """An interval in brackets, or a dash."""
    return NONE if ends is None else f"[{form(ends[0])}, {form(ends[1])}]"
