"""`flames-judge sample`: draw the rows that people should label."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from judge.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from judge.judged import JudgedRow
    from judge.sampling import DrawnTask, Pick, Sample, Spread


class DesignName(StrEnum):
    """How rows are drawn."""

    STRATIFIED = "stratified"
    SIMPLE = "simple"


class Wanted(StrEnum):
    """The figure that the labels are for."""

    RATE = "rate"
    OVERALL = "overall"
    PROMISE = "promise"


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or its verdicts.jsonl.")],
    n: Annotated[
        int, typer.Option("-n", min=1, help="Rows to label; with --extend, so many more.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: to_label.jsonl.")],
    design: Annotated[
        DesignName,
        typer.Option(help="By dimension, verdict and model; or simple random over all rows."),
    ] = DesignName.STRATIFIED,
    wanted: Annotated[
        Wanted,
        typer.Option(
            "--for",
            help="rate: each dimension's; overall: their mean; promise: evenly, one a prompt.",
        ),
    ] = Wanted.RATE,
    seed: Annotated[int | None, typer.Option(help="Of the draw; 0 without it.")] = None,
    extend: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A sample of this run to go on from.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A first calibration: labels go where it found errors.")
    ] = None,
) -> None:
    """Draw rows for people to label.

    Their labels correct the judge's figures.
    """
    from judge.cli.at_fault import naming
    from judge.cli.run_log import log_of, rows_of_log
    from judge.gold import task_lines, write_lines
    from judge.sampling import SamplePlan, draw

    _check_out(out)
    log = log_of(run)
    rows = rows_of_log(log)
    before = [] if extend is None else _sample_before(extend)
    plan = SamplePlan(
        n=n,
        seed=_seed(seed, before),
        design="simple" if design is DesignName.SIMPLE else "stratified",
        purpose=wanted.value,
        spread=_spread(calibration, rows.values()),
    )
    with naming(extend):
        found = draw(rows.values(), plan, before)
    write_lines(out, task_lines(_tasks(log, found)))
    for line in _told(found, len(rows), out):
        print(line, file=sys.stderr)


def _check_out(file: Path) -> None:
    """Refuse to write over what isn't a sample, or was labelled by hand.

    Raises:
        InputError: there is such a file.
    """
    from judge.errors import InputError

    try:
        other = file.exists() and not file.is_dir() and not _is_sample(file)
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=file) from None
    if other:
        raise InputError("exists already, and is no sample", file=file, mend="give another -o")


def _is_sample(file: Path) -> bool:
    """Whether it is a file, each line of which is a task as it was drawn."""
    from pydantic_core import from_json

    from judge.sampling import DrawnTask

    def drawn(line: bytes) -> bool:
        try:
            row = from_json(line)
        except ValueError:
            return False
        return isinstance(row, dict) and row.keys() == DrawnTask.model_fields.keys()

    if not file.is_file():
        return False
    with file.open("rb") as lines:
        return all(map(drawn, lines))


def _seed(seed: int | None, before: list[DrawnTask]) -> int:
    drawn = before[0].drawn_by.seed if before else None
    return seed if seed is not None else drawn or 0


def _sample_before(file: Path) -> list[DrawnTask]:
    from judge.gold.files import parsed, table_rows
    from judge.sampling import DrawnTask

    rows = table_rows(file, (("record_id",),))
    return [parsed(DrawnTask, row, file, line) for line, row in rows]


def _spread(calibration: Path | None, rows: Iterable[JudgedRow]) -> Spread:
    from judge.sampling import assumed_spread

    if calibration is None:
        return assumed_spread
    from judge.cli.corrected import calibration_of
    from judge.planning import known_spread

    return known_spread(calibration_of(calibration, rows))


def _tasks(log: Path, found: Sample) -> Iterator[DrawnTask]:
    """The drawn rows with their texts."""
    from judge.errors import InputError
    from judge.gold import RowKey
    from judge.runlog import Entry, read_log

    wanted = {pick.key for pick in found.picks}
    texts: dict[RowKey, Entry] = {}
    for entry in read_log(log):
        key = RowKey(entry.model, entry.record_id, entry.dimension)
        if key in wanted:
            texts[key] = entry
    for pick in found.picks:
        entry = texts[pick.key]
        if entry.response is None:
            raise InputError(
                "the run holds hashes instead of texts (--no-texts): there is nothing to label",
                file=log,
                mend="score again without --no-texts",
            )
        yield _task(pick, entry.subcomponent, (entry.prompt, entry.response))


def _task(pick: Pick, subcomponent: str | None, texts: tuple[str | None, str]) -> DrawnTask:
    from judge.sampling import DrawnTask

    return DrawnTask(
        record_id=pick.key.record_id,
        model=pick.key.model,
        dimension=pick.key.dimension,
        design=pick.design,
        inclusion=pick.inclusion,
        subcomponent=subcomponent,
        prompt=texts[0],
        response=texts[1],
        draw=pick.draw,
    )


def _told(found: Sample, rows: int, out: Path) -> Iterator[str]:
    """How many rows were drawn, for what."""
    cells = Counter((pick.key.dimension, pick.key.model) for pick in found.picks)
    many = len({model for _, model in cells}) > 1
    draws = max((pick.design.draws for pick in found.picks), default=1)
    told = f" ({draws} draws; the reports will say so)" if draws > 1 else ""
    yield f"flames-judge: {out}: {len(found.picks):,} of {rows:,} rows are to be labelled{told}"
    for (dimension, model), count in sorted(cells.items(), key=str):
        yield visible(f"  {dimension}{f', {model}' if many else ''}: {count:,}")
