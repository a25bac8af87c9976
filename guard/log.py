"""What a guard says in its program's log: places and kinds, never a user's text."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

LOG: Final = logging.getLogger("flames_judge.guard")


def raised_at(error: BaseException) -> str:
    """An error's kind and where it was raised, without its text, which may be a user's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"


def say_broken(error: BaseException) -> None:
    """Tell of a check that an error of ours broke, once for each place."""
    _say_once(raised_at(error))


@lru_cache(maxsize=256)
def _say_once(where: str) -> None:
    LOG.error("a check broke: %s", where)
