"""Which of the gold's rows the runs have, and whether they are the same answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from judge.comparison.runs import JudgeRun
from judge.errors import InputError
from judge.gold.model import GoldError, RowKey
from judge.gold.rows import GoldRow, locate
from judge.judged import frame_of
from judge.strata import Joined, weigh

Place = Mapping[RowKey, RowKey]  # a gold row's key -> the run's


def places_of(runs: Sequence[JudgeRun], rows: Sequence[GoldRow]) -> list[Place]:
    """Where each run has the gold's rows.

    Raises:
        GoldError: a row is in no run, or could be several models'.
    """
    keys = [row.key for row in rows]
    located = [locate(keys, {key: key for key in run.rows}) for run in runs]
    for run, found in zip(runs, located, strict=True):
        if found.ambiguous:
            raise GoldError(
                f"{len(found.ambiguous)} of the gold's rows name no model, and several models have"
                f" them in {run.source}: the first is {found.ambiguous[0].record_id!r}",
                row=found.ambiguous[0],
                mend="give the gold's rows their `model`",
            )
    nowhere = [key for key in keys if not any(key in found.found for found in located)]
    if nowhere:
        raise GoldError(
            f"{len(nowhere)} of the gold's rows are in none of the runs: the first is"
            f" {nowhere[0].record_id!r} of model {nowhere[0].model!r} in {nowhere[0].dimension}",
            row=nowhere[0],
            mend="give the runs that were labelled, or judge those rows",
        )
    return [found.found for found in located]


def shared(
    runs: Sequence[JudgeRun], rows: Sequence[GoldRow], places: Sequence[Place]
) -> list[GoldRow]:
    """The labelled rows that every run has.

    Raises:
        GoldError: no row has a label.
        InputError: there is none, or two runs judged different texts under one id.
    """
    labelled = [row for row in rows if row.consensus.label is not None]
    if not labelled:
        raise GoldError("no row of it has a label", mend="label some rows first")
    found = [row for row in labelled if all(row.key in place for place in places)]
    if not found:
        counts = [sum(row.key in place for row in labelled) for place in places]
        told = ", ".join(f"{n} in {run.source}" for run, n in zip(runs, counts, strict=True))
        raise InputError(
            f"the runs share no labelled row: of {len(labelled)} there are {told}",
            mend="judge the same answers by every judge",
        )
    for row in found:
        _same_text(runs, row, places)
    return found


def _same_text(runs: Sequence[JudgeRun], row: GoldRow, places: Sequence[Place]) -> None:
    """Rows of equal ids may be about other answers: the runs' hashes of them tell."""
    told: dict[str, JudgeRun] = {}
    for run, place in zip(runs, places, strict=True):
        content = run.rows[place[row.key]].content
        if content is not None and run.spent[place[row.key]].texts:
            told.setdefault(content, run)
    if len(told) > 1:
        first, second, *_ = told.values()
        raise InputError(
            f"{row.key.record_id!r} in {row.key.dimension} is another text than in {first.source}",
            file=second.source,
            mend="compare judges of the same answers, with the same --thinking",
        )


def refuse_picked(
    runs: Sequence[JudgeRun], rows: Sequence[GoldRow], places: Sequence[Place]
) -> None:
    """Refuse gold of unknown design that has another mix of verdicts than one of the runs.

    Raises:
        GoldError: it was picked by verdict, and no inclusion probabilities say how.
    """
    for run, place in zip(runs, places, strict=True):
        frame = frame_of(run.rows)
        for name in dict.fromkeys(row.key.dimension for row in rows):
            mine = [row for row in rows if row.key.dimension == name and row.key in place]
            if any(row.design.name != "external" or row.inclusion for row in mine) or not mine:
                continue
            joined = [
                Joined(run.rows[place[row.key]], row.consensus.label, row.design, row.inclusion)
                for row in mine
            ]
            weigh(name, [r for r in run.rows.values() if r.key.dimension == name], joined, frame)
