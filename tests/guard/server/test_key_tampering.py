"""A file of keys that somebody has broken, or replaced: nobody is let in, and one line says why."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.server.keys.file import MOST_BYTES, add_key, key_hash, read_keys
from guard.server.keys.ring import KeyRing
from judge.errors import InputError
from tests.cli.conftest import Flames
from tests.guard.server.serving import Stand, says, standing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CREATED = NOW.isoformat()
CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "你好"}]}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other files")


def entry(**more: object) -> str:
    """A file of one key."""
    key = {"name": "eve", "sha256": key_hash("guessed"), "created": CREATED, **more}
    return json.dumps({"format": 1, "keys": [key]})


def written(text: str) -> Callable[[Path], None]:
    """Puts a text in the file's place."""

    def made(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    return made


def _large(file: Path) -> None:
    file.write_text(entry(), encoding="utf-8")
    os.truncate(file, MOST_BYTES + 1)


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _link(to: str) -> Callable[[Path], None]:
    def made(file: Path) -> None:
        file.unlink()
        file.symlink_to(to)

    return made


NO_FILE_OF_KEYS = "is not a file of keys"
TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no_json": (written("{"), NO_FILE_OF_KEYS),
    "nothing": (written(""), NO_FILE_OF_KEYS),
    "a_list": (written("[]"), NO_FILE_OF_KEYS),
    "deep": (written("[" * 100_000), NO_FILE_OF_KEYS),
    "another_format": (written('{"format": 2, "keys": []}'), NO_FILE_OF_KEYS),
    "short_hash": (written(entry(sha256=key_hash("guessed")[:63])), NO_FILE_OF_KEYS),
    "long_hash": (written(entry(sha256=key_hash("guessed") + "0")), NO_FILE_OF_KEYS),
    "no_hash": (written(entry(sha256="")), NO_FILE_OF_KEYS),
    "plain_key": (written(entry(sha256="guessed")), NO_FILE_OF_KEYS),
    "unknown_field": (written(entry(admin=True)), NO_FILE_OF_KEYS),
    "no_number": (written(entry(rpm="many")), NO_FILE_OF_KEYS),
    "large": (_large, f"is larger than {MOST_BYTES:,} bytes"),
    "deleted": (Path.unlink, "No such file or directory"),
    "directory": (_directory, "Is a directory"),
    "pipe": (_pipe, "is no plain file"),
    "device": (_link("/dev/zero"), "is no plain file"),
    "loop": (_link("keys.json"), "Too many levels of symbolic links"),
    "link_to_nothing": (_link("gone.json"), "No such file or directory"),
    "anybody_s": (lambda file: file.chmod(0o606), "can be changed by anybody (chmod o-w "),
}


async def asks(stand: Stand, key: str) -> int:
    """The status that a key gets."""
    async with asyncio.timeout(10):
        return (await stand.served.post(CHAT, BODY, authorization=f"Bearer {key}")).status


@pytest.mark.parametrize("tampered", TAMPERED)
async def test_a_file_that_was_tampered_with_lets_nobody_in(
    tmp_path: Path, tampered: str, logged: pytest.LogCaptureFixture
) -> None:
    """Neither its old keys nor what was written into it; and it is said once, not each time."""
    file, (tamper, said) = tmp_path / "keys.json", TAMPERED[tampered]
    key = add_key(file, "ann", None, NOW)
    async with standing(says("好。"), keys=file) as stand:
        assert await asks(stand, key) == 200
        await asyncio.to_thread(tamper, file)
        found = [await asks(stand, one) for one in (key, "guessed", "", key)]
        assert found == [401] * 4
        assert len(stand.upstream.calls) == 1
    (line,) = logged.messages
    assert line.startswith("nobody is let in: ")
    assert said in line
    assert "\n" not in line
    assert "guessed" not in line


@pytest.mark.parametrize("tampered", TAMPERED)
def test_such_a_file_is_refused_at_the_start(flames: Flames, folder: Path, tampered: str) -> None:
    """One line and status 2, for the server as for who lists its keys."""
    file, (tamper, said) = folder / "keys.json", TAMPERED[tampered]
    add_key(file, "ann", None, NOW)
    tamper(file)
    ran = flames("keys", "list", "--keys", "keys.json")
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""


async def test_a_file_that_is_mended_lets_its_callers_in_again(tmp_path: Path) -> None:
    """The server need not be started again."""
    file = tmp_path / "keys.json"
    key = add_key(file, "ann", None, NOW)
    content = await asyncio.to_thread(file.read_bytes)
    async with standing(says("好。"), keys=file) as stand:
        for tamper, _ in TAMPERED.values():
            await asyncio.to_thread(tamper, file)
            assert await asks(stand, key) == 401
            await asyncio.to_thread(_mended, file, content)
            assert await asks(stand, key) == 200


@contextmanager
def no_free_descriptors() -> Iterator[None]:
    """This process can open nothing, as while idle connections take all that there are."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_keys_that_change_while_nothing_can_be_opened_are_known_as_soon_as_it_can(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    """Nobody is locked out for good; and it is said once, not with each request."""
    file = tmp_path / "keys.json"
    ann = add_key(file, "ann", None, NOW)
    ring = KeyRing(file)
    eve = add_key(file, "eve", None, NOW)
    with no_free_descriptors():
        assert [ring.find(key) for key in (ann, eve, ann)] == [None] * 3
    assert [found and found.name for found in map(ring.find, (ann, eve))] == ["ann", "eve"]
    (line,) = logged.messages
    assert "Too many open files" in line


def _mended(file: Path, content: bytes) -> None:
    if file.is_dir() and not file.is_symlink():
        file.rmdir()
    else:
        file.unlink(missing_ok=True)
    file.write_bytes(content)


async def test_a_file_that_others_can_read_opens_nothing(tmp_path: Path) -> None:
    """It holds hashes; containers hand out secrets so."""
    file = tmp_path / "keys.json"
    key = add_key(file, "ann", None, NOW)
    await asyncio.to_thread(file.chmod, 0o644)
    (known,) = read_keys(file)
    async with standing(says("好。"), keys=file) as stand:
        assert await asks(stand, key) == 200
        assert await asks(stand, known.sha256) == 401


async def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    """To another file of keys, with the next request; and a new key goes where it points."""
    first, second, link = (tmp_path / name for name in ("a.json", "b.json", "keys.json"))
    ann, bob = add_key(first, "ann", None, NOW), add_key(second, "bob", None, NOW)
    link.symlink_to("a.json")
    async with standing(says("好。"), keys=link) as stand:
        assert [await asks(stand, key) for key in (ann, bob)] == [200, 401]
        await asyncio.to_thread(_link("b.json"), link)
        assert [await asks(stand, key) for key in (ann, bob)] == [401, 200]
        eve = await asyncio.to_thread(add_key, link, "eve", None, NOW)
        assert [await asks(stand, key) for key in (bob, eve)] == [200, 200]
    assert link.is_symlink()
    assert [key.name for key in read_keys(second)] == ["bob", "eve"]


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """No file is made where it leads, and no key."""
    file, lock = tmp_path / "keys.json", tmp_path / ".keys.json.lock"
    lock.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a symbolic link") as refused:
        add_key(file, "eve", None, NOW)
    assert refused.value.file == lock
    assert list(tmp_path.iterdir()) == [lock]
