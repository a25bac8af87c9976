"""A run's folder on disk, held by one process at a time.

verdicts.jsonl   the log (see `judge.runlog`)
summary.json     the report, rewritten whole at the end of each run
bad_rows.jsonl   the input's rows that can't be read, rewritten at the end of each run
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from judge.errors import InputError
from judge.journal import Journal, replace_file
from judge.records import BadRow
from judge.runlog import Entry, read_log, withdrawn_line

LOG, SUMMARY, BAD_ROWS, LOCK = "verdicts.jsonl", "summary.json", "bad_rows.jsonl", ".lock"


class RunFolder:
    """A run folder; use `hold`."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.folder, self.log = folder, folder / LOG
        self.append, self.mended = journal.append, journal.mended

    @classmethod
    @contextmanager
    def hold(cls, folder: Path) -> Iterator[RunFolder]:
        """Make the folder if needed and keep every other process out of it.

        Raises:
            InputError: it can't be made or written, or another run holds it.
        """
        with Journal.hold(folder / LOG, folder / LOCK) as journal:
            yield cls(folder, journal)

    def entries(self) -> Iterator[Entry]:
        """The log so far."""
        return read_log(self.log)

    def withdraw(self, keys: Container[int], at: datetime) -> None:
        """Take back the log's rows of these keys: they are no longer in the input."""
        lines = {e.key: withdrawn_line(e, at) for e in self.entries() if e.key in keys}
        self.append(list(lines.values()))

    def write_summary(self, text: str) -> None:
        """Replace `summary.json` in one step."""
        replace_file(self.folder / SUMMARY, text)

    @contextmanager
    def bad_rows(self) -> Iterator[Callable[[BadRow], None]]:
        """A sink for bad rows; they replace `bad_rows.jsonl` in one step when all are in."""
        new = self.folder / (BAD_ROWS + ".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                yield lambda row: print(row.model_dump_json(), file=file)
            new.replace(self.folder / BAD_ROWS)
        except OSError as error:
            raise InputError(f"can't be written: {error.strerror}", file=new) from None
        finally:
            new.unlink(missing_ok=True)
