from __future__ import annotations

import pickle
import sqlite3
import stat
from pathlib import Path

import pytest

from judge.errors import InputError
from judge.store import DiskStore, open_cache


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.file), "w")


async def test_an_answer_is_there_in_the_next_run(tmp_path: Path) -> None:
    """What one store keeps, the next one finds."""
    store = DiskStore(tmp_path / "cache")
    await store.put("k", '{"label": 3}')
    store.close()
    again = DiskStore(tmp_path / "cache")
    assert await again.get("k") == '{"label": 3}'
    assert await again.get("other") is None
    again.close()


async def test_only_the_owner_can_read_the_cache(tmp_path: Path) -> None:
    """Reasons and quotes of judged texts are kept in it."""
    DiskStore(tmp_path / "cache").close()
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
@pytest.mark.parametrize("raw", [0, 1])
async def test_a_planted_pickle_does_not_run(tmp_path: Path, mode: int, raw: int) -> None:
    """A row that somebody edited into the database is a miss, whatever it claims to be."""
    fired = tmp_path / "fired"
    store = DiskStore(tmp_path / "cache")
    await store.put("k", "text")
    store.close()
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as database:
        payload = pickle.dumps(Bomb(fired))
        database.execute("UPDATE Cache SET mode = ?, value = ?, raw = ?", (mode, payload, raw))
    database.close()
    planted = DiskStore(tmp_path / "cache")
    assert await planted.get("k") is None
    await planted.put("k", "new")
    planted.close()
    assert not fired.exists()


async def test_a_planted_file_name_deletes_and_reads_nothing(tmp_path: Path) -> None:
    """A row that points outside the cache neither shows that file nor has it deleted."""
    secret = tmp_path / "secret"
    secret.write_text("keep me")
    store = DiskStore(tmp_path / "cache")
    await store.put("k", "text")
    store.close()
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 3, filename = '../secret', value = NULL")
    database.close()
    planted = DiskStore(tmp_path / "cache")
    assert await planted.get("k") is None
    await planted.put("k", "new")
    assert await planted.get("k") == "new"
    planted.close()
    assert secret.read_text() == "keep me"


async def test_a_store_that_can_not_write_says_so_once_and_goes_on(tmp_path: Path) -> None:
    """A full or broken disk costs the cache, not the run."""
    said: list[str] = []
    store = DiskStore(tmp_path / "cache", said.append)
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as database:
        database.execute("DROP TABLE Cache")
    database.close()
    await store.put("a", "1")
    await store.put("b", "2")
    assert await store.get("a") is None
    store.close()
    assert len(said) == 1


def test_a_cache_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    """The error names the folder and the way out."""
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match="--no-cache"):
        open_cache(tmp_path / "cache")
