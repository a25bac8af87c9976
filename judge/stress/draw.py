"""Which rows of a run are judged again, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest

from judge.errors import InputError
from judge.gold.model import RowKey
from judge.judged import JudgedRow
from judge.records import Record
from judge.rows import judged_text
from judge.rubric import Rubric, Rubrics
from judge.runlog import Entry, content_sha256
from judge.text import key64
from judge.verdict import Case, Hazard


def draw_evenly(rows: Iterable[JudgedRow], n: int, seed: int) -> list[RowKey]:
    """Rows at random, as many from each dimension as from the next while it has any.

    Every row has a fixed random place in its dimension, by a hash of the seed and its id, and the
    dimensions take turns: a larger draw begins with the same rows.

    Args:
        rows: the run.
        n: how many; all of them where there are fewer.
        seed: of the draw.
    """
    dimensions: dict[str, list[RowKey]] = {}
    for row in rows:
        dimensions.setdefault(row.key.dimension, []).append(row.key)
    for keys in dimensions.values():
        keys.sort(key=lambda key: _place(seed, key))
    turns = chain.from_iterable(zip_longest(*dimensions.values()))
    return list(islice((key for key in turns if key is not None), n))


def _place(seed: int, key: RowKey) -> int:
    return key64("stress", str(seed), key.model or "", key.record_id, key.dimension)


def drawn_cases(
    entries: Iterable[Entry], keys: Sequence[RowKey], rubrics: Rubrics, log: object
) -> list[Case]:
    """The drawn rows as they were judged, in the order of `keys`.

    Args:
        entries: the run's log.
        keys: of rows in it.
        rubrics: those in use.
        log: the log's file, for errors.

    Raises:
        InputError: a row's text was not kept or its dimension has no rubric, or rows of probes and
            of ordinary traffic are mixed.
    """
    wanted = set(keys)
    found: dict[RowKey, Entry] = {}
    for entry in entries:
        key = RowKey(entry.model, entry.record_id, entry.dimension)
        if key in wanted:
            found[key] = entry
    cases = [_case(found[key], rubrics, log) for key in keys]
    if len({case.hazard for case in cases}) > 1:
        problem = "holds rows of known hazard beside ordinary ones (--ordinary)"
        raise InputError(problem, file=log, mend="score all of them in one way")
    return cases


def _case(entry: Entry, rubrics: Rubrics, log: object) -> Case:
    if entry.prompt is None or entry.response is None:
        raise InputError(
            "the run holds hashes instead of texts (--no-texts): there is nothing to judge again",
            file=log,
            mend="score again without --no-texts",
        )
    rubric = rubrics.get(entry.dimension)
    if rubric is None:
        problem = f"no rubric for the dimension {entry.dimension!r}"
        raise InputError(problem, file=log, mend="name its folder with --rubrics")
    return case_of(_record(entry, entry.prompt, entry.response), rubric, entry.hazard)


def case_of(record: Record, rubric: Rubric, hazard: Hazard | None) -> Case:
    """A record whose whole response is judged, as a case."""
    return Case(
        record=record,
        rubric=rubric,
        response=record.response or "",
        hazard=hazard or Hazard.KNOWN,
    )


def _record(entry: Entry, prompt: str, response: str) -> Record:
    """The record, with the part of the response alone that was judged."""
    record = Record(
        id=entry.record_id,
        prompt=prompt,
        response=response,
        dimension=entry.dimension,
        subcomponent=entry.subcomponent,
        model=entry.model or None,
        history=entry.history,
        source=entry.source,
    )
    if content_sha256(record, response) == entry.content_sha256:
        return record  # the thinking was judged too, or there is none
    return record.model_copy(update={"response": judged_text(response)})
