"""Ctrl-C and SIGTERM: what is done is safe, and the user is told how to go on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from judge.cli.progress import Reporter


@contextmanager
def interruptible(reporter: Reporter, written: Path) -> Iterator[None]:
    """Run the body of the current task so that both signals cancel it alike.

    Raises:
        KeyboardInterrupt: it was interrupted; the command line exits with 130.
    """
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    except asyncio.CancelledError:
        reporter.say(f"interrupted: what is done is safe in {written}; the same command goes on")
        raise KeyboardInterrupt from None
