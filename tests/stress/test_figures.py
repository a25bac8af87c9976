"""What came of each change is counted once, and held against the judge's own noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.gold.model import RowKey
from judge.stats.estimate import Estimate
from judge.stress.attacks import ATTACKS
from judge.stress.canaries import Canary, shipped_canaries
from judge.stress.changes import INVARIANCES, REPEAT
from judge.stress.figures import Judged
from judge.stress.model import Drawn, JudgeLine, Spent, StressReport
from judge.stress.outcomes import Result, Said, moved
from judge.stress.plan import BASE, chosen
from judge.stress.report import Facts, build

TRADITIONAL = next(change for change in INVARIANCES if change.name == "traditional")
ORDER = next(change for change in ATTACKS if change.name == "order")
NOT_3 = Said(None, False, None)
FAILED = Said(None, None, "timeout")
ONE_OF = st.sampled_from(
    [*(Said(label, label == 3, None) for label in (1, 2, 3)), NOT_3, FAILED, None]
)


def says(label: int) -> Said:
    return Said(label, label == 3, None)


def keys(n: int, dimension: str = "Legality") -> list[RowKey]:
    return [RowKey("m", f"r{number}", dimension) for number in range(n)]


def judged(
    base: Mapping[RowKey, Said], repeat: Mapping[RowKey, Said], canaries: Sequence[RowKey] = ()
) -> Judged:
    rows = [key for key in base if key not in canaries]
    return Judged(
        sample=rows,
        canaries=canaries,
        clusters={key: number for number, key in enumerate(base)},
        base=Result(BASE, base),
        repeat=Result(REPEAT, repeat),
        confidence=0.95,
    )


def report(
    found: Judged, *results: Result, canaries: Sequence[tuple[RowKey, Canary]] = ()
) -> StressReport:
    drawn = Drawn(n=len(found.sample), seed=0, frame_n=99, frame_sha256="f", models=("m",))
    facts = Facts(
        judge=JudgeLine(name="scripted", fingerprints={}),
        sample=drawn,
        canaries=canaries,
        same_family=(),
        left_out=(),
        cost=Spent(usd=None, prompt_tokens=None, completion_tokens=None),
        finished=True,
    )
    return build(found, results, facts)


def test_a_label_moves_toward_harmless_or_toward_harmful() -> None:
    """Where 2 and 1 were not told apart, only whether the row is harmless counts."""
    assert moved(says(1), says(2)) == moved(says(1), says(3)) == moved(NOT_3, says(3)) == 1
    assert moved(says(3), says(2)) == moved(says(2), says(1)) == moved(says(3), NOT_3) == -1
    assert moved(NOT_3, says(1)) == moved(says(2), NOT_3) == moved(says(2), says(2)) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ONE_OF, ONE_OF, ONE_OF, st.booleans()), min_size=1, max_size=12))
def test_every_row_is_counted_once_under_every_change(
    rows: list[tuple[Said | None, Said | None, Said | None, bool]],
) -> None:
    """Compared, unchanged, unjudged here or in the base, or not reached: nothing is dropped."""
    names = keys(len(rows))
    columns = [{k: r[i] for k, r in zip(names, rows, strict=True) if r[i]} for i in range(3)]
    same = frozenset(k for k, r in zip(names, rows, strict=True) if r[3])
    base, repeat, changed = columns
    found = Judged(names, (), dict.fromkeys(names, 1), Result(BASE, base),
                   Result(REPEAT, repeat), 0.95)  # fmt: skip
    kept = {key: said for key, said in changed.items() if key not in same}
    cell = report(found, Result(TRADITIONAL, kept, same)).changes[1].all
    parts = (cell.compared, cell.unchanged, cell.base_unjudged, cell.open)
    assert cell.rows == sum(parts) + sum(cell.unjudged.values()) == len(rows)
    assert cell.flips == cell.toward_harmless + cell.toward_harmful <= cell.compared
    assert cell.unchanged == len(same)


def test_unjudged_rows_are_neither_flips_nor_steady() -> None:
    """Two rows fail under the change: the rate is that of the other eight."""
    names = keys(10)
    base = dict.fromkeys(names, says(3))
    changed = base | {names[0]: FAILED, names[1]: FAILED, names[2]: says(1)}
    cell = report(judged(base, base), Result(TRADITIONAL, changed)).changes[1].all
    assert (cell.compared, cell.unjudged, cell.flips) == (8, {"timeout": 2}, 1)
    assert isinstance(cell.flip_rate, Estimate)
    assert (cell.flip_rate.value, cell.flip_rate.n) == (1 / 8, 8)


def test_a_change_that_moves_more_than_the_repeat_is_named() -> None:
    """Ten of twenty rows move, one of them under the repeat: p is the exact binomial tail."""
    names = keys(20)
    base = dict.fromkeys(names, says(3))
    repeat = base | {names[0]: says(2)}
    changed = base | dict.fromkeys(names[:10], says(1))
    found = report(judged(base, repeat), Result(TRADITIONAL, changed), Result(ORDER, base))
    against = found.changes[1].against
    assert against is not None
    assert (against.change_alone, against.repeat_alone, against.n) == (9, 0, 20)
    assert against.p == pytest.approx(0.5**9)
    assert against.p_adjusted == pytest.approx(against.p)  # nothing is exposed to the attack
    assert found.passed is False
    told = next(line for line in found.findings if "should have stayed" in line)
    assert "traditional (10 of 20, p = 0.002)" in told


def test_a_noisy_judge_is_not_blamed_on_the_change() -> None:
    """Half of the rows move either way: the repeat shows that this is the judge's own doing."""
    names = keys(20)
    base = dict.fromkeys(names, says(3))
    repeat = base | dict.fromkeys(names[::2], says(1))
    changed = base | dict.fromkeys(names[1::2], says(1))
    found = report(judged(base, repeat), Result(TRADITIONAL, changed))
    assert found.passed is True
    assert any("own noise: 10 of 20 rows changed" in line for line in found.findings)
    assert not any("should have stayed" in line for line in found.findings)


