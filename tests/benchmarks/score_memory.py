"""Peak memory and seconds of `score` with a model, in a process of its own, on growing files.

    python -m tests.benchmarks.score_memory [ROWS ...]

The loopback server is in this process, so that its memory is not counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.resume import write_input
from tests.openai_server import OpenAIServer
from tests.oracle import oracle


def measure(rows: int) -> tuple[float, float]:
    """MB at the peak, and seconds."""
    with tempfile.TemporaryDirectory() as folder, OpenAIServer(oracle()) as server:
        file = Path(folder) / "in.jsonl"
        write_input(file, rows)
        command = [sys.executable, "-c", "from guard.cli import main; main()", "score", str(file),
                   "--model", "openai/judge", "--api-base", server.base_url,
                   "--cache-dir", str(Path(folder) / "cache")]  # fmt: skip
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        assert status == 0
        return used.ru_maxrss / 1024, time.perf_counter() - started


def main(*rows: int) -> None:
    """Print the figures."""
    for count in rows or (500, 2000, 10_000):
        megabytes, seconds = measure(count)
        print(f"{count:,} rows: {megabytes:.0f} MB at the peak, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
