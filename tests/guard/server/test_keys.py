"""`flames-judge keys`: keys are shown once, kept as hashes, and taken back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.server.keys.file import add_key, read_keys
from guard.server.keys.ring import KeyRing
from tests.cli.conftest import Flames

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_key_is_shown_once_and_kept_as_a_hash(flames: Flames, folder: Path) -> None:
    """Who reads the file has no key; who made it can use it."""
    made = flames("keys", "add", "ann", "--keys", "keys.json", "--rpm", "60")
    key = made.out.strip()
    assert made.status == 0
    assert re.fullmatch(r"fj-[\w-]{43}", key)
    kept = (folder / "keys.json").read_text()
    assert key not in kept
    assert json.loads(kept)["keys"][0]["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    found = KeyRing(folder / "keys.json").find(key)
    assert found is not None
    assert (found.name, found.rpm) == ("ann", 60)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_the_file_is_its_owner_s_alone(flames: Flames, folder: Path) -> None:
    """Also after it is changed."""
    for name in ("ann", "bob"):
        flames("keys", "add", name, "--keys", "keys.json")
        assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600
    flames("keys", "revoke", "ann", "--keys", "keys.json")
    assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_change_locks_no_server_of_another_user_out(flames: Flames, folder: Path) -> None:
    """Root adds and revokes keys; the server reads them by its group, or the file is its own."""
    file = folder / "keys.json"
    flames("keys", "add", "ann", "--keys", "keys.json")
    file.chmod(0o640)
    theirs = 65534 if os.geteuid() == 0 else os.geteuid()  # only root can give files away
    os.chown(file, theirs, -1)
    for change in (("add", "bob"), ("revoke", "ann")):
        assert flames("keys", *change, "--keys", "keys.json").status == 0
        found = file.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (theirs, 0o640)


def test_the_list_names_callers_and_no_hash(flames: Flames, folder: Path) -> None:
    """What a person wants to know."""
    flames("keys", "add", "ann", "--keys", "keys.json", "--rpm", "60")
    flames("keys", "add", "bob", "--keys", "keys.json")
    listed = flames("keys", "list", "--keys", "keys.json")
    assert [line.split("\t")[0] for line in listed.out.splitlines()] == ["ann", "bob"]
    assert "60 requests a minute" in listed.out
    assert not any(key.sha256[:8] in listed.out for key in read_keys(folder / "keys.json"))


def test_a_key_is_taken_back(flames: Flames, folder: Path) -> None:
    """The others stay."""
    flames("keys", "add", "ann", "--keys", "keys.json")
    flames("keys", "add", "bob", "--keys", "keys.json")
    assert flames("keys", "revoke", "ann", "--keys", "keys.json").status == 0
    assert [key.name for key in read_keys(folder / "keys.json")] == ["bob"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("add", "ann", "--keys", "keys.json"), "has a key for 'ann' already"),
        (("add", "two words", "--keys", "keys.json"), "is not a name for a key"),
        (("add", "", "--keys", "keys.json"), "is not a name for a key"),
        (("revoke", "eve", "--keys", "keys.json"), "there are ann"),
        (("list", "--keys", "no.json"), "flames-judge keys add"),
        (("list", "--keys", "broken.json"), "is not a file of keys"),
        (("add", "eve", "--keys", "broken.json"), "is not a file of keys"),
        (("add", "eve", "--keys", "no/such/keys.json"), "can't be"),
        (("add", "eve", "--keys", "."), "is a folder"),
    ],
)
def test_a_mistake_is_one_line(
    flames: Flames, folder: Path, args: tuple[str, ...], said: str
) -> None:
    """With the mend, and nothing is changed."""
    flames("keys", "add", "ann", "--keys", "keys.json")
    (folder / "broken.json").write_text('{"format": 1, "keys": [{"name": "x"}]}')
    before = (folder / "keys.json").read_bytes()
    ran = flames("keys", *args)
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert (folder / "keys.json").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that makes no files")
def test_a_folder_that_makes_no_files_is_named_as_such(flames: Flames, folder: Path) -> None:
    """And isn't taken for another command's doing, which is waited for."""
    ran = flames("keys", "add", "ann", "--keys", "/proc/keys.json")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "/proc/keys.json: can't be written: No such file or directory" in ran.err


def test_keys_added_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    """Two commands at once don't undo each other's change."""
    file = tmp_path / "keys.json"
    names = [f"caller-{n}" for n in range(12)]
    threads = [threading.Thread(target=add_key, args=(file, name, None, NOW)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in read_keys(file)} == set(names)


def test_no_key_is_no_key(tmp_path: Path) -> None:
    """An empty bearer opens nothing."""
    file = tmp_path / "keys.json"
    add_key(file, "ann", None, NOW)
    ring = KeyRing(file)
    assert ring.find("") is None
    assert ring.find("\udcff") is None
