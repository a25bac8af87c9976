"""Has live traffic drifted from a recorded baseline? A conformal test martingale on scores.

Each live score gets its randomised rank among the reference and all earlier live scores,

    p = (scores below + u * scores equal, itself included) / scores, with u uniform on [0, 1],

which is uniform and independent of the earlier ones as long as reference and traffic are
exchangeable: whatever their law, and however small the reference. (Ranks in the reference alone
are not independent: with 300 rows of it and alpha .05 the same bets alarm in one of five unchanged
streams of 5,000.) Bets on p are densities on [0, 1], so that their product is a fair game's
capital, and the chance that it ever reaches 1 / alpha is at most alpha, over all time (Ville,
1939).

- The bets: k p^(k - 1) of the power martingale (Vovk, Nouretdinov and Gammerman, "Testing
  exchangeability on-line", ICML 2003), which finds rare extreme scores, and 1 + e (p - 1/2) of the
  Simple Jumper (Vovk et al., "Retrain or not retrain", COPA 2021), which finds a moved middle; both
  for either side.
- When traffic changes is not known: the n-th score's stake is 1 / log2(n + 1) - 1 / log2(n + 2) of
  the first capital, spread evenly over the bets; the rest waits. So a change after n unchanged
  scores costs about log(n) + 2 log(log(n)) of evidence; one bet from the start would have lost n
  times a constant by then. This is a mixture of martingales over their starts, hence one itself.

Ranks are among changed scores too, once there are any: what isn't found soon is taken in. With 300
rows of reference, alpha .01 and 1,000 quiet scores, a rise of low scores from 5 to 30 % is found
after 78 scores (median), to 15 % after 370; to 10 % it is mostly missed.

Memory is bounded: a score is rounded to one of 4,096 levels of its log-odds, a fixed function that
leaves ranks valid, and levels are counted in a Fenwick tree: O(log levels) a score.

What breaks exchangeability raises an alarm too: give one score a conversation, in the order of
arrival, and record a new baseline after a change of judge, rubric or policy. Needs no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

LEVELS: Final = 4096
LARGEST_LOG_ODDS: Final = 12.0  # P(harmless) nearer than 6e-6 to 0 or 1 counts as 0 or 1
POWERS: Final = (0.5, 0.75)
SLOPES: Final = (1.0, 2.0)
TINY: Final = 2.0**-60  # a rank of exactly 0 would win everything
BETS: Final = 2 * (len(POWERS) + len(SLOPES))
Count = Annotated[int, Field(ge=0)]
Stake = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DriftState(_Value):
    """What is known of one dimension's stream: its size does not grow with the stream.

    `alpha` is the chance of a false alarm over all time; `reference` and `seen` count the scores of
    the baseline and of traffic, `counts` both by level. `stakes` is what each bet holds; `alarm_at`
    counts the live scores up to the alarm, after which nothing more is counted.
    """

    alpha: float = Field(gt=0, lt=1)
    reference: Count
    seen: Count
    counts: Mapping[Annotated[int, Field(ge=0, lt=LEVELS)], Count]
    stakes: tuple[Stake, ...] = Field(min_length=BETS, max_length=BETS)
    alarm_at: Count | None = None


class MonitorState(_Value):
    """The streams of all dimensions; their `alpha`s add up to the monitor's."""

    format: Literal[1] = 1
    dimensions: Mapping[str, DriftState]


class Evidence(NamedTuple):
    """Where a stream stands.

    `value` is the capital per unit of first capital: evidence against "nothing has changed", which
    alarms at `limit` = 1 / alpha. `towards` says where the scores have moved, as far as the bets
    can tell.
    """

    value: float
    limit: float
    towards: Literal["lower", "higher"]
    alarm_at: int | None


class Drift:
    """One dimension's stream.

    Args:
        state: where it stands.
    """

    def __init__(self, state: DriftState) -> None:
        self._first = state
        self._seen, self._alarm_at = state.seen, state.alarm_at
        self._stakes = list(state.stakes)
        self._ranks = _Ranks(state.counts)

    @classmethod
    def start(cls, reference: Iterable[float], alpha: float) -> Self:
        """A stream that has seen its baseline alone.

        Args:
            reference: P(harmless) of recorded live rows, in [0, 1]; some 300 make it quick.
            alpha: the chance of a false alarm over all time, in (0, 1).

        Raises:
            ValueError: the reference is empty, or a score isn't in [0, 1].
        """
        counts: dict[int, int] = {}
        for score in reference:
            level = level_of(score)
            counts[level] = counts.get(level, 0) + 1
        if not counts:
            raise ValueError("a baseline has one score at least")
        n = sum(counts.values())
        stakes = (0.0,) * BETS
        return cls(DriftState(alpha=alpha, reference=n, seen=0, counts=counts, stakes=stakes))

    def observe(self, score: float, u: float) -> bool:
        """Take in one live score; whether it raises the alarm.

        Args:
            score: P(harmless), in [0, 1].
            u: drawn uniformly from [0, 1], independently of everything else.

        Raises:
            ValueError: the score isn't in [0, 1].
        """
        level = level_of(score)
        if self._alarm_at is not None:
            return False
        rank = self._ranks.add(level, u)
        self._seen += 1
        stake = (_waiting(self._seen - 1) - _waiting(self._seen)) / BETS
        self._stakes = [
            (held + stake) * bet for held, bet in zip(self._stakes, _bets(rank), strict=True)
        ]
        if self._value < 1 / self._first.alpha:
            return False
        self._alarm_at = self._seen
        return True

    @property
    def _value(self) -> float:
        return _waiting(self._seen) + sum(self._stakes)

    @property
    def evidence(self) -> Evidence:
        """Where the stream stands."""
        lower, higher = sum(self._stakes[::2]), sum(self._stakes[1::2])
        return Evidence(
            self._value,
            1 / self._first.alpha,
            "lower" if lower >= higher else "higher",
            self._alarm_at,
        )

    def state(self) -> DriftState:
        """What to keep, so that the stream can go on from here."""
        return self._first.model_copy(
            update={
                "seen": self._seen,
                "counts": self._ranks.counts(),
                "stakes": tuple(self._stakes),
                "alarm_at": self._alarm_at,
            }
        )


