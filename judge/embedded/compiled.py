"""The compiled passes over texts, or None where the package was installed without a C compiler.

Who uses one has the same in Python, which takes longer.
"""

from __future__ import annotations

__all__ = ["grams"]

VERSION = 2  # of `_grams.c`: one more for each change of what its functions take or give

try:
    from judge.embedded import _grams as grams
except ImportError:
    grams = None  # type: ignore[assignment]
else:
    if getattr(grams, "VERSION", None) != VERSION:  # left by another release
        grams = None  # type: ignore[assignment]
