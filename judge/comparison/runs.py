"""A judge's run as it is compared: its rows, what each cost, and a name of its own. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from judge.errors import InputError
from judge.gold.model import RowKey
from judge.judged import JudgedRow, judged_rows
from judge.runlog import Entry, prompt_sha256
from judge.text import fingerprint
from judge.verdict import JudgeRef

FREE = "embedded"  # asks no provider


class Spent(NamedTuple):
    """What a row's outcome took.

    `usd` is null where the run doesn't tell; `free` says that no provider was asked. An answer out
    of the cache tells neither price nor time. `texts` and `prompt` say whether the run knew them.
    """

    usd: float | None
    free: bool
    seconds: float | None
    cached: bool
    texts: bool
    prompt: bool


@dataclass(frozen=True)
class JudgeRun:
    """One judge's run.

    Args:
        name: what the judge is called here, unlike any other.
        source: where the run is, as it was given.
        rows: what a judge was asked about.
        spent: what each of these rows took.
        payers: the judges beside `embedded` whose price is in the rows' cost.
    """

    name: str
    source: str
    rows: Mapping[RowKey, JudgedRow]
    spent: Mapping[RowKey, Spent]
    payers: frozenset[str]

    @property
    def judges(self) -> tuple[JudgeRef, ...]:
        """Who signed its rows, the commonest first."""
        refs = Counter(row.judge for row in self.rows.values() if row.judge is not None)
        return tuple(ref for ref, _ in refs.most_common())

    @property
    def spec(self) -> str:
        """The judge's own name: the commonest of its rows."""
        names = Counter(row.judge.name for row in self.rows.values() if row.judge is not None)
        return names.most_common(1)[0][0] if names else "?"


class _Watch:
    """Keeps what rows took while they pass."""

    def __init__(self) -> None:
        self.spent: dict[RowKey, Spent] = {}
        self.payers: set[str] = set()

    def __call__(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            key = RowKey(entry.model, entry.record_id, entry.dimension)
            self.spent[key] = _spent(entry)
            names = [vote.judge for vote in entry.votes]
            self.payers.update(name for name in names if name != FREE)
            yield entry


def _spent(entry: Entry) -> Spent:
    names = {vote.judge for vote in entry.votes} or {entry.judge.name if entry.judge else ""}
    free = names == {FREE} and entry.cost_usd is None and entry.usage is None
    nothing = fingerprint(entry.prompt or "", "text", "")
    return Spent(
        usd=0.0 if free else entry.cost_usd,
        free=free,
        seconds=None if entry.cached else entry.latency_s,
        cached=entry.cached,
        texts=entry.response is not None or entry.content_sha256 != nothing,
        prompt=entry.prompt_sha256 != prompt_sha256(entry.record_id),
    )


def read_run(source: str, entries: Iterable[Entry]) -> JudgeRun:
    """A run from its log, named by its judge alone; see `named_runs`."""
    watch = _Watch()
    rows = judged_rows(watch(entries))
    spent = {key: watch.spent[key] for key in rows}
    run = JudgeRun("", source, rows, spent, frozenset(watch.payers))
    return JudgeRun(run.spec, source, rows, spent, run.payers)


def named_runs(runs: Sequence[JudgeRun]) -> tuple[JudgeRun, ...]:
    """The runs with names that tell them apart: by judge, with the folder, with the whole path."""
    for names in (
        [run.spec for run in runs],
        [f"{run.spec} ({_folder(run.source)})" for run in runs],
        [f"{run.spec} ({run.source})" for run in runs],
    ):
        counts = Counter(names)
        if max(counts.values(), default=1) == 1:
            break
    short = Counter(run.spec for run in runs)
    told = [
        run.spec if short[run.spec] == 1 else name for run, name in zip(runs, names, strict=True)
    ]
    return tuple(
        JudgeRun(name, run.source, run.rows, run.spent, run.payers)
        for name, run in zip(told, runs, strict=True)
    )


def _folder(source: str) -> str:
    path = Path(source)
    return path.parent.name if path.name == "verdicts.jsonl" else path.name


def find_run(runs: Sequence[JudgeRun], text: str, flag: str) -> int:
    """The place of the run that a flag names: by its path, or by its judge's name.

    Raises:
        InputError: none is so named, or several are.
    """
    path = str(Path(text))
    for called in (
        [str(Path(run.source)) == path for run in runs],
        [run.name == text for run in runs],
        [text in {run.spec, _folder(run.source)} for run in runs],
    ):
        if sum(called) == 1:
            return called.index(True)
        if any(called):
            mend = f"write {' or '.join(run.source for run in runs)}"
            raise InputError(f"{text!r} names several of the runs", file=flag, mend=mend)
    mend = f"write {' or '.join(run.source for run in runs)}"
    raise InputError(f"{text!r} is none of the runs", file=flag, mend=mend)
