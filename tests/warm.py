"""Commands in processes of their own that don't spend seven seconds on importing litellm.

What they run is forked from a process that has imported what takes long, and has run nothing. After
SIGKILL it may outlive what stands for it by a moment: read to the end of its output to know.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

IMPORTED = ("litellm", "instructor", "scipy.stats", "guard.cli", "guard.server.run")
PROCESS = Path(__file__).with_name("warm_process.py")


def python(code: str, *argv: object) -> list[str]:
    """The command line for what `python -c CODE ARGV...` does: same files, signals and status."""
    given = [sys.executable, "-I", "-S", PROCESS, "run", _keeper(), code, *argv]
    return [str(word) for word in given]


def flames_judge(*argv: object) -> list[str]:
    """The command line for what `flames-judge ARGV...` does."""
    return python("from guard.cli import main; main()", *argv)


@cache
def _keeper() -> str:
    """The address of the process to fork from: one for this process, and it ends with it."""
    address = str(Path(mkdtemp(prefix="warm-")) / "socket")
    quiet = ("MODEL_COST_MAP", "ANTHROPIC_BETA_HEADERS", "POLICY_TEMPLATES")
    alone = {"OPENBLAS_NUM_THREADS": "1"}  # a process with threads can't be forked safely
    keeper = subprocess.Popen(
        [sys.executable, "-P", PROCESS, "keep", address, *IMPORTED],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | alone | {f"LITELLM_LOCAL_{name}": "True" for name in quiet},
    )  # fmt: skip
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == b"ready\n"
    atexit.register(_end, keeper)
    return address


def _end(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    try:
        keeper.wait(30)
    except subprocess.TimeoutExpired:
        keeper.kill()
