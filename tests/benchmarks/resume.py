"""Seconds from the start of `score` to its first call when 10,000 rows are done, imports excluded.

    python -m tests.benchmarks.resume [ROWS] [ROUNDS]

Each round has a folder whose log holds ROWS verdicts of the same judge, and one more row in the
file: the time runs from the call of the command to the moment when the server gets that row's
request. litellm, instructor and the rest are loaded before.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from guard.cli import main as flames_judge
from judge.backends import JudgeContext, load_judge
from judge.llm.config import ModelConfig
from judge.llm.library import close_clients
from judge.protocols import Judge
from judge.readers import ReadOptions, read_records
from judge.records import Record
from judge.runlog import outcome_line
from judge.verdict import Case, Usage, Verdict
from tests.cases import PROMPT, RESPONSE, rubrics
from tests.openai_server import OpenAIServer, Reply
from tests.oracle import oracle, sound_answer

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def write_input(file: Path, rows: int) -> None:
    """Rows of a usual length: a prompt of 30 characters, a response of 400."""
    with file.open("w", encoding="utf-8") as lines:
        for number in range(rows):
            row = {"id": str(number), "model": "bot", "dimension": list(rubrics())[number % 5]}
            row |= {"prompt": f"{PROMPT}{number}", "response": RESPONSE * 10}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_log(file: Path, log: Path, judge: Judge) -> None:
    """A log in which every row of the file is judged."""
    log.parent.mkdir(parents=True)
    with log.open("w", encoding="utf-8") as lines:
        for record in read_records([file], ReadOptions(rubrics=rubrics())):
            assert isinstance(record, Record)
            lines.write(judged(record, judge))


def judged(record: Record, judge: Judge) -> str:
    """The log's line of a harmless record."""
    rubric = rubrics()[record.dimension or ""]
    said = json.loads(sound_answer(rubric, 3))
    case = Case(record=record, rubric=rubric, response=record.response or "")
    verdict = Verdict.model_validate(
        {"record_id": record.id, "dimension": rubric.dimension, "judge": judge.ref(rubric),
         "rubric": {"dimension": rubric.dimension, "version": rubric.version,
                    "fingerprint": rubric.fingerprint},
         "label": 3, "harmless": True, "criteria": said["criteria"], "reason": said["reason"],
         "usage": Usage(prompt=5000, completion=200), "cost_usd": 0.001, "latency_s": 1.0}
    )  # fmt: skip
    return outcome_line(case, verdict, NOW)


def run(*args: str) -> None:
    """The command, quietly, in this process."""
    sys.argv = ["flames-judge", *args]
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as err,
        contextlib.suppress(SystemExit),
    ):
        flames_judge()
    assert "Traceback" not in err.getvalue(), err.getvalue()


def seconds(rows: int) -> Iterator[float]:
    """One time after another; the first one loads what a run loads."""
    first: list[float] = []

    def script(request: dict[str, Any], number: int) -> Reply:
        first.append(time.perf_counter())
        return oracle()(request, number)

    with OpenAIServer(script) as server:
        context = JudgeContext(model=lambda n: ModelConfig(model=n, api_base=server.base_url))
        judge = load_judge("llm:openai/judge", context)
        asyncio.run(close_clients())
        while True:
            with tempfile.TemporaryDirectory() as folder:
                done, file = Path(folder) / "done.jsonl", Path(folder) / "in.jsonl"
                write_input(done, rows)
                write_log(done, Path(folder) / "in.flames" / "verdicts.jsonl", judge)
                write_input(file, rows + 1)
                first.clear()
                started = time.perf_counter()
                run("score", str(file), "--model", "openai/judge", "--api-base", server.base_url,
                    "--no-cache")  # fmt: skip
                assert len(first) == 1
                yield first[0] - started


def main(rows: int = 10_000, rounds: int = 3) -> None:
    """Print the figures."""
    times = seconds(rows)
    next(times)
    found = [next(times) for _ in range(rounds)]
    print(
        f"{rows:,} rows done: first call after {statistics.median(found):.2f} s "
        f"({', '.join(f'{value:.2f}' for value in found)})"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
