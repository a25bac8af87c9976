"""A lock between processes: one holds it, also after a fork, and where its file was deleted."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import filelock
import pytest

from guard.audit import open_log
from guard.audit.jsonl import JsonlEvents
from guard.audit.lock import locked
from guard.audit.spill import Spill
from judge.errors import InputError
from judge.journal import alone
from tests import warm
from tests.ordinary_user import ordinary_rights

TAKEN = InputError("another one holds it")


def test_one_holds_it_and_others_wait(tmp_path: Path) -> None:
    """As long as they care to; a server of an earlier release, which uses filelock, among them."""
    file = tmp_path / "new" / "a.lock"
    with locked(file):
        with pytest.raises(TimeoutError, match="is held by others"), locked(file, 0):
            pass
        with pytest.raises(filelock.Timeout), filelock.FileLock(file, timeout=0):
            pass
    with filelock.FileLock(file), pytest.raises(TimeoutError), locked(file, 0.01):
        pass
    with locked(file, 0):
        pass


def test_who_waits_gets_it_when_it_is_free(tmp_path: Path) -> None:
    """One after the other."""
    file, order = tmp_path / "a.lock", list[str]()

    def other() -> None:
        with locked(file):
            order.append("other")

    with locked(file):
        thread = threading.Thread(target=other)
        thread.start()
        order.append("one")
    thread.join(20)
    assert order == ["one", "other"]


def test_a_lock_that_was_deleted_meanwhile_is_nobody_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with its folder: who opened it before, and who makes it anew, would both go on."""
    file, opened = tmp_path / "a.lock", os.open

    def deleted(*given: object) -> int:
        monkeypatch.undo()
        fd = opened(*given)
        file.unlink()
        return int(fd)

    monkeypatch.setattr(os, "open", deleted)
    with locked(file), pytest.raises(TimeoutError), locked(file, 0):
        pass


@pytest.mark.parametrize("leads", ["nowhere", "b"])
def test_a_link_in_a_lock_s_place_is_told_and_never_followed(tmp_path: Path, leads: str) -> None:
    """Who may write there could else have files made, and held, wherever another user can."""
    (tmp_path / "b").touch()
    log, lock = tmp_path / "a.jsonl", tmp_path / "a.jsonl.lock"
    lock.symlink_to(tmp_path / leads)
    with pytest.raises(InputError, match="the lock is a symbolic link") as refused:
        open_log(f"jsonl:{log}")
    assert refused.value.file == lock
    with pytest.raises(InputError, match="the lock is a symbolic link"):
        JsonlEvents(log).forget(request_id="r")
    with pytest.raises(InputError, match="the lock is a symbolic link"):
        Spill(log).add(["{}"])
    with pytest.raises(InputError, match=r"a\.jsonl\.lock: is a symbolic link"), alone(lock, TAKEN):
        pass
    assert not (tmp_path / "nowhere").exists()


FORKED = """
import os, pathlib, sys
from guard.audit.lock import locked
file = pathlib.Path(sys.argv[1])
ended, ends = os.pipe()
with locked(file):
    child = os.fork()
    if child == 0:
        os.close(ends)
        os.read(ended, 1)
        os._exit(0)
with locked(file, 0):
    pass
"""


def test_a_child_that_is_forked_meanwhile_keeps_it_from_nobody(tmp_path: Path) -> None:
    """It has what its parent had open, and lives on."""
    command = warm.python(FORKED, tmp_path / "a.lock")
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True, timeout=60)


@pytest.mark.parametrize("name", ["a" * 300, "closed/b.lock"])
def test_a_lock_whose_place_can_t_be_looked_at_is_told(tmp_path: Path, name: str) -> None:
    """By one clear line."""
    (tmp_path / "closed").mkdir(mode=0o600)
    refused = pytest.raises(InputError, match="can't be written")
    with ordinary_rights(), refused, alone(tmp_path / name, TAKEN):
        pass
