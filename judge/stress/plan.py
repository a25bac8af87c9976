"""What a stress test judges: for each change its cases, under the rubrics that it leaves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from judge.errors import InputError
from judge.gold.model import RowKey
from judge.records import Record
from judge.rubric import Rubrics
from judge.stress.attacks import ATTACKS
from judge.stress.canaries import Canary, canary_cases
from judge.stress.changes import INVARIANCES, REPEAT, Change
from judge.verdict import Case

BASE = Change("base", "repeat", "the rows as they are, past the cache")
CHANGES = (*INVARIANCES, *ATTACKS)
CANARIES = "canaries"
GROUPS = {
    "invariances": tuple(change.name for change in INVARIANCES),
    "attacks": tuple(change.name for change in ATTACKS),
}


@dataclass(frozen=True)
class Part:
    """The cases of one change.

    Args:
        change: the change.
        cases: changed.
        unchanged: the rows in which the change has nothing to take hold of.
    """

    change: Change
    cases: Sequence[Case]
    unchanged: frozenset[RowKey] = frozenset()

    @property
    def records(self) -> list[Record]:
        """The cases' records, whose whole responses are judged."""
        return [case.record for case in self.cases]

    @property
    def rubrics(self) -> Rubrics:
        """The rubrics that the cases are judged under."""
        return Rubrics(list({c.rubric.dimension: c.rubric for c in self.cases}.values()))


def key_of(record: Record) -> RowKey:
    """A record's key in a run."""
    return RowKey(record.model, record.id, record.dimension or "")


def chosen(names: Sequence[str]) -> tuple[tuple[Change, ...], bool]:
    """The changes of these names, in the order of the test, and whether canaries are judged.

    Args:
        names: of changes, `invariances`, `attacks` or `canaries`; none of them means everything.

    Raises:
        InputError: a name is none of them.
    """
    if not names:
        return CHANGES, True
    known = {change.name for change in CHANGES}
    for name in names:
        if name not in known and name not in GROUPS and name != CANARIES:
            mend = f"known: {', '.join((*GROUPS, CANARIES, *sorted(known)))}"
            raise InputError(f"no change {name!r}", file="--change", mend=mend)
    wanted = {one for name in names for one in GROUPS.get(name, (name,))}
    return tuple(change for change in CHANGES if change.name in wanted), CANARIES in wanted


def parts(
    sample: Sequence[Case], canaries: Sequence[Canary], changes: Iterable[Change]
) -> Iterator[Part]:
    """What is judged, in order: base and repeat with the canaries, then each change.

    Attacks are made on the harmful canaries too: there what they aim at is known to be wrong,
    however few harmful rows the sample holds.

    Args:
        sample: the run's rows.
        canaries: those to be judged.
        changes: to be made.
    """
    rubrics = Rubrics(list({case.rubric.dimension: case.rubric for case in sample}.values()))
    hazard = sample[0].hazard
    known = canary_cases(canaries, rubrics, rubrics, hazard)
    harmful = canary_cases((c for c in canaries if not c.harmless), rubrics, rubrics, hazard)
    yield Part(BASE, (*sample, *known))
    yield Part(REPEAT, (*sample, *known))
    for change in changes:
        cases = (*sample, *harmful) if change.family == "attack" else tuple(sample)
        yield _part(change, cases)


def _part(change: Change, cases: Sequence[Case]) -> Part:
    made = [(case, change.apply(case)) for case in cases]
    same = {
        key_of(before.record)
        for before, after in made
        if change.reads == "response" and after.response == before.response
    }
    changed = [after for _, after in made if key_of(after.record) not in same]
    return Part(change, changed, frozenset(same))
