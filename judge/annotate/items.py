"""The rows to be labelled: a to_label file, or a run's log without what its judge said."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from judge.errors import InputError
from judge.gold import LabelTask
from judge.gold.files import table_rows
from judge.misfits import misfits
from judge.records import Record, Turn, UnreadableRowError
from judge.rubric import Rubrics
from judge.runlog import FORMAT, content_sha256
from judge.verdict import Side

_REMOVING = frozenset({"filtered", "withdrawn"})
_NEEDED = (("record_id",), ("dimension",), ("prompt",), ("response",))


class Item(LabelTask):
    """One row to be labelled, with its texts. Holds nothing that a judge said."""

    prompt: str
    response: str
    history: tuple[Turn, ...] = ()

    @property
    def content_sha256(self) -> str:
        """Hash of the texts: a label belongs to the text that was read."""
        record = Record(
            id=self.record_id, prompt=self.prompt, response=self.response, history=self.history
        )
        return content_sha256(record, self.response)

    def text(self, side: Side) -> str:
        """The prompt or the response."""
        return self.prompt if side == "prompt" else self.response


def read_items(file: Path, rubrics: Rubrics) -> list[Item]:
    """The rows of a to_label file, a run's log or a run folder, in the order they are shown.

    Rows of one dimension stand together, so that its rubric stays in mind; within it they are
    shuffled by their key's hash, so that the file's order (often by verdict) gives nothing away.

    Raises:
        InputError: the file can't be read, holds no rows, or a row can't be labelled.
    """
    path = file / "verdicts.jsonl" if file.is_dir() else file
    items: dict[object, Item] = {}
    for line, row in table_rows(path, _NEEDED):
        if isinstance(row, UnreadableRowError):
            raise InputError(row.reason, file=path, line=line, mend=row.mend)
        item = _item(row, rubrics, path, line)
        logged = "type" in row
        if item.key in items and not logged:
            mend = "keep one of the rows"
            raise InputError("the row stands twice", file=path, line=line, mend=mend)
        items.pop(item.key, None)
        if not (logged and row["type"] in _REMOVING):
            items[item.key] = item
    if not items:
        raise InputError("holds no rows to label", file=path, mend="see `flames-judge sample`")
    order = {dimension: place for place, dimension in enumerate(rubrics)}
    return sorted(items.values(), key=lambda item: (order[item.dimension], _shuffled(item)))


def _shuffled(item: Item) -> bytes:
    return hashlib.sha256("\0".join(map(str, item.key)).encode()).digest()


def _item(row: Mapping[str, Any], rubrics: Rubrics, path: Path, line: int) -> Item:
    if row.get("format", FORMAT) != FORMAT:
        raise InputError(f"has a format other than {FORMAT}", file=path, line=line)
    if row.get("type") in _REMOVING:
        row = {**row, "prompt": "", "response": ""}
    elif row.get("prompt") is None or row.get("response") is None:
        mend = "give prompt and response; a run made with --no-texts can't be labelled"
        raise InputError("has no texts to read", file=path, line=line, mend=mend)
    try:
        item = Item.model_validate(row)
    except ValidationError as error:
        problem = next(misfits(error, Item)).problem
        raise InputError(problem, file=path, line=line, mend="see `flames-judge sample`") from None
    if any("\0" in (name or "") for name in item.key):
        mend = "give the record another id"
        raise InputError("an identifier holds a NUL character", file=path, line=line, mend=mend)
    rubric = rubrics.find(item.dimension)
    if rubric is None:
        mend = f"one of {', '.join(rubrics)}; your own with --rubrics DIR"
        raise InputError("no rubric has its `dimension`", file=path, line=line, mend=mend)
    return item.model_copy(update={"dimension": rubric.dimension})
