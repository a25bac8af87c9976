"""The texts of gold rows, from the run or the file of records that they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from judge.gold.model import RowKey
from judge.records import Record
from judge.runlog import Entry


class Texts(NamedTuple):
    """What was marked; null where only a hash of it was kept."""

    subcomponent: str | None
    prompt: str | None
    response: str | None


def texts_of_log(entries: Iterable[Entry], rows: Iterable[RowKey]) -> dict[RowKey, Texts]:
    """The texts of a run's rows that may be `rows`: those with their ids and dimensions."""
    wanted = {(key.record_id, key.dimension) for key in rows}
    found: dict[RowKey, Texts] = {}
    for entry in entries:
        key = RowKey(entry.model, entry.record_id, entry.dimension)
        if entry.type == "withdrawn":
            found.pop(key, None)
        elif key[1:] in wanted:
            found[key] = Texts(entry.subcomponent, entry.prompt, entry.response)
    return found


def texts_of_records(records: Iterable[Record], rows: Iterable[RowKey]) -> dict[RowKey, Texts]:
    """The texts of the records that may be `rows`."""
    wanted = {(key.record_id, key.dimension) for key in rows}
    return {
        RowKey(record.model, record.id, record.dimension): Texts(
            record.subcomponent, record.prompt, record.response
        )
        for record in records
        if record.dimension is not None and (record.id, record.dimension) in wanted
    }
