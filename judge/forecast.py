"""What a run will take, before any call: rows, tokens and money, from the texts' sizes alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from judge.prompt import frame, system_text
from judge.records import BadRow, Record
from judge.rubric import Rubric, Rubrics

_WIDE = re.compile("[\u2e80-\U0010ffff]+")
ANSWER_TOKENS = 250  # evidence, criteria, a reason of a hundred characters, a label


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is: one a wide character (Chinese), one for four others."""
    wide = len(text) - len(_WIDE.sub("", text))
    return wide + -(-(len(text) - wide) // 4)


@dataclass(frozen=True)
class Forecast:
    """Rows to judge, and the tokens of one answer each.

    `static` is the part of `prompt` that is the same for every row of a dimension: providers with a
    prefix cache bill it at a fraction after the first.
    """

    rows: int = 0
    bad: int = 0
    prompt: int = 0
    static: int = 0
    completion: int = 0


@cache
def _static(rubric: Rubric) -> int:
    return estimate_tokens(system_text(rubric)) + estimate_tokens(frame()[1])


def forecast(rows: Iterable[Record | BadRow], rubrics: Rubrics) -> Forecast:
    """Forecast the judging of every readable row once, by one model."""
    judged = bad = prompt = static = 0
    for row in rows:
        if isinstance(row, BadRow):
            bad += 1
        elif row.response is not None:
            judged += 1
            fixed = _static(rubrics[row.dimension or ""])
            texts = (row.prompt, row.response, *(turn.content for turn in row.history))
            static += fixed
            prompt += fixed + sum(map(estimate_tokens, texts))
    return Forecast(judged, bad, prompt, static, judged * ANSWER_TOKENS)


def cost_range(
    found: Forecast, fresh: float, cached: float, completion: float
) -> tuple[float, float]:
    """Least and most USD: with every repeated static prefix cached, and with none.

    Args:
        found: the forecast.
        fresh: USD for a prompt token.
        cached: USD for a prompt token that hits the provider's cache.
        completion: USD for a token of the answer.
    """
    most = found.prompt * fresh + found.completion * completion
    return most - found.static * (fresh - cached), most
