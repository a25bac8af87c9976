"""The compiled passes over texts, or None where the package was installed without a C compiler.

Who uses one has the same in Python, which takes longer.
"""

from __future__ import annotations

__all__ = ["grams"]

try:
    from judge.embedded import _grams as grams
except ImportError:
    grams = None  # type: ignore[assignment]
