from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judge.errors import InputError
from judge.journal import Journal, replace_file


def append(folder: Path, *lines: str) -> bool:
    with Journal.hold(folder / "log", folder / ".lock") as journal:
        journal.append(lines)
        return journal.mended


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("ab好", max_size=9), max_size=6), st.text("ab好", max_size=70000))
def test_a_torn_last_line_is_cut_off_and_every_whole_line_stays(
    tmp_path: Path, lines: list[str], torn: str
) -> None:
    """However long the torn part is, what stood before it is kept to the byte."""
    whole = "".join(line + "\n" for line in lines).encode()
    (tmp_path / "log").write_bytes(whole + torn.encode())
    assert append(tmp_path, "next\n") is bool(torn)
    assert (tmp_path / "log").read_bytes() == whole + b"next\n"


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    """Two runs on one folder would pay for the same rows: the second is told at once."""
    code = (
        "import sys; from pathlib import Path; from judge.journal import Journal\n"
        "from judge.errors import InputError\n"
        "folder = Path(sys.argv[1])\n"
        "try:\n    Journal.hold(folder / 'log', folder / '.lock').__enter__()\n"
        "except InputError as error:\n    print(error)\n"
    )
    with Journal.hold(tmp_path / "log", tmp_path / ".lock"):
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
    assert "another run is writing there" in other.stdout
    append(tmp_path, "free again\n")


def test_a_full_disk_loses_no_whole_line_and_leaves_no_torn_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills in the second line: the first is kept, and the error says how to go on."""
    real, calls = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return real(descriptor, data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal.hold(tmp_path / "log", tmp_path / ".lock") as journal:
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(InputError, match=r"No space left.*run the same command again"):
            journal.append(["first\n", "second\n"])
        monkeypatch.undo()
    assert (tmp_path / "log").read_text() == "first\n"


def test_a_limit_on_the_file_size_is_one_line_and_resumable(tmp_path: Path) -> None:
    """A real EFBIG from the kernel leaves whole lines behind."""
    code = (
        "import resource, sys; from pathlib import Path; from judge.journal import Journal\n"
        "from judge.errors import InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (25, 25))\n"
        "folder = Path(sys.argv[1])\n"
        "with Journal.hold(folder / 'log', folder / '.lock') as journal:\n"
        "    try:\n        for _ in range(9): journal.append(['0123456789\\n'])\n"
        "    except InputError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert (tmp_path / "log").read_text() == "0123456789\n" * 2


def test_a_folder_that_can_not_be_made_is_one_clear_error(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        append(tmp_path / "file" / "run", "x\n")


def test_a_replaced_file_is_whole_or_as_before(tmp_path: Path) -> None:
    """A folder in its place leaves no half file behind."""
    replace_file(tmp_path / "summary.json", "{}")
    assert (tmp_path / "summary.json").read_text() == "{}"
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("")
    with pytest.raises(InputError):
        replace_file(tmp_path / "taken", "{}")
    assert not (tmp_path / "taken.new").exists()


@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_without_a_name_is_one_clear_error(folder: str) -> None:
    """As who types `-o .` gets it."""
    with pytest.raises(InputError, match="is a folder"):
        replace_file(Path(folder), "{}")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the system has no /proc")
def test_a_folder_that_takes_no_files_is_not_called_another_run() -> None:
    """Waiting for a run that isn't there would help nobody."""
    file = Path("/proc/flames-judge.jsonl")
    with pytest.raises(InputError, match="can't be written"), Journal.hold(file, Path("/proc/.l")):
        pass
