"""The server's own warnings, on standard error."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress


def say_warnings() -> None:
    """Our own warnings go to standard error, a line each; other libraries' stay as they are."""
    log = logging.getLogger("flames_judge")
    if not log.handlers:
        handler = _StandardError()
        handler.setFormatter(logging.Formatter("flames-judge: %(message)s"))
        log.addHandler(handler)
        log.propagate = False
    logging.getLogger("asyncio").addFilter(_worth_saying)


def _worth_saying(record: logging.LogRecord) -> bool:
    """Whether it is of any use: litellm drops a task, which had no work, wherever loops take turns.

    Here they do: the guard's judge has one event loop, the judge of records another.
    """
    return "LoggingWorker._worker_loop" not in record.getMessage()


class _StandardError(logging.Handler):
    """Says a line, or nothing where that fails.

    logging's own handler would then print the exception at hand with its text, which may be a
    user's.
    """

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.write(self.format(record) + "\n")
                sys.stderr.flush()
