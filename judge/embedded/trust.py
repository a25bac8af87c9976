"""How far the embedded judge can be trusted, in one line, with the model card's figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STANCE = (
    ("jade", "held-out prompts of JADE (Chinese, labels by an LLM)"),
    ("xstest", "XSTest (English, labels by people, the answering model never trained on)"),
)
_LIMITS = "never validated on Flames' own labels: its rates are not Flames scores"


def trust_line(card: Mapping[str, Any], problem: str | None = None) -> str:
    """One line for people.

    Args:
        card: the model card.
        problem: why the sentence encoder can't be used, or None.
    """
    if problem is not None:
        return (
            f"embedded: {problem}, so that it reads no stance and abstains everywhere; "
            "only the refusal pattern, the evidence heads and the rules for personal data speak"
        )
    figures = card.get("figures", {}).get("stance", {})
    parts = [_figure(name, figures[key]) for key, name in _STANCE if key in figures]
    return f"embedded: reads stance only; {'; '.join([*parts, _LIMITS])}"


def _figure(name: str, figure: Mapping[str, Any]) -> str:
    decided, right = (f"{100 * figure[key]:.1f} %" for key in ("decided", "right"))
    return f"{name}, n={figure['n']}: {decided} decided, {right} of those right"
