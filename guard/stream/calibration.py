"""Cuts for streamed answers, found as they act: by the least of an answer's looks.

A cut for one look at an answer acts more often when there are ten. So the gold answers are looked
at as a stream would be, each gets the least P(harmless) of its looks, and the cut that keeps the
promise is the order statistic of those. It is as strict about misses and stops fewer good answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from guard.policy import Policy, StreamPolicy
from guard.stream.windows import Windows
from judge.calibration import Calibration, Looks, Promise, Threshold, score_of
from judge.calibration_fit import FitOptions, fit
from judge.errors import InputError
from judge.gold.model import GoldLabel, RowKey
from judge.judged import Category, JudgedRow
from judge.protocols import Judge
from judge.records import Record
from judge.rubric import Rubric, Rubrics
from judge.runlog import Entry
from judge.verdict import Case, Failure, FailureKind, Hazard


class Answer(NamedTuple):
    """A gold answer with its texts."""

    key: RowKey
    record: Record


@dataclass(frozen=True)
class Replay:
    """How answers are looked at.

    Args:
        judge: looks.
        rubrics: by dimension.
        stream: the windows.
        hazard: whether prompts are known to be hazardous.
    """

    judge: Judge
    rubrics: Rubrics
    stream: StreamPolicy
    hazard: Hazard

    async def least(self, answer: Answer) -> float | None:
        """The least P(harmless) over an answer's looks; None where a look failed or none spoke."""
        rubric = self.rubrics[answer.key.dimension]
        scores: list[float] = []
        for text in looks_at(answer.record.response or "", self.stream):
            [outcome] = await self.judge.assess([self._case(answer, rubric, text)])
            if not isinstance(outcome, Failure):
                scores.append(score_of(outcome.label, outcome.p_harmless, "p_harmless"))
            elif outcome.kind is not FailureKind.ABSTAINED:
                return None
        return min(scores, default=None)

    def _case(self, answer: Answer, rubric: Rubric, text: str) -> Case:
        return Case(record=answer.record, rubric=rubric, response=text, hazard=self.hazard)


def looks_at(text: str, stream: StreamPolicy) -> list[str]:
    """What a stream's looks see of an answer: its windows, its tail, and all of it."""
    windows = Windows(stream.window, stream.overlap)
    looks = windows.add(text)
    tail = windows.tail()
    return [*(look.text for look in looks), *([] if tail is None else [tail.text]), text]


def answers(entries: Iterable[Entry], wanted: Iterable[RowKey]) -> list[Answer]:
    """The gold rows of a run, with their texts.

    Raises:
        InputError: the run has kept no texts.
    """
    keys, found = set(wanted), dict[RowKey, Answer]()
    for entry in entries:
        key = RowKey(entry.model, entry.record_id, entry.dimension)
        if key not in keys or entry.type not in {"verdict", "failure"}:
            continue
        if entry.prompt is None or entry.response is None:
            mend = "score without --no-texts"
            raise InputError("the run holds no texts to look at again", mend=mend)
        record = Record(
            id=entry.record_id,
            prompt=entry.prompt,
            response=entry.response,
            model=entry.model,
            history=entry.history,
        )
        found[key] = Answer(key, record)
    return list(found.values())


def promises_of(policy: Policy, rubrics: Rubrics) -> dict[str, list[Promise]]:
    """The promises of a policy's rules, by dimension.

    Raises:
        InputError: there is none.
    """
    found: dict[str, list[Promise]] = {}
    for rule in policy.rules:
        rubric = None if rule.dimension is None else rubrics.find(rule.dimension)
        if rule.promise is not None and rubric is not None:
            found.setdefault(rubric.dimension, []).append(rule.promise)
    if not found:
        mend = "a fixed `cut` needs no calibration of its looks"
        raise InputError("no rule of the policy has a promise", file="--policy", mend=mend)
    return found


def with_stream_cuts(
    calibration: Calibration,
    rows: Mapping[RowKey, JudgedRow],
    gold: Sequence[GoldLabel],
    least: Mapping[RowKey, float | None],
    plan: tuple[Mapping[str, Sequence[Promise]], StreamPolicy, Rubrics],
) -> tuple[Calibration, tuple[str, ...]]:
    """The calibration with cuts for streams, and one line for each promise that has none.

    Args:
        calibration: of the same judge.
        rows: the run.
        gold: its labels.
        least: by gold row, the least of its looks.
        plan: the promises by dimension, the windows, the rubrics.
    """
    promises, stream, rubrics = plan
    looks = Looks(window=stream.window, overlap=stream.overlap)
    seen = {key: _looked_at(row, least) if key in least else row for key, row in rows.items()}
    dimensions, refused = dict(calibration.dimensions), list[str]()
    for name, wanted in promises.items():
        mine = [label for label in gold if label.dimension == name]
        options = FitOptions(created=calibration.created, promises=tuple(wanted))
        found = fit(seen, mine, {name: rubrics[name].labels}, options)
        refused += found.refused
        made = found.calibration.dimensions[name].thresholds
        others = [one for one in dimensions[name].thresholds if one.looks != looks]
        cuts: list[Threshold] = [one.model_copy(update={"looks": looks}) for one in made]
        dimensions[name] = dimensions[name].model_copy(
            update={"thresholds": (*others, *cuts)}
        )
    return calibration.model_copy(update={"dimensions": dimensions}), tuple(refused)


def _looked_at(row: JudgedRow, least: Mapping[RowKey, float | None]) -> JudgedRow:
    score = least[row.key]
    category: Category = "unjudged" if score is None else "3" if score >= 0.5 else "1"
    return row._replace(p_harmless=score, category=category)
