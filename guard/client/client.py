"""The client: a typed face of /v1/judge and /v1/runs."""

from __future__ import annotations

import json
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Self, overload

from guard.client.connection import Connection, read
from guard.client.following import followed
from guard.wire import Judged, Judgement, Run, RunList
from judge.records import BadRow, Record
from judge.report.model import Report
from judge.runlog import Entry

HELD_BYTES: Final = 8 * 2**20  # of a log; more of it waits in a file
_KINDS: Final = {".csv": "text/csv", ".tsv": "text/csv", ".json": "application/json"}
_LINES: Final = "application/jsonl"
Rows = Iterable[Mapping[str, Any] | Record]


class FlamesClient:
    """A server's /v1/judge and /v1/runs. Threads may share it; close it, or use it with `with`.

    Args:
        base_url: where the server is, with `/v1` or without.
        api_key: where the server asks for keys.
        timeout_s: seconds for an answer.
        patience_s: seconds for which a server that is away is looked for while a run is followed.

    Raises:
        FlamesError: no key has such characters, or the address is none.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 300.0,
        patience_s: float = 120.0,
    ) -> None:
        self._server = Connection(base_url, api_key, timeout_s)
        self._patience_s = patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._server.close()

    @overload
    def judge(
        self,
        records: Mapping[str, Any] | Record,
        *,
        dimension: str | None = None,
        ordinary: bool = False,
    ) -> Judged: ...

    @overload
    def judge(
        self, records: Rows, *, dimension: str | None = None, ordinary: bool = False
    ) -> list[Judged]: ...

    def judge(
        self,
        records: Mapping[str, Any] | Record | Rows,
        *,
        dimension: str | None = None,
        ordinary: bool = False,
    ) -> Judged | list[Judged]:
        """Judge one record, or up to 100, at once.

        Args:
            records: with prompt and response, or messages.
            dimension: of records that name none.
            ordinary: the prompts are not known to be hazardous.

        Returns:
            The record's result, or a list of results in the records' order.

        Raises:
            FlamesError: the server refused, or could not be asked.
        """
        single = isinstance(records, Mapping | Record)
        rows = [records] if isinstance(records, Mapping | Record) else list(records)
        body: dict[str, Any] = {"records": [_row(row) for row in rows], "ordinary": ordinary}
        if dimension is not None:
            body["dimension"] = dimension
        content, headers = _written(body), {"content-type": "application/json"}
        told = self._server.fetch("POST", "/v1/judge", Judgement, content=content, headers=headers)
        results = told.results
        return results[0] if single else list(results)

    def submit(
        self,
        records: str | Path | Mapping[str, Any] | Record | Rows,
        *,
        name: str | None = None,
        dimension: str | None = None,
        ordinary: bool = False,
    ) -> Run:
        """Have a file of records, or records one after another, judged as a run.

        Args:
            records: the path of a JSONL, JSON or CSV file, or the records, or one alone.
            name: of the file; rows that name no model are those of the model that it is named
                after. A path's own name, or `records.jsonl`, unless given.
            dimension: of rows that name none.
            ordinary: the prompts are not known to be hazardous.

        Raises:
            FlamesError: the server refused, or could not be asked.
            OSError: the file can't be read.
        """
        told = {"name": name, "dimension": dimension, "ordinary": str(ordinary).lower()}
        if isinstance(records, str | Path):
            file = Path(records)
            told["name"] = name or file.name
            with file.open("rb") as content:
                return self._submitted(content, _KINDS.get(file.suffix.lower(), _LINES), told)
        rows = [records] if isinstance(records, Mapping | Record) else records
        lines = (_written(_row(row)) + b"\n" for row in rows)
        return self._submitted(lines, _LINES, told)

    def runs(self) -> list[Run]:
        """All runs of this key, newest first."""
        return list(self._server.fetch("GET", "/v1/runs", RunList).runs)

    def run(self, run: Run | str) -> Run:
        """Where a run is now."""
        return self._server.fetch("GET", _path(run), Run)

    def follow(self, run: Run | str) -> Iterator[Run]:
        """A run's progress whenever it changed, until it has ended.

        A server that is away for a while, as when it is started anew, is looked for again.

        Raises:
            FlamesError: the run was deleted, or the server stayed away.
        """
        return followed(self._server, _path(run), self._patience_s, None)

    def wait(self, run: Run | str, timeout_s: float | None = None) -> Run:
        """The run once it has ended: look at its `phase`.

        Raises:
            FlamesError: as `follow`; `timeout` when it hasn't ended in so many seconds.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        told = followed(self._server, _path(run), self._patience_s, deadline)
        return deque(told, maxlen=1).pop()

    def verdicts(self, run: Run | str) -> Iterator[Entry]:
        """What came of each row so far, in the order in which they were judged.

        Raises:
            FlamesError: the server refused, or could not be asked.
        """
        with tempfile.SpooledTemporaryFile(HELD_BYTES) as log:
            self._server.download(f"{_path(run)}/verdicts", log)
            log.seek(0)
            last = {read(Entry, line).key: number for number, line in enumerate(log)}
            counts = set(last.values())
            log.seek(0)
            for number, line in enumerate(log):
                entry = read(Entry, line) if number in counts else None
                if entry is not None and entry.type != "withdrawn":
                    yield entry

    def save_log(self, run: Run | str, file: str | Path) -> None:
        """Write a run's `verdicts.jsonl` to a file, for `summarize`, `sample` and `calibrate`.

        Raises:
            FlamesError: the server refused, or could not be asked.
            OSError: the file can't be written.
        """
        with Path(file).open("wb") as log:
            self._server.download(f"{_path(run)}/verdicts", log)

    def bad_rows(self, run: Run | str) -> list[BadRow]:
        """The rows of a run that has ended that could not be read."""
        lines = self._server.request("GET", f"{_path(run)}/bad-rows").content.splitlines()
        return [read(BadRow, line) for line in lines]

    def summary(self, run: Run | str) -> Report:
        """The figures of a run that has ended."""
        return self._server.fetch("GET", f"{_path(run)}/summary", Report)

    def report(self, run: Run | str) -> str:
        """The figures as people read them."""
        return self._server.request("GET", f"{_path(run)}/report").text

    def cancel(self, run: Run | str) -> Run:
        """Stop a run; what is judged stays."""
        return self._server.fetch("POST", f"{_path(run)}/cancel", Run)

    def resume(self, run: Run | str) -> Run:
        """Go on with a run that failed or was cancelled."""
        return self._server.fetch("POST", f"{_path(run)}/resume", Run)

    def delete(self, run: Run | str) -> None:
        """Delete a run with all that the server keeps of it."""
        self._server.request("DELETE", _path(run))

    def _submitted(
        self, content: IO[bytes] | Iterator[bytes], kind: str, told: Mapping[str, str | None]
    ) -> Run:
        query = {key: value for key, value in told.items() if value is not None}
        headers = {"content-type": kind}
        return self._server.fetch(
            "POST", "/v1/runs", Run, content=content, params=query, headers=headers
        )


def _path(run: Run | str) -> str:
    return f"/v1/runs/{run.id if isinstance(run, Run) else run}"


def _row(row: Mapping[str, Any] | Record) -> dict[str, Any]:
    """A record as a file's row; where it once was read from is left out."""
    if isinstance(row, Record):
        return row.model_dump(mode="json", exclude={"source"}, exclude_none=True)
    return dict(row)


def _written(value: dict[str, Any]) -> bytes:
    """JSON. Half of a surrogate pair, which no UTF-8 holds, is the server's to refuse."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()
