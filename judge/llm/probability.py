"""P(label) read off the tokens of an answer, where the provider gives their log probabilities."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from judge.rubric import Label

LEAST_MASS = 0.5  # below this the alternatives that were sent don't describe the choice
_LABEL = re.compile(r'"label"\s*:\s*"?([123])')


def label_probabilities(
    tokens: Sequence[Any] | None, labels: Sequence[Label]
) -> Mapping[Label, float] | None:
    """The distribution over the labels at the token that wrote the answer's label.

    Args:
        tokens: `choices[0].logprobs.content` in OpenAI's shape: each with `token`, and
            `top_logprobs` of `token` and `logprob`.
        labels: the labels of the scale.

    Returns:
        P(label), normalised over the scale; None where the log probabilities don't say: absent,
        cut, or too little of their mass on the scale's labels.
    """
    if not tokens:
        return None
    texts = [str(_get(token, "token") or "") for token in tokens]
    found = list(_LABEL.finditer("".join(texts)))
    if not found:
        return None
    wanted, offset = found[-1].start(1), 0
    for token, text in zip(tokens, texts, strict=True):
        if offset <= wanted < offset + len(text):
            before, after = text[: wanted - offset], text[wanted - offset + 1 :]
            return _distribution(_get(token, "top_logprobs") or (), labels, before, after)
        offset += len(text)
    return None


def _distribution(
    alternatives: Sequence[Any], labels: Sequence[Label], before: str, after: str
) -> Mapping[Label, float] | None:
    mass = dict.fromkeys(labels, 0.0)
    for item in alternatives:
        text, logprob = str(_get(item, "token") or ""), _get(item, "logprob")
        middle = text[len(before) : len(text) - len(after)] if after else text[len(before) :]
        fits = text == before + middle + after and middle in {str(label) for label in labels}
        if fits and isinstance(logprob, int | float) and not math.isnan(logprob):
            label: Label = next(label for label in labels if str(label) == middle)
            mass[label] += math.exp(min(float(logprob), 0.0))
    total = sum(mass.values())
    if total < LEAST_MASS:
        return None
    return {label: share / total for label, share in mass.items()}


def _get(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else getattr(item, name, None)
