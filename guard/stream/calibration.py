"""Cuts for streamed answers, found as they act: by the least of an answer's looks.

A cut for one look at an answer acts more often when there are ten. So the gold answers are looked
at as a stream would be, and the cut that keeps the promise is found among the least P(harmless) of
each (see `judge.stats.streams`). It is as strict about misses and stops fewer good answers.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from guard.policy import Policy, StreamPolicy
from guard.stream.windows import Windows
from judge.calibration import Calibration, Looks, Promise, Threshold, score_of
from judge.dimensions import shipped_subcomponent
from judge.errors import InputError
from judge.gold.model import GoldLabel, RowKey
from judge.gold.rows import rows_of
from judge.judged import JudgedRow, frame_of
from judge.protocols import Judge
from judge.records import Record
from judge.rubric import Rubric, Rubrics
from judge.runlog import Entry, content_sha256, outcome_of
from judge.strata import join, weigh
from judge.stream_promises import LookedAt, stream_threshold
from judge.verdict import Case, Hazard, Outcome, RubricRef, Verdict

UNEVEN = (
    "its gold was drawn with unequal probabilities"
    " (draw it with `flames-judge sample --for promise`)"
)


class Answer(NamedTuple):
    """A gold answer with its texts; `scored` is what the run's log says of it."""

    key: RowKey
    record: Record
    scored: Entry | None = None


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

    async def looks(self, answer: Answer) -> tuple[float | None, ...]:
        """P(harmless) of each look at an answer; None where the judge gave no verdict."""
        rubric = self.rubrics[answer.key.dimension]
        known = dict[str, float]()
        scores = list[float | None]()
        for text in looks_at(answer.record.response or "", self.stream):
            if text not in known:
                outcome = await self._look(answer, rubric, text)
                if isinstance(outcome, Verdict):
                    known[text] = score_of(outcome.label, outcome.p_harmless, "p_harmless")
            scores.append(known.get(text))
        return tuple(scores)

    async def _look(self, answer: Answer, rubric: Rubric, text: str) -> Outcome | None:
        """What the judge says of a look; it isn't asked again about what it has scored."""
        if answer.scored is not None and self._about(answer.scored, rubric, answer.record, text):
            return outcome_of(answer.scored)
        [outcome] = await self.judge.assess([self._case(answer, rubric, text)])
        return outcome

    def _about(self, entry: Entry, rubric: Rubric, record: Record, text: str) -> bool:
        """Whether a line holds this judge's verdict on this very case."""
        signers = {ref.fingerprint for ref in self.judge.signers(rubric)}
        return (
            entry.type == "verdict"
            and entry.hazard is self.hazard
            and entry.rubric == RubricRef.of(rubric)
            and entry.subcomponent == record.subcomponent
            and entry.judge is not None
            and entry.judge.fingerprint in signers
            and entry.content_sha256 == content_sha256(record, text)
        )

    def _case(self, answer: Answer, rubric: Rubric, text: str) -> Case:
        return Case(record=answer.record, rubric=rubric, response=text, hazard=self.hazard)


def looks_at(text: str, stream: StreamPolicy) -> list[str]:
    """What a stream's looks see of an answer: its windows, its tail, and all of it."""
    windows = Windows(stream.window, stream.overlap)
    looks = windows.add(text)
    tail = windows.tail()
    return [*(look.text for look in looks), *([] if tail is None else [tail.text]), text]


def looks_of(stream: StreamPolicy) -> Looks:
    """What a calibration calls these windows."""
    return Looks(window=stream.window, overlap=stream.overlap)


def labelled(
    rows: Mapping[RowKey, JudgedRow], gold: Sequence[GoldLabel], dimensions: Container[str]
) -> list[RowKey]:
    """The run's rows of these dimensions on which people agree.

    Raises:
        GoldError: gold that isn't of this run.
    """
    joined = (one for one in join(rows_of(gold), rows) if one.label is not None)
    return [one.row.key for one in joined if one.row.key.dimension in dimensions]


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
            subcomponent=shipped_subcomponent(entry.prompt, entry.dimension),  # as the guard does
            model=entry.model,
            history=entry.history,
        )
        found[key] = Answer(key, record, entry)
    return list(found.values())


def promises_of(policy: Policy, rubrics: Rubrics) -> dict[str, list[Promise]]:
    """The promises of a policy's rules, by dimension.

    Raises:
        InputError: there is none.
    """
    found: dict[str, dict[Promise, None]] = {}  # two rules may have the same
    for rule in policy.rules:
        rubric = None if rule.dimension is None else rubrics.find(rule.dimension)
        if rule.promise is not None and rubric is not None:
            found.setdefault(rubric.dimension, {})[rule.promise] = None
    if not found:
        mend = "a fixed `cut` needs no calibration of its looks"
        raise InputError("no rule of the policy has a promise", file="--policy", mend=mend)
    return {name: list(promises) for name, promises in found.items()}


def with_stream_cuts(
    calibration: Calibration,
    rows: Mapping[RowKey, JudgedRow],
    gold: Sequence[GoldLabel],
    looks: Mapping[RowKey, Sequence[float | None]],
    plan: tuple[Mapping[str, Sequence[Promise]], StreamPolicy],
) -> tuple[Calibration, tuple[str, ...]]:
    """The calibration with cuts for streams, and one line for each promise that has none.

    Args:
        calibration: of the same judge.
        rows: the run.
        gold: its labels.
        looks: by gold row, P(harmless) of each look.
        plan: the promises by dimension, and the windows.

    Raises:
        GoldError: gold that isn't of this run.
    """
    promises, stream = plan
    often = looks_of(stream)
    dimensions, refused = dict(calibration.dimensions), list[str]()
    joined, frame = join(rows_of(gold), rows), frame_of(rows)
    for name, wanted in promises.items():
        mine = [one for one in joined if one.row.key.dimension == name]
        here = [row for row in rows.values() if row.key.dimension == name]
        even = bool(mine) and weigh(name, here, mine, frame).even
        seen = [
            LookedAt(looks.get(one.row.key, ()), one.label != 3, one.row.cluster)
            for one in mine
            if one.label is not None
        ]
        kept = [one for one in dimensions[name].thresholds if one.looks != often]
        for promise in wanted:
            found = stream_threshold(seen, promise, often) if even else UNEVEN
            if isinstance(found, Threshold):
                kept.append(found)
            else:
                refused.append(
                    f"{name}: a miss rate of {promise.miss_rate:g} can't be promised for streams"
                    f" with confidence {promise.confidence:g}: {found}"
                )
        dimensions[name] = dimensions[name].model_copy(update={"thresholds": tuple(kept)})
    return calibration.model_copy(update={"dimensions": dimensions}), tuple(refused)
