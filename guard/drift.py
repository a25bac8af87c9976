"""Whether live traffic still looks as it did: scores of decisions against a recorded baseline.

The first conversations after a start make the baseline, since benchmark prompts differ from traffic
by construction. An alarm stays valid however often one looks (see `judge.stats.drift`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from guard.event import GuardEvent
from guard.log import LOG
from judge.calibration import Share
from judge.errors import InputError
from judge.journal import replace_file
from judge.stats.drift import DriftMonitor, Evidence, MonitorState

RULES = "rules"  # of "no rule acted" (1) and "a rule acted" (0), where all could be checked
REMEMBERED = 100_000  # conversations, of which each counts once
MARK = 6  # bytes of a conversation's hash, by which it is known: of 3e9 new ones one seems known
SAVE_EVERY = 100


def direction(name: str, evidence: Evidence) -> str:
    """How a stream has moved, in words: `scores are lower`, `rules act more often`."""
    if name == RULES:
        return f"rules act {'more' if evidence.towards == 'lower' else 'less'} often"
    return f"scores are {evidence.towards}"


class DriftFile(BaseModel):
    """What is kept between starts; made for one policy and one calibration.

    `counted` are the marks of conversations, in the order in which they were counted.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )
    format: Literal[1] = 1
    policy: str
    calibration: str | None
    baseline: Mapping[str, tuple[Share, ...]]
    monitor: MonitorState | None = None
    counted: bytes = b""

    @field_validator("counted")
    @classmethod
    def _whole(cls, counted: bytes) -> bytes:
        if len(counted) % MARK:
            raise ValueError("holds part of a mark")
        return counted


class _Counted:
    """The conversations that have counted; the newest 100,000, whose marks are kept in order."""

    def __init__(self, marks: bytes = b"") -> None:
        self._marks = bytearray(marks)
        self._known = {marks[at : at + MARK] for at in range(0, len(marks), MARK)}

    def is_new(self, conversation: str) -> bool:
        """Whether a conversation has not counted yet; from now on it has."""
        mark = blake2b(conversation.encode(), digest_size=MARK).digest()
        if mark in self._known:
            return False
        self._known.add(mark)
        self._marks += mark
        while len(self._marks) > REMEMBERED * MARK:
            self._known.discard(bytes(self._marks[:MARK]))
            del self._marks[:MARK]
        return True

    def marks(self) -> bytes:
        """What to keep of them."""
        return bytes(self._marks)


class DriftWatch:
    """Hears of every event; one score a conversation and stream counts.

    Args:
        policy: the policy's id; scores under another one are not compared.
        calibration: the calibration's id.
        size: conversations of the baseline.
        alpha: the chance of any false alarm, over all time and streams.
        rng: breaks ties between equal scores.
        alarm: told of an alarm: which stream, and the evidence.
    """

    def __init__(
        self,
        policy: str,
        calibration: str | None,
        *,
        size: int = 300,
        alpha: float = 0.01,
        rng: Random,
        alarm: Callable[[str, Evidence], None] = lambda *_: None,
    ) -> None:
        self._names = policy, calibration
        self._size, self._alpha, self._rng, self._alarm = size, alpha, rng, alarm
        self._baseline: dict[str, list[float]] = {}
        self._monitor: DriftMonitor | None = None
        self._counted = _Counted()

    def __call__(self, event: GuardEvent) -> None:
        """Take in one decision about an answer."""
        if event.side != "output" or not self._counted.is_new(event.conversation):
            return
        acted = {} if event.missed else {RULES: 0.0 if event.rules else 1.0}
        for name, score in {**event.scores, **acted}.items():
            self._take(name, score)
        if self._monitor is None and self.recorded >= self._size:
            self._monitor = DriftMonitor.start(self._baseline, self._alpha)

    @property
    def evidence(self) -> dict[str, Evidence]:
        """Where each stream stands; empty while the baseline is being recorded."""
        return {} if self._monitor is None else self._monitor.evidence

    @property
    def recorded(self) -> int:
        """Conversations of the baseline so far."""
        return max(map(len, self._baseline.values()), default=0)

    def state(self) -> DriftFile:
        """What to keep."""
        policy, calibration = self._names
        baseline = {name: tuple(scores) for name, scores in self._baseline.items()}
        monitor = None if self._monitor is None else self._monitor.state()
        return DriftFile(
            policy=policy,
            calibration=calibration,
            baseline=baseline,
            monitor=monitor,
            counted=self._counted.marks(),
        )

    def resume(self, kept: DriftFile) -> bool:
        """Go on from what was kept; False, and a new baseline, if that was under another policy.

        An alarm that stands is told again: its stream is watched no more.
        """
        if (kept.policy, kept.calibration) != self._names:
            return False
        self._baseline = {name: list(scores) for name, scores in kept.baseline.items()}
        self._monitor = None if kept.monitor is None else DriftMonitor.resume(kept.monitor)
        self._counted = _Counted(kept.counted)
        for name, one in self.evidence.items():
            if one.alarm_at is not None:
                self._alarm(name, one)
        return True

    def _take(self, name: str, score: float) -> None:
        if self._monitor is None:
            self._baseline.setdefault(name, []).append(score)
        elif name in self._monitor.evidence and self._monitor.observe(
            name, score, self._rng.random()
        ):
            self._alarm(name, self._monitor.evidence[name])


class KeptWatch:
    """A watch whose state survives a restart.

    Args:
        watch: what is kept.
        file: where.

    Raises:
        InputError: the file holds something else, or can't be written.
    """

    def __init__(self, watch: DriftWatch, file: Path) -> None:
        self._watch, self._file, self._since, self._told = watch, file, 0, False
        known = file.exists()
        self.resumed = known and watch.resume(load_drift(file))
        if not known:
            self.save()

    def __call__(self, event: GuardEvent) -> None:
        """Take in one event, and save now and then."""
        self._watch(event)
        self._since += 1
        if self._since >= SAVE_EVERY:
            self.keep()

    def keep(self) -> None:
        """Save; no request fails where that can't be done, nor an end: it is told."""
        try:
            self.save()
        except InputError as error:
            if not self._told:
                LOG.error("the watch for drift is not kept: %s", error)
            self._told = True
        else:
            self._told = False

    def save(self) -> None:
        """Write the state in one step.

        Raises:
            InputError: it can't be written.
        """
        self._since = 0
        replace_file(self._file, self._watch.state().model_dump_json() + "\n", mode=0o600)


def load_drift(file: Path) -> DriftFile:
    """Read a kept state.

    Raises:
        InputError: it can't be read, or isn't one.
    """
    try:
        return DriftFile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=file) from None
    except ValidationError:
        mend = "delete it: a new baseline is recorded"
        raise InputError("is no state of a drift monitor", file=file, mend=mend) from None
