"""Which parts of a text read as if characters had been replaced."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from guard.views import View, pairs
from judge.embedded.spans import Span

BITS = 21
SHARE = 0.25  # of a window's pairs of characters
PIECE_SHARE = 0.4  # of a piece's: a short text has rare words by chance
LEAST = 3  # unusual pairs
CHINESE = 1 / 3  # of a part's letters and digits, each syllable of pinyin counting as one
_NOT_CHINESE = re.compile("[^\u3400-\u9fff]+")
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalnum())


@dataclass(frozen=True)
class Usual:
    """Which pairs of Chinese characters were seen side by side: a set of `guard.views.pairs`."""

    seen: bytes

    @classmethod
    def of(cls, views: Iterable[View]) -> Usual:
        """The pairs of ordinary texts."""
        return cls(
            pairs.set_of((p for view in views for p in pairs.chinese_pairs(view.text)), BITS)
        )

    def unusual(self, view: View) -> list[Span]:
        """Those Chinese parts of a view in which too many pairs were never seen.

        Names in a table and syllables in a hash are no pairs in a Chinese text.
        """
        shares = (SHARE, PIECE_SHARE)
        found = pairs.strange(view.text, view.spans, self.seen, LEAST, shares)
        parts = (view.spans[row] for row in found)
        return [part for part in parts if _is_chinese(view.text, *part[:2])]


def _is_chinese(text: str, start: int, end: int) -> bool:
    part = text[start:end]
    others = len(part.encode("ascii", "ignore").translate(None, _NO_LETTERS))
    if not others:
        return True
    characters = len(_NOT_CHINESE.sub("", part))
    return characters >= CHINESE * (characters + others)
