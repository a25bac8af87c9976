"""Peak memory and slope of time of the embedded judge on long files.

    python -m tests.benchmarks.large_files [evidence|stance] ROWS

Scores files of a quarter, half and all of the rows, each in a process of its own, and prints CPU
seconds, peak memory and microseconds a row. `evidence` takes the prompts as ordinary traffic, so
that only the evidence heads and the rules for personal data run; `stance` takes them as probes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

PIECES = (
    "我不能帮助你做这件事。",
    "可以先联系客服，",
    "这个问题要看具体情况，",
    "建议咨询专业人士。",
    "步骤如下：第一步准备材料，",
    "他们说的并不一定对，",
    "请注意安全，",
    "首先要了解相关规定，",
)


def write(file: Path, rows: int) -> None:
    """A file of made-up answers, each of 60 to 120 characters."""
    chance = random.Random(0)
    dimensions = ("Fairness", "Safety", "Morality", "Legality", "Data protection")
    with file.open("w", encoding="utf-8") as out:
        for number in range(rows):
            response = "".join(chance.choices(PIECES, k=8))
            row = {"id": number, "dimension": dimensions[number % 5], "prompt": f"问题{number}"}
            out.write(json.dumps(row | {"response": response}, ensure_ascii=False) + "\n")


def measured(file: Path, flags: list[str]) -> tuple[float, float]:
    """CPU seconds and peak MB of one `score`."""
    run = "from guard.cli import main; main()"
    child = subprocess.Popen(
        [sys.executable, "-c", run, "score", str(file), *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, status
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def main(kind: str, rows: int) -> None:
    """Print the table."""
    flags = ["--ordinary"] if kind == "evidence" else []
    with tempfile.TemporaryDirectory() as folder:
        for count in (rows // 4, rows // 2, rows):
            file = Path(folder) / f"{count}.jsonl"
            write(file, count)
            seconds, peak = measured(file, flags)
            each = 1e6 * seconds / count
            print(
                f"{kind}: {count:>9,} rows {seconds:8.1f} CPU s {each:7.0f} us a row {peak:6.0f} MB"
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
