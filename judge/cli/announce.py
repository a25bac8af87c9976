"""What a run will take, said before any call: rows, tokens, money."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from judge.cli.score_plan import Asking, Input
from judge.forecast import Forecast, cost_range, forecast
from judge.records import BadRow, Record
from judge.rubric import Rubrics


def announce(asking: Asking, rubrics: Rubrics, rows: Iterable[Record | BadRow]) -> int:
    """Say what judging these rows will take, before any call; gives their number."""
    found = forecast(rows, rubrics)
    calls, models = asking.llm.samples, asking.models
    told = f"{found.rows:,} rows to judge" + (
        f", {found.bad:,} that can't be read" if found.bad else ""
    )
    if not models:
        told += "; the embedded judge makes no call"
    for model in models:
        told += (
            f"; {model}: about {found.prompt * calls:,} prompt tokens ({found.static * calls:,} of "
            f"them the same in every row of a dimension), {found.completion * calls:,} of answers"
            f", {_cost(asking, model, found)}"
        )
    print(f"flames-judge: {told}", file=sys.stderr)
    return found.rows + found.bad


def line_count(given: Input) -> int | None:
    """About how many rows there are, by the line ends; None where lines are not rows."""
    if not all(file.endswith((".jsonl", ".ndjson")) for file in given.files):
        return None
    count = 0
    for file in given.files:
        with Path(file).open("rb") as lines:
            while block := lines.read(1 << 20):
                count += block.count(b"\n")
    return count if given.limit is None else min(count, given.limit)


def _cost(asking: Asking, model: str, found: Forecast) -> str:
    from judge.llm.price import price_of

    price = price_of(asking.provider.model(model))
    if price is None:
        return "price unknown (see --price)"
    calls = asking.llm.samples
    low, high = cost_range(found, price.prompt, price.cached, price.completion)
    return f"{low * calls:.4f} to {high * calls:.4f} USD"
