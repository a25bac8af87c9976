"""Who hears of decisions beside the logs: spans, the watch for drift, the queue for people."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from guard.event import GuardEvent
from guard.loading import calibration_id
from guard.server.settings import Settings
from judge.errors import InputError
from judge.journal import alone

if TYPE_CHECKING:
    from guard.labelling import LabelQueue
    from judge.protocols import Judge
    from judge.rubric import Rubric
    from judge.stats.drift import Evidence

Observer = Callable[[GuardEvent], None]
SECRET, SECRET_BYTES = "secret", 32
LOCK = ".lock"
_log = logging.getLogger("flames_judge.serve")


def observers(
    settings: Settings, drifted: Callable[[str], None], stack: ExitStack
) -> list[Observer]:
    """Who hears of every decision; what they keep is written when the stack is closed.

    Args:
        settings: the server's.
        drifted: told which scores an alarm is about.
        stack: closed at the end.

    Raises:
        InputError: OpenTelemetry is not installed; the drift's file holds something else, or
            another server keeps its watch there.
    """
    heard: list[Observer] = []
    if settings.spans:
        from guard.tracing import export_spans, span_observer

        stack.callback(export_spans())
        heard.append(span_observer())
    if settings.drift is not None:
        from guard.drift import DriftWatch, KeptWatch

        plan, file = settings.plan, settings.drift
        stack.enter_context(_mine(file, file.with_name(file.name + LOCK)))

        def alarm(scores: str, evidence: Evidence) -> None:
            _say_drift(scores, evidence)
            drifted(scores)

        known = calibration_id(plan.calibration)
        watch = DriftWatch(plan.policy.id, known, rng=SystemRandom(), alarm=alarm)
        kept = KeptWatch(watch, file)
        stack.callback(kept.keep)
        heard.append(kept)
    return heard


def people(
    settings: Settings, made: list[LabelQueue], lost: Callable[[str], None], stack: ExitStack
) -> Callable[[Judge, Sequence[Rubric]], LabelQueue] | None:
    """What makes the queue of answers to label, where one is wanted.

    Args:
        settings: the server's.
        made: gets the queue, so that it can be closed.
        lost: told of each answer that the queue could not keep, by the queue's name.
        stack: the folder is this server's alone until it is closed.

    Raises:
        InputError: its folder can't be used, or another server fills it.
    """
    folder = settings.labels
    if folder is None:
        return None
    from guard.labelling import Draw, LabelQueue

    draw = Draw(settings.label_share, _secret(folder))  # whose folder is its owner's alone
    stack.enter_context(_mine(folder, folder / LOCK))

    def queue(judge: Judge, rubrics: Sequence[Rubric]) -> LabelQueue:
        made.append(LabelQueue(folder, draw, judge, rubrics, lost=lost))
        return made[-1]

    return queue


def _mine(place: Path, lock: Path) -> AbstractContextManager[None]:
    """Keep other servers from what one alone may fill: each conversation must count once there.

    Raises:
        InputError: another one fills it, or it can't be written.
    """
    mend = "end it first, or name another place"
    return alone(lock, InputError("another server is writing there", file=place, mend=mend))


def _secret(folder: Path) -> bytes:
    """What makes the draw unforeseeable; kept, so that a restart goes on with the same sample."""
    file = folder / SECRET
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return _whole(file)
        with os.fdopen(handle, "wb") as new:
            new.write(secrets.token_bytes(SECRET_BYTES))
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"can't be used: {error.strerror}", file=folder) from None


def _whole(file: Path) -> bytes:
    """A secret that was made before; a full disk, or a kill, may have left less of it.

    Raises:
        InputError: by that anybody could tell who is drawn.
        OSError: it can't be read.
    """
    secret = file.read_bytes()
    if len(secret) < SECRET_BYTES:
        mend = "delete it: another sample begins"
        raise InputError("holds no whole secret", file=file, mend=mend)
    return secret


def _say_drift(name: str, evidence: Evidence) -> None:
    from guard.drift import direction

    _log.warning(
        "drift: %s: %s than in the baseline; the calibration's bounds may no longer hold",
        name,
        direction(name, evidence),
    )
