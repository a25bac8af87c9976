"""Evidence in a text, also where it is disguised: what the guard looks for without a judge.

The plain text is asked exactly what `judge.embedded.evidence.find_evidence` asks; each other view
(`guard.views`) is asked the same, and the parts that read as if characters had been replaced are
asked by their sounds. A kind counts where any view has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from guard.homophones.shipped import Homophones, shipped_homophones
from guard.views import (
    View,
    by_sound,
    load,
    mailboxes,
    numbers,
    originals,
    plain,
    undisguised,
    without_latin,
)
from judge.embedded import pii
from judge.embedded.heads import KINDS, EvidenceHeads, Reached
from judge.embedded.shipped import shipped_weights


class Found(NamedTuple):
    """One kind of evidence where it is strongest.

    Args:
        kind: one of `judge.embedded.evidence.KINDS`, or `pii:...`.
        score: a head's logit; 1 for a rule.
        cut: what the score reaches; 1 for a rule.
        start, end: offsets into the text; null where the view can't say.
        view: `plain`, or the disguise that was undone.
    """

    kind: str
    score: float
    cut: float
    start: int | None
    end: int | None
    view: str


class Scanner:
    """Finds evidence; keeps nothing between two texts, so threads may share it.

    Args:
        heads: the evidence heads for texts as they are written.
        homophones: the heads for texts by their sounds; None asks about no sounds.
        disguises: whether other views than the plain one count.
    """

    def __init__(
        self,
        heads: EvidenceHeads,
        homophones: Homophones | None = None,
        *,
        disguises: bool = True,
    ) -> None:
        self._heads = heads
        self._by_sound = homophones.heads if homophones else None
        self._usual = homophones.usual if homophones else None
        self._disguises = disguises
        if disguises:
            load()

    @classmethod
    def shipped(cls, *, disguises: bool = True, sounds: bool = True) -> Scanner:
        """A scanner with the weights that come with the package.

        Raises:
            JudgeUnavailable: the weights are missing or damaged.
        """
        homophones = shipped_homophones() if disguises and sounds else None
        return cls(shipped_weights().evidence, homophones, disguises=disguises)

    def without_disguises(self) -> Scanner:
        """A scanner with the same heads that reads the plain view alone."""
        return Scanner(self._heads, disguises=False)

    def scan(self, text: str) -> tuple[Found, ...]:
        """Each kind that is found, once, where its score is furthest above its cut.

        The time is linear in the text's length.

        Args:
            text: the whole text, or for a stream the last window of it with what came before.
        """
        best: dict[str, Found] = {}
        for found in self._all(text):
            kept = best.get(found.kind)
            if kept is None or found.score - found.cut > kept.score - kept.cut:
                best[found.kind] = found
        order = sorted(best, key=lambda kind: (KINDS.index(kind) if kind in KINDS else 9, kind))
        return tuple(best[kind] for kind in order)

    def kinds(self, text: str) -> tuple[tuple[str, str], ...]:
        """Each kind that is found, with the view that it was found in."""
        return tuple((found.kind, found.view) for found in self.scan(text))

    def _all(self, text: str) -> Iterator[Found]:
        if not self._disguises:
            yield from self._as_written(plain(text))
            return
        for number, view in enumerate(originals(text)):
            if not number:
                yield from self._as_written(view)
            normal = undisguised(view)
            if number or normal is not view:
                yield from self._as_written(normal)
            yield from _disguised_data(normal)
            yield from self._by_sounds(normal)

    def _as_written(self, view: View) -> Iterator[Found]:
        if not view.text:
            return
        yield from _strongest(view, self._heads.reaching(view.text, view.spans))
        yield from _by_rules(view)

    def _by_sounds(self, view: View) -> Iterator[Found]:
        if self._by_sound is None or self._usual is None or not view.text:
            return
        spelled = without_latin(view)
        if spelled is not view:
            yield from _disguised_data(spelled)
        asked = self._usual.unusual(spelled)
        if asked:
            start, end = min(one[0] for one in asked), max(one[1] for one in asked)
            heard = by_sound(spelled, start, end)
            yield from _strongest(heard, self._by_sound.reaching(heard.text, asked))


def _strongest(view: View, reached: Sequence[Reached]) -> Iterator[Found]:
    """Each kind that is found, where it is strongest."""
    for number, kind in enumerate(KINDS if reached else ()):
        best = max(reached, key=lambda one: one.above[number])
        if best.above[number] >= 0:
            score = best.logits[number]
            start, end = view.span(*best.span[:2])
            yield Found(kind, score, score - best.above[number], start, end, view.name)


def _by_rules(view: View) -> Iterator[Found]:
    yield from _each_kind(view, view.name, pii.find(view.text))


def _disguised_data(view: View) -> Iterator[Found]:
    yield from _each_kind(view, "numbers", numbers.find(view))
    yield from _each_kind(view, "mailboxes", mailboxes.find(view))


def _each_kind(view: View, name: str, hits: Iterable[pii.Found]) -> Iterator[Found]:
    """The first of each kind."""
    kinds: set[str] = set()
    for kind, start, end in hits:
        if kind not in kinds:
            kinds.add(kind)
            first, last = view.span(start, end)
            yield Found(kind, 1.0, 1.0, first, last, name)
