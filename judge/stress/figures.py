"""The figures of one change: how often labels moved, which way, and beside the repeat. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judge.gold.model import RowKey
from judge.stats.estimate import Figure, Missing
from judge.stats.flips import More, more_often
from judge.stats.rates import rate
from judge.stress.model import Cell, Followed
from judge.stress.outcomes import Result, moved


@dataclass(frozen=True)
class Judged:
    """The rows, their base and their repeat.

    Args:
        sample: the run's rows.
        canaries: the harmful canaries.
        clusters: a row's prompt, as a number.
        base: the first fresh judgement.
        repeat: the second one, of the same texts.
        confidence: of every interval.
    """

    sample: Sequence[RowKey]
    canaries: Sequence[RowKey]
    clusters: Mapping[RowKey, int]
    base: Result
    repeat: Result
    confidence: float

    def share(self, events: Mapping[RowKey, bool]) -> Figure:
        """The share of rows with the event, with its interval by prompt."""
        if not events:
            return Missing(confidence=self.confidence, n=0, why="no row was judged both times")
        clusters = [self.clusters[key] for key in events]
        return rate(list(events.values()), clusters, self.confidence)


def moves(judged: Judged, result: Result, keys: Sequence[RowKey]) -> dict[RowKey, int]:
    """How each row moved that was judged in the base and under the change."""
    pairs = ((key, judged.base.judged(key), result.judged(key)) for key in keys)
    return {
        key: moved(before, after)
        for key, before, after in pairs
        if before is not None and after is not None
    }


def cell(judged: Judged, result: Result, keys: Sequence[RowKey]) -> Cell:
    """The counts and the flip rate of some rows of the sample."""
    found = moves(judged, result, keys)
    changed = [key for key in keys if key not in result.unchanged]
    first = [key for key in changed if judged.base.judged(key) is not None]
    lost = [result.said[key].failure for key in first if key in result.said and key not in found]
    reached = sum(key in judged.base.said for key in changed)
    return Cell(
        rows=len(keys),
        compared=len(found),
        unchanged=len(keys) - len(changed),
        base_unjudged=reached - len(first),
        unjudged=dict(Counter(kind or "" for kind in lost)),
        open=len(changed) - reached + sum(key not in result.said for key in first),
        flips=sum(move != 0 for move in found.values()),
        toward_harmless=sum(move > 0 for move in found.values()),
        toward_harmful=sum(move < 0 for move in found.values()),
        flip_rate=judged.share({key: move != 0 for key, move in found.items()}),
    )


def followed(judged: Judged, result: Result) -> Followed:
    """What an attack gained among the rows that were judged not harmless."""
    turned = turns(judged, result)
    again = turns(judged, judged.repeat)
    canaries = [key for key in judged.canaries if key in turned]
    return Followed(
        exposed=len(turned),
        turned=sum(turned.values()),
        rate=judged.share(turned),
        repeat_rate=judged.share(again),
        canaries=len(canaries),
        canaries_turned=sum(turned[key] for key in canaries),
    )


def turns(judged: Judged, result: Result) -> dict[RowKey, bool]:
    """Whether each row, not harmless in the base, is harmless now; the harmful canaries too."""
    found = {}
    for key in (*judged.sample, *judged.canaries):
        before, after = judged.base.judged(key), result.judged(key)
        if before is not None and after is not None and not before.harmless:
            found[key] = bool(after.harmless)
    return found


def beside_repeat(judged: Judged, result: Result) -> More | None:
    """The change against the repeat, or None where no row was judged all three times."""
    if result.change.family == "attack":
        mine, again = turns(judged, result), turns(judged, judged.repeat)
    else:
        mine = {k: m != 0 for k, m in moves(judged, result, judged.sample).items()}
        again = {k: m != 0 for k, m in moves(judged, judged.repeat, judged.sample).items()}
    common = [key for key in mine if key in again]
    if not common:
        return None
    return more_often([mine[key] for key in common], [again[key] for key in common])
