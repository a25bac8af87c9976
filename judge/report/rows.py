"""Judged rows, kept as columns: a million of them take 45 bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge.errors import InputError
from judge.rubric import Rubrics
from judge.verdict import FailureKind

WITHDRAWN, FILTERED, NOT_3 = -1, 0, 4  # outcome codes; 1, 2 and 3 are the labels
FAILURES = {kind.value: 10 + number for number, kind in enumerate(FailureKind)}
ABSTAINED = FAILURES[FailureKind.ABSTAINED.value]
UNKNOWN = -1  # a token count that the provider didn't give


class Scale(NamedTuple):
    """A dimension as the report knows it.

    `labels` runs from 3 down to 1; `suite` says whether the overall figure averages the dimension.
    """

    labels: tuple[int, ...]
    name_zh: str = ""
    suite: bool = True


def scales_of(rubrics: Rubrics) -> dict[str, Scale]:
    """The scale of every rubric, in the rubrics' order."""
    return {
        name: Scale(rubric.labels, rubric.name_zh, name in rubrics.suite)
        for name, rubric in rubrics.items()
    }


class Scored(NamedTuple):
    """One line of the log, without its texts.

    `key` (of model, record and dimension) and `cluster` (of the prompt) are unsigned 64-bit hashes.
    A verdict has `label` or, where 2 and 1 can't be told apart, `harmless=False` alone; a failure
    has `failure`, the kind's value; `filtered` marks a prompt that the tested provider's filter
    stopped; `withdrawn` takes the row back.
    """

    key: int
    model: str
    dimension: str
    cluster: int
    subcomponent: str | None = None
    label: int | None = None
    harmless: bool | None = None
    failure: str | None = None
    filtered: bool = False
    withdrawn: bool = False
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None


def cluster_of(prompt_sha256: str) -> int:
    """64-bit key of a prompt, from the hash that the log keeps (hex)."""
    return int(prompt_sha256[:16], 16)


@dataclass(frozen=True, slots=True)
class Columns:
    """The rows that count, one array a field, each of shape (n,)."""

    models: tuple[str, ...]
    dimensions: tuple[str, ...]
    subcomponents: tuple[str, ...]
    model: NDArray[np.int32]
    dimension: NDArray[np.int16]
    subcomponent: NDArray[np.int16]
    cluster: NDArray[np.uint64]
    outcome: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Spent:
    """What all lines cost, superseded ones too; null where nothing is known."""

    usd: float | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    rows_without_usd: int


class Tally:
    """Takes rows one by one and keeps their columns; memory grows by 45 bytes a row.

    Args:
        scales: the dimensions that rows may name, in the order of the report.
    """

    def __init__(self, scales: Mapping[str, Scale]) -> None:
        self.scales = dict(scales)
        self._dimensions = {name: number for number, name in enumerate(self.scales)}
        self._models: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._key, self._cluster = array("Q"), array("Q")
        self._model, self._dimension, self._part = array("i"), array("h"), array("h")
        self._outcome, self._usd = array("b"), array("d")
        self._tokens = (array("i"), array("i"), array("i"))

    def __len__(self) -> int:
        return len(self._key)

    def add(self, row: Scored) -> None:
        """Take one row.

        Raises:
            InputError: an unknown dimension, or a label that isn't on its scale.
        """
        outcome = self._code(row)
        part = row.subcomponent
        self._key.append(row.key)
        self._cluster.append(row.cluster)
        self._model.append(self._models.setdefault(row.model, len(self._models)))
        self._dimension.append(self._dimensions[row.dimension])
        self._part.append(-1 if part is None else self._parts.setdefault(part, len(self._parts)))
        self._outcome.append(outcome)
        self._usd.append(np.nan if row.cost_usd is None else row.cost_usd)
        used = (row.prompt_tokens, row.cached_tokens, row.completion_tokens)
        for column, tokens in zip(self._tokens, used, strict=True):
            column.append(UNKNOWN if tokens is None else tokens)

    def extend(self, rows: Iterable[Scored]) -> None:
        """Take many rows."""
        for row in rows:
            self.add(row)

    def _code(self, row: Scored) -> int:
        scale = self.scales.get(row.dimension)
        if scale is None:
            raise InputError(
                f"no rubric for the dimension {row.dimension!r}",
                mend="name its folder with --rubrics",
            )
        if row.withdrawn:
            return WITHDRAWN
        if row.filtered:
            return FILTERED
        if row.failure is not None:
            return FAILURES[row.failure]
        if row.label is not None:
            if row.label not in scale.labels:
                raise InputError(f"label {row.label} is not on the scale of {row.dimension}")
            return row.label
        if row.harmless is None:
            raise ValueError("a row needs a label, harmless, failure or filtered")
        if row.harmless:
            return 3
        return NOT_3 if 2 in scale.labels else 1

    def columns(self) -> Columns:
        """The rows that count: the last of each key."""
        keys = np.frombuffer(self._key, np.uint64)
        _, from_end = np.unique(keys[::-1], return_index=True)
        rows = np.sort(len(keys) - 1 - from_end)
        rows = rows[np.frombuffer(self._outcome, np.int8)[rows] != WITHDRAWN]
        return Columns(
            models=tuple(self._models),
            dimensions=tuple(self._dimensions),
            subcomponents=tuple(self._parts),
            model=np.frombuffer(self._model, np.int32)[rows],
            dimension=np.frombuffer(self._dimension, np.int16)[rows],
            subcomponent=np.frombuffer(self._part, np.int16)[rows],
            cluster=np.frombuffer(self._cluster, np.uint64)[rows],
            outcome=np.frombuffer(self._outcome, np.int8)[rows],
        )

    def spent(self) -> Spent:
        """What the run has cost: every line counts, since a superseded call was paid for too."""
        usd = np.frombuffer(self._usd, float)
        known = ~np.isnan(usd)
        tokens = [np.frombuffer(column, np.int32) for column in self._tokens]
        totals = [int(t[t >= 0].sum(dtype=np.int64)) if (t >= 0).any() else None for t in tokens]
        total = float(usd[known].sum()) if known.any() else None
        return Spent(total, totals[0], totals[1], totals[2], int((~known).sum()))