def test_many_changes_need_stronger_evidence() -> None:
    """Six rows against none are enough for one change and not for eighteen (Holm)."""
    names = keys(20)
    base = dict.fromkeys(names, says(3))
    changed = base | dict.fromkeys(names[:6], says(1))
    one = report(judged(base, base), Result(TRADITIONAL, changed))
    every, _ = chosen(())
    results = [
        Result(change, changed if change == TRADITIONAL else base)
        for change in every
        if change.family == "invariance"
    ]
    many = report(judged(base, base), *results)
    assert one.passed is False
    assert many.passed is True


def test_an_attack_counts_where_it_makes_harmful_rows_harmless() -> None:
    """Canaries keep it visible when the sample holds no harmful row; a fall is told apart."""
    names, canaries = keys(20), [RowKey("c", f"c{n}", "Legality") for n in range(8)]
    base = dict.fromkeys(names, says(3)) | dict.fromkeys(canaries, says(1))
    obeyed = base | dict.fromkeys(canaries, says(3)) | dict.fromkeys(names[:4], says(1))
    found = report(judged(base, base, canaries), Result(ORDER, obeyed))
    attack = found.changes[1]
    assert attack.followed is not None
    assert (attack.followed.exposed, attack.followed.turned) == (8, 8)
    assert (attack.followed.canaries, attack.followed.canaries_turned) == (8, 8)
    assert (attack.all.toward_harmless, attack.all.toward_harmful) == (0, 4)
    assert found.passed is False
    assert any("follows the attack order" in line for line in found.findings)
    assert any(
        "someone spoke to the judge" in line and "4 of 20" in line for line in found.findings
    )


def test_one_row_that_an_attack_turns_is_told_and_not_called_more_than_noise() -> None:
    """A single row may be chance; it is printed all the same."""
    names = keys(5)
    base = dict.fromkeys(names, says(1))
    found = report(judged(base, base), Result(ORDER, base | {names[0]: says(3)}))
    assert found.passed is True
    assert any("yet not beyond the judge's own noise" in line for line in found.findings)


def test_a_judge_that_gets_canaries_wrong_is_told_plainly() -> None:
    """Which ones, by name; one without a verdict is neither right nor wrong."""
    canaries = [c for c in shipped_canaries() if c.dimension == "Legality"]
    rows = [(RowKey("c", canary.id, canary.dimension), canary) for canary in canaries]
    base = {key: says(3) for key, _ in rows} | {rows[0][0]: FAILED}
    harmful = [key for key, canary in rows if not canary.harmless]
    found = judged(base | dict.fromkeys(keys(3), says(3)), {}, [key for key, _ in rows])
    result = report(found, canaries=rows)
    assert result.canaries is not None
    count = result.canaries.all
    assert (count.n, count.right, count.wrong, count.unjudged) == (4, 1, 2, 1)
    assert result.canaries.wrong == tuple(key.record_id for key in harmful)
    assert result.passed is False
    assert "2 of 4 canaries wrong" in result.findings[0]


def test_a_judge_that_says_nothing_is_neither_passed_nor_failed() -> None:
    """No verdict, no figure: the report says why instead."""
    base = dict.fromkeys(keys(3), Said(None, None, "abstained"))
    found = report(judged(base, base), Result(TRADITIONAL, base))
    assert found.passed is None
    assert found.changes[1].all.flip_rate.value is None
    assert found.changes[1].all.base_unjudged == 3
    assert any("no row was judged twice" in line for line in found.findings)
