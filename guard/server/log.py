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


def raised_at(error: BaseException) -> str:
    """An error's kind and where it was raised, without its text, which may be a user's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"


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
