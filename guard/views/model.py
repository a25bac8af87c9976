"""One way to read a text, and the way back to where it was read."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from guard.views.signs import signs
from judge.embedded.fold import fold
from judge.embedded.spans import Span, spans

PLAIN = "plain"


@dataclass(frozen=True)
class View:
    """A text as it is matched, never shown: a view doesn't replace the text.

    Args:
        name: `plain`, or what was undone, joined by "+": `traditional+separators`.
        text: folded, as `judge.embedded.fold` does.
        origin: where each character starts in the original; null where nothing was moved.
        until: where each character ends in the original; null where each is one character there.
        placed: whether the offsets are known at all. Those of a hidden message aren't.
        sound: whether its characters stand for their sounds.
    """

    name: str
    text: str
    origin: Sequence[int] | None = None
    until: Sequence[int] | None = None
    placed: bool = True
    sound: bool = False

    @cached_property
    def spans(self) -> list[Span]:
        """What heads are asked about."""
        return spans(self.text)

    @cached_property
    def signs(self) -> int:
        """Which disguises there may be: see `guard.views.signs`."""
        return signs(self.text)

    def span(self, start: int, end: int) -> tuple[int, int] | tuple[None, None]:
        """The original offsets around the characters from `start` up to `end` (not empty)."""
        if not self.placed:
            return None, None
        return self._span(start, end)

    def _span(self, start: int, end: int) -> tuple[int, int]:
        if self.origin is None:
            return start, end
        if end - start == 1:  # by far the most, when a view is made from another
            at = self.origin[start]
            return at, at + 1 if self.until is None else self.until[start]
        if self.until is not None:
            return min(self.origin[start:end]), max(self.until[start:end])
        first = self.origin[start:end]
        return min(first), max(first) + 1

    def same_length(self, step: str, text: str) -> View:
        """A view in which each character stands for one of this view's."""
        return replace(self, name=self._after(step), text=text)

    def shorter(self, step: str, text: str, spans: Sequence[tuple[int, int]]) -> View:
        """A view whose i-th character comes from this view's characters in `spans[i]`."""
        made = View(self._after(step), text, placed=self.placed)
        if not self.placed:
            return made
        found = spans if self.origin is None else [self._span(*span) for span in spans]
        return replace(
            made,
            origin=array("Q", [start for start, _ in found]),
            until=array("Q", [end for _, end in found]),
        )

    def without(self, step: str, spans: Iterable[tuple[int, int]]) -> View:
        """A view without this view's characters in the spans, which don't overlap; in order."""
        pieces: list[str] = []
        kept: list[tuple[int, int]] = []
        done = 0
        for start, end in (*spans, (len(self.text), len(self.text))):
            pieces.append(self.text[done:start])
            kept += zip(range(done, start), range(done + 1, start + 1), strict=True)
            done = end
        text = "".join(pieces)
        return self if len(text) == len(self.text) else self.shorter(step, text, kept)

    def _after(self, step: str) -> str:
        if self.name == PLAIN:
            return step
        return self.name if self.name.endswith(step) else f"{self.name}+{step}"


def plain(text: str) -> View:
    """A text as the embedded scorer reads it."""
    folded = fold(text)
    return View(PLAIN, folded.text, folded.origin)
