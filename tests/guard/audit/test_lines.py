"""Lines that are appended while others are taken out: none is lost, torn, or waited for."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import pytest

from guard.audit.lines import SharedLines
from judge.errors import InputError


def filled(file: Path) -> SharedLines:
    """Ten lines, of which every other is to go."""
    lines = SharedLines(file)
    for number in range(10):
        lines.append(f"{'kept' if number % 2 else 'gone'} {number}")
    return lines


def going(meanwhile: Callable[[], object]) -> Callable[[bytes], bool]:
    """Which lines go; `meanwhile` is what happens while the first one is looked at."""
    todo = [meanwhile]

    def goes(line: bytes) -> bool:
        if todo:
            todo.pop()()
        return line.startswith(b"gone")

    return goes


@contextmanager
def no_file_beyond(most: int) -> Iterator[None]:
    """The disk is full: no file may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


KEPT = [f"kept {number}" for number in range(1, 10, 2)]


def test_nobody_waits_while_old_lines_are_taken_out(tmp_path: Path) -> None:
    """A server that forgets a month's decisions answers all the while, and loses none."""
    file = tmp_path / "a.jsonl"
    lines = filled(file)

    def meanwhile() -> None:
        with filelock.FileLock(f"{file}.lock", timeout=0), file.open("ab") as other:
            other.write(b"kept late\ngone late\n")

    assert lines.take_out(going(meanwhile)) == 6
    lines.append("kept last")
    assert file.read_text(encoding="utf-8").splitlines() == [*KEPT, "kept late", "kept last"]
    lines.close()


def test_a_file_that_is_moved_away_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """As by logrotate: the new file keeps its own lines."""
    file, away = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
    lines = filled(file)
    whole = file.read_bytes()

    def meanwhile() -> None:
        file.rename(away)
        file.write_text("gone new\nkept new\n", encoding="utf-8")

    assert lines.take_out(going(meanwhile)) == 1
    assert file.read_text(encoding="utf-8") == "kept new\n"
    assert away.read_bytes() == whole
    assert lines.take_out(going(lambda: file.rename(tmp_path / "a.jsonl.2"))) == 0
    assert not file.exists()
    lines.close()


def test_a_file_that_is_cut_meanwhile_gets_nothing_back(tmp_path: Path) -> None:
    """As by logrotate's `copytruncate`: what was copied away is not written a second time."""
    file = tmp_path / "a.jsonl"
    lines = filled(file)

    def meanwhile() -> None:
        os.truncate(file, 0)
        file.write_text("kept new\n" * 50, encoding="utf-8")

    assert lines.take_out(going(meanwhile)) == 0
    assert file.read_text(encoding="utf-8") == "kept new\n" * 50
    lines.close()


def test_lines_behind_a_link_are_taken_out_where_they_are(tmp_path: Path) -> None:
    """Else the file on the larger disk would keep what was to be forgotten."""
    file, link = tmp_path / "disk" / "a.jsonl", tmp_path / "a.jsonl"
    file.parent.mkdir()
    link.symlink_to(file)
    lines = filled(link)
    assert lines.take_out(going(lambda: None)) == 5
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8").splitlines() == KEPT
    lines.close()


def test_who_takes_lines_out_leaves_the_file_to_those_whose_it_is(tmp_path: Path) -> None:
    """Root deletes what a server wrote, who writes on as somebody else."""
    file = tmp_path / "a.jsonl"
    lines = filled(file)
    locks = [file.with_name(file.name + end) for end in (".lock", ".new.lock")]
    locks[0].unlink()
    file.chmod(0o640)
    theirs = 65534 if os.geteuid() == 0 else os.geteuid()  # only root can give files away
    os.chown(file, theirs, -1)
    assert lines.take_out(going(lambda: None)) == 5
    lines.close()
    assert [one.stat().st_uid for one in (file, *locks)] == [theirs] * 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert all(stat.S_IMODE(lock.stat().st_mode) == 0o600 for lock in locks)


def test_lines_go_also_where_others_of_a_group_read_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes it need not be of their group; what can't be given to it, it doesn't read."""

    def not_permitted(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    file = tmp_path / "a.jsonl"
    lines = filled(file)
    file.chmod(0o640)
    monkeypatch.setattr("guard.audit.owner.give", not_permitted)
    assert lines.take_out(going(lambda: None)) == 5
    lines.close()
    assert file.read_text(encoding="utf-8").splitlines() == KEPT
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_stands_in_the_way_is_no_way_to_another_file(tmp_path: Path) -> None:
    """Whoever may write in the folder could lead root to a file of root's."""
    file, other = tmp_path / "a.jsonl", tmp_path / "other"
    other.write_text("other", encoding="utf-8")
    lines = filled(file)
    file.with_name("a.jsonl.new").symlink_to(other)
    assert lines.take_out(going(lambda: None)) == 5
    lines.close()
    assert other.read_text(encoding="utf-8") == "other"
    assert file.read_text(encoding="utf-8").splitlines() == KEPT


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """What reads the file line by line would stumble over it for ever."""
    file = tmp_path / "a.jsonl"
    lines = filled(file)
    before = file.read_bytes()
    with no_file_beyond(len(before) + 9), pytest.raises(OSError, match="only 9 of 21 bytes"):
        lines.append("a line of 20 letters")
    assert file.read_bytes() == before
    lines.close()


def test_a_file_that_can_t_be_made_for_a_while_is_made_later(tmp_path: Path) -> None:
    """Something else stands in its place; each line is tried anew."""
    file = tmp_path / "a.jsonl"
    lines = filled(file)
    file.unlink()
    file.mkdir()
    for _ in range(2):
        with pytest.raises(InputError, match="can't be written: Is a directory"):
            lines.append("too early")
    file.rmdir()
    lines.append("in time")
    assert file.read_text(encoding="utf-8") == "in time\n"
    lines.close()


def test_a_log_whose_lock_can_t_be_made_is_refused_at_once(tmp_path: Path) -> None:
    """Else a server would start, and lose every event."""
    file = tmp_path / "events.jsonl"
    file.with_name("events.jsonl.lock").mkdir()
    with pytest.raises(InputError, match="can't be written: Is a directory") as raised:
        SharedLines(file)
    assert raised.value.file == file.with_name("events.jsonl.lock")


def test_a_log_that_somebody_holds_is_opened_all_the_same(tmp_path: Path) -> None:
    """Who deletes old events of a large file holds it for a while."""
    file = tmp_path / "events.jsonl"
    first = SharedLines(file)
    with filelock.FileLock(file.with_name("events.jsonl.lock")):
        SharedLines(file).close()
    first.close()
