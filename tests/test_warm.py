"""What `tests.warm` runs behaves as what `python -c` runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

LOOK = "import os, sys; print(sys.argv, os.getcwd(), os.environ['X'], sys.stdin.read())"
WAIT = "import signal; print('up', flush=True); signal.pause()"
ENDS = [
    LOOK,
    "import sys; sys.exit(7)",
    "import sys; sys.exit('no')",
    "1 / 0",
    "import os; os.abort()",
]


@pytest.mark.parametrize("code", ENDS)
def test_it_sees_and_ends_as_python_does(code: str, tmp_path: Path) -> None:
    """Arguments, folder, environment, standard input, output and status."""
    cold, there = (
        subprocess.run(
            command, input="入", cwd=tmp_path, env=os.environ | {"X": "值"},
            capture_output=True, text=True, check=False,
        )
        for command in ([sys.executable, "-c", code, "a", "1"], warm.python(code, "a", 1))
    )  # fmt: skip
    assert (there.returncode, there.stdout) == (cold.returncode, cold.stdout)
    assert there.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it(sent: signal.Signals) -> None:
    """The kill too: nothing is left that holds its files."""
    with subprocess.Popen(warm.python(WAIT), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        run.send_signal(sent)
        out, err = run.communicate(timeout=30)
    assert (run.returncode, out) == (-sent, b"")
    assert err.endswith(b"KeyboardInterrupt\n" if sent is signal.SIGINT else b"")
