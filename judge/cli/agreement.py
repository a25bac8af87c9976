"""`flames-judge agreement`: how far the people agree whose labels are gold."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from judge.cli import options as o

if TYPE_CHECKING:
    from judge.gold import GoldRow, RowKey
    from judge.gold.texts import Texts
    from judge.rubric import Rubrics


def agreement(
    gold: Annotated[Path, typer.Argument(metavar="GOLD", help="People's labels: gold.jsonl.")],
    run: Annotated[
        Path | None,
        typer.Option(help="The run, or the file of answers, that was labelled: for its texts."),
    ] = None,
    show: Annotated[
        int, typer.Option(min=0, metavar="N", help="Print the N rows on which they differ most.")
    ] = 0,
    confidence: o.Confidence = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals' draws.")] = 0,
    rubrics: o.RubricsOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show how far annotators agree.

    Before adjudication: kappa, alpha and confusion, with intervals.
    """
    import numpy as np
    from rich.console import Console

    from judge.gold import read_gold, rows_of
    from judge.gold.agreement import agreement, widest
    from judge.render_agreement import show_agreement, show_rows
    from judge.rubric import load_rubrics
    from judge.stats.agreement import Draws

    loaded = load_rubrics(rubrics)
    rows = rows_of(read_gold(gold, loaded))
    texts = {} if run is None else _texts(run, rows, loaded)
    draws = Draws(np.random.default_rng(seed), confidence)

    def part(key: RowKey) -> str | None:
        return texts[key].subcomponent if key in texts else None

    found = agreement(rows, loaded, draws, part)
    worst = widest(rows, show)
    if json:
        told = found.model_dump(mode="json") | {"widest": [_shown(row, texts) for row in worst]}
        print(json_module.dumps(told, ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False)
    show_agreement(found, console)
    if worst:
        show_rows(worst, texts, console)
    if worst and run is None:
        print("flames-judge: give --run to see the texts of these rows", file=sys.stderr)


def _texts(run: Path, rows: Sequence[GoldRow], rubrics: Rubrics) -> Mapping[RowKey, Texts]:
    """The texts of the gold's rows; says which rows have none.

    Raises:
        InputError: the run can't be read, or has none of the rows.
    """
    from judge.errors import InputError
    from judge.gold import locate

    keys = [row.key for row in rows]
    located = locate(keys, _all_texts(run, keys, rubrics))
    if keys and not located.found:
        mend = "is it the run whose rows were labelled?"
        raise InputError("has none of the gold's rows", file=run, mend=mend)
    missing = (*located.unknown, *located.ambiguous)
    if missing:
        from judge.text import visible

        told = f"{len(missing):,} rows of the gold are not in {run}, as {missing[0].record_id}"
        print(f"flames-judge: {visible(told)}", file=sys.stderr)
    return located.found


def _all_texts(run: Path, keys: Sequence[RowKey], rubrics: Rubrics) -> dict[RowKey, Texts]:
    from judge.gold.texts import texts_of_log, texts_of_records
    from judge.readers import ReadOptions, read_records
    from judge.records import Record
    from judge.runlog import read_log

    log = run / "verdicts.jsonl" if run.is_dir() else run
    if log.name == "verdicts.jsonl":
        return texts_of_log(read_log(log), keys)
    rows = read_records([run], ReadOptions(rubrics=rubrics))
    return texts_of_records((row for row in rows if isinstance(row, Record)), keys)


def _shown(row: GoldRow, texts: Mapping[RowKey, Texts]) -> dict[str, Any]:
    what = texts.get(row.key)
    return {
        **row.key._asdict(),
        "marks": dict(row.first_marks),
        "adjudicated": row.adjudicated,
        **({} if what is None else what._asdict()),
    }
