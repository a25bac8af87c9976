"""The drift watch: quiet on unchanged traffic however long, and awake when it changes."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from random import Random

import pytest

from guard import drift
from guard.drift import MARK, RULES, DriftWatch, KeptWatch, load_drift
from guard.event import MissedEvent
from judge.errors import InputError
from tests.guard.audit.test_logs import event


def watch(alarms: list[str] | None = None, **more: object) -> DriftWatch:
    told = [] if alarms is None else alarms
    return DriftWatch(
        "p", None, size=100, rng=Random(1), alarm=lambda name, _: told.append(name), **more
    )


def traffic(one, rng: Random, n: int, low: float, start: int = 0) -> None:
    for number in range(start, start + n):
        score = min(1.0, rng.betavariate(8, 2) - low) if rng.random() > 0.05 else 0.1
        one(event(0, conversation=f"c{number}", scores={"Legality": max(0.0, score)}, rules=()))


def test_unchanged_traffic_raises_no_alarm() -> None:
    """Three thousand conversations like the first hundred."""
    alarms: list[str] = []
    one = watch(alarms)
    traffic(one, Random(2), 3000, 0.0)
    assert (one.recorded, alarms) == (100, [])


def test_changed_traffic_raises_the_alarm_of_its_stream() -> None:
    """Scores that have moved down are noticed, and which way."""
    alarms: list[str] = []
    one = watch(alarms)
    traffic(one, Random(2), 500, 0.0)
    traffic(one, Random(3), 500, 0.2, start=500)
    assert alarms == ["Legality"]
    assert one.evidence["Legality"].towards == "lower"


def test_more_blocks_are_drift_too() -> None:
    """Also where no dimension is judged, by rules that act."""
    alarms: list[str] = []
    one = watch(alarms)
    rng = Random(4)
    for number in range(1500):
        acted = rng.random() < (0.02 if number < 500 else 0.3)
        more = {} if acted else {"rules": ()}
        one(event(0, conversation=f"c{number}", scores={}, **more))
    assert alarms == [RULES]


def test_a_conversation_counts_once() -> None:
    """A thousand turns of one user are one score."""
    one = watch()
    for _ in range(1000):
        one(event(0))
    assert one.recorded == 1


def test_a_watch_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Baseline and evidence are kept; another policy starts anew."""
    file = tmp_path / "drift.json"
    before, after = watch(), watch()
    first = KeptWatch(before, file)
    traffic(first, Random(2), 400, 0.0)
    first.save()
    assert KeptWatch(after, file).resumed
    assert after.evidence == before.evidence
    other = DriftWatch("another policy", None, rng=Random(1))
    assert not KeptWatch(other, file).resumed


@pytest.mark.parametrize("counted", [60, 400], ids=["in the baseline", "after it"])
def test_a_conversation_that_goes_on_after_a_restart_counts_once(
    tmp_path: Path, counted: int
) -> None:
    """Whoever comes back often would else be many scores, and change what traffic looks like."""
    file = tmp_path / "drift.json"
    first = KeptWatch(one := watch(), file)
    traffic(first, Random(2), counted, 0.0)
    first.save()
    second = KeptWatch(watch(), file)
    traffic(second, Random(3), counted, 0.0)
    second.save()
    now, before = load_drift(file), one.state()
    assert (now.baseline, now.monitor) == (before.baseline, before.monitor)
    traffic(second, Random(3), 1, 0.0, start=counted)
    second.save()
    after = load_drift(file)
    assert (after.baseline, after.monitor) != (before.baseline, before.monitor)