class DriftMonitor:
    """The streams of several dimensions, with one chance of any false alarm.

    Args:
        streams: by dimension.
    """

    def __init__(self, streams: Mapping[str, Drift]) -> None:
        self._streams = dict(streams)

    @classmethod
    def start(cls, baselines: Mapping[str, Iterable[float]], alpha: float) -> Self:
        """Streams that have seen their baselines alone; each has an even part of alpha.

        Args:
            baselines: P(harmless) of recorded live rows by dimension.
            alpha: the chance of any false alarm over all time, in (0, 1).

        Raises:
            ValueError: a baseline is empty, or a score isn't in [0, 1].
        """
        part = alpha / max(len(baselines), 1)
        return cls({name: Drift.start(scores, part) for name, scores in baselines.items()})

    @classmethod
    def resume(cls, state: MonitorState) -> Self:
        """Go on from a state that was kept."""
        return cls({name: Drift(one) for name, one in state.dimensions.items()})

    def observe(self, dimension: str, score: float, u: float) -> bool:
        """Take in one live score; whether it raises its dimension's alarm.

        Args:
            dimension: one that has a baseline.
            score: P(harmless), in [0, 1].
            u: drawn uniformly from [0, 1], independently of everything else.

        Raises:
            KeyError: the dimension has no baseline.
            ValueError: the score isn't in [0, 1].
        """
        return self._streams[dimension].observe(score, u)

    @property
    def evidence(self) -> dict[str, Evidence]:
        """Where each dimension stands."""
        return {name: stream.evidence for name, stream in self._streams.items()}

    def state(self) -> MonitorState:
        """What to keep, so that the monitor can go on from here."""
        return MonitorState(dimensions={n: stream.state() for n, stream in self._streams.items()})


def level_of(score: float) -> int:
    """The level of a score in [0, 1], from 0 to 4,095: even steps of its log-odds.

    Raises:
        ValueError: the score isn't in [0, 1].
    """
    if not 0 <= score <= 1:
        raise ValueError(f"a score of {score} isn't in [0, 1]")
    if score in {0, 1}:
        return int(score) * (LEVELS - 1)
    odds = math.log(score / (1 - score)) / LARGEST_LOG_ODDS
    return round((LEVELS - 1) * (min(max(odds, -1.0), 1.0) + 1) / 2)


def _waiting(seen: int) -> float:
    """The part of the capital that waits after so many live scores."""
    return 1 / math.log2(seen + 2)


def _bets(rank: float) -> tuple[float, ...]:
    """What each bet pays at a rank in [0, 1], each on low ranks and then on high ones."""
    low, high = max(rank, TINY), max(1 - rank, TINY)
    powers = (k * side ** (k - 1) for k in POWERS for side in (low, high))
    lines = (1 + e * (side - 0.5) for e in SLOPES for side in (high, low))
    return (*powers, *lines)


class _Ranks:
    """Counts by level as a Fenwick tree: ranks and additions in O(log levels)."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._counts = [0] * LEVELS
        self._tree = [0] * (LEVELS + 1)
        self._n = 0
        for level, count in counts.items():
            self._put(level, count)

    def add(self, level: int, u: float) -> float:
        """Count a score; its randomised rank among all so far, itself included."""
        self._put(level, 1)
        return (self._below(level) + u * self._counts[level]) / self._n

    def counts(self) -> dict[int, int]:
        """Levels that have a score, with their counts."""
        return {level: count for level, count in enumerate(self._counts) if count}

    def _put(self, level: int, count: int) -> None:
        self._n += count
        self._counts[level] += count
        place = level + 1
        while place <= LEVELS:
            self._tree[place] += count
            place += place & -place

    def _below(self, level: int) -> int:
        total, place = 0, level
        while place:
            total += self._tree[place]
            place -= place & -place
        return total
