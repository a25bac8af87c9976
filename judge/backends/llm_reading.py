"""What instructor hands back: JSON out of its wrapping, our own errors out of its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from judge.errors import FlamesJudgeError
from judge.llm.client import CallFailed

_FENCED = re.compile(r"\A\s*```(?:json)?\s*(\{.*\})\s*```\s*\Z", re.DOTALL)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


def unwrapped(content: str) -> str:
    """The JSON of an answer that comes in a code fence or after thinking; nothing is repaired."""
    content = _THOUGHT.sub("", content)
    fenced = _FENCED.match(content)
    return fenced[1] if fenced else content.strip()


def our_cause(error: BaseException) -> CallFailed | FlamesJudgeError | None:
    """Our own error behind instructor's."""
    for cause in _causes(error):
        if isinstance(cause, CallFailed | FlamesJudgeError):
            return cause
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