def test_what_is_kept_of_conversations_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory and in the file; who came long ago counts anew."""
    monkeypatch.setattr(drift, "REMEMBERED", 3)
    file = tmp_path / "drift.json"
    for _ in range(2):
        kept = KeptWatch(one := watch(), file)
        traffic(kept, Random(2), 5, 0.0)
        kept.save()
        assert len(load_drift(file).counted) == 3 * MARK
    assert one.recorded == 10
    traffic(kept, Random(2), 3, 0.0, start=2)
    assert one.recorded == 10


def test_a_state_of_an_earlier_release_goes_on(tmp_path: Path) -> None:
    """It doesn't say who has counted."""
    file = tmp_path / "drift.json"
    kept = watch()
    traffic(kept, Random(2), 60, 0.0)
    earlier = kept.state().model_dump_json(exclude={"counted"})
    file.write_text(earlier, encoding="utf-8")
    assert KeptWatch(one := watch(), file).resumed
    assert one.recorded == 60


def test_an_alarm_that_stands_is_told_again_after_a_restart(tmp_path: Path) -> None:
    """Its stream is watched no more, which the old process's log alone would know."""
    file = tmp_path / "drift.json"
    kept = KeptWatch(one := watch(), file)
    traffic(one, Random(2), 500, 0.0)
    traffic(one, Random(3), 500, 0.2, start=500)
    kept.save()
    alarms: list[str] = []
    assert KeptWatch(watch(alarms), file).resumed
    assert alarms == ["Legality"]


def test_a_file_that_is_no_state_is_one_line(tmp_path: Path) -> None:
    """With its mend; a score that is no probability would stop the watch at its next event."""
    file = tmp_path / "drift.json"
    whole = watch().state().model_dump_json()
    score = whole.replace('"baseline":{', '"baseline":{"Legality":[7.0]')
    half = whole.replace('"counted":"', '"counted":"AAAA')
    assert score != whole != half
    for text in ("{}", score, half):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="is no state of a drift monitor"):
            load_drift(file)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_state_is_its_owners_alone(tmp_path: Path) -> None:
    """Others on the machine can't try out how a conversation began."""
    KeptWatch(watch(), tmp_path / "drift.json").save()
    assert stat.S_IMODE((tmp_path / "drift.json").stat().st_mode) == 0o600


def test_a_watch_that_cant_be_kept_is_refused_at_the_start(tmp_path: Path) -> None:
    """And not found out after a hundred answers, or at the end."""
    with pytest.raises(InputError, match="can't be written"):
        KeptWatch(watch(), tmp_path / "none" / "drift.json")
    KeptWatch(watch(), tmp_path / "drift.json")
    assert load_drift(tmp_path / "drift.json").baseline == {}


def test_a_watch_that_can_t_be_kept_for_a_while_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a full disk: no request fails for it, nor the end, and it is kept when it can be."""
    file = tmp_path / "drift.json"
    kept = KeptWatch(watch(), file)
    file.unlink()
    file.mkdir()
    traffic(kept, Random(2), 250, 0.0)
    kept.keep()
    told = f"the watch for drift is not kept: {file}: can't be written: is a folder"
    assert [message.partition(" (")[0] for message in caplog.messages] == [told]
    file.rmdir()
    kept.keep()
    assert load_drift(file).counted


def test_a_judge_that_is_down_is_no_drift() -> None:
    """Of a failed check nobody knows whether a rule would have acted."""
    alarms: list[str] = []
    one, rng = watch(alarms), Random(4)
    down = {"rules": (), "missed": (MissedEvent(rule="r", kind="unavailable"),)}
    for number in range(2000):
        more = {} if rng.random() < 0.3 else {"rules": ()}
        if number >= 500:
            more = down
        one(event(0, conversation=f"c{number}", scores={}, **more))
    assert alarms == []


def test_the_baseline_ends_also_where_some_check_always_fails() -> None:
    """What is recorded is bounded, and the scores that there are get watched."""
    one = watch()
    failed = (MissedEvent(rule="r", kind="deadline"),)
    for number in range(300):
        one(event(0, conversation=f"c{number}", scores={"Legality": 0.9}, missed=failed))
    assert (one.recorded, list(one.evidence)) == (100, ["Legality"])
