"""The file of callers' keys: made and changed by `flames-judge keys`, read by the server.

A key is 256 random bits and is shown once. The file holds its SHA-256, not a slow password hash:
nobody can go through 2^256 keys, whatever a guess costs, and a slow hash would be paid by every
request.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from guard.audit.owner import stand_in
from judge.errors import InputError
from judge.journal import refuse_link
from judge.plain_file import read_plain

PREFIX: Final = "fj-"
MOST_BYTES: Final = 16 * 2**20
_HEX = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_NAME = Annotated[str, StringConstraints(pattern=r"^[\w.@-]{1,64}$")]


class Key(BaseModel):
    """One caller's key.

    Args:
        name: the caller's.
        sha256: of the key, hex.
        created: when it was made.
        rpm: most requests a minute; None for any number.
        runs: most runs that have not ended; None for the server's own number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _NAME
    sha256: _HEX
    created: datetime
    rpm: Annotated[int, Field(ge=1)] | None = None
    runs: Annotated[int, Field(ge=0)] | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    keys: tuple[Key, ...] = ()


def key_hash(key: str) -> str:
    """What the file holds of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class UnreadableKeys(InputError):
    """The file of keys can't be read at the moment; nothing is said about what it holds."""


def read_keys(file: Path) -> tuple[Key, ...]:
    """The keys of a file.

    Raises:
        UnreadableKeys: it can't be read.
        InputError: it isn't a file of keys, or is one that anybody can change.
    """
    try:
        found = read_plain(file, MOST_BYTES)
    except OSError as error:
        make = f"make a key with `flames-judge keys add NAME --keys {file}`"
        mend = make if isinstance(error, FileNotFoundError) else ""
        raise UnreadableKeys(f"can't be read: {error.strerror}", file=file, mend=mend) from None
    if os.name == "posix" and found.mode & stat.S_IWOTH:
        raise InputError("can be changed by anybody", file=file, mend=f"chmod o-w {file}")
    try:
        return _File.model_validate_json(found.content).keys
    except ValidationError:
        raise InputError("is not a file of keys", file=file) from None


def add_key(
    file: Path, name: str, rpm: int | None, now: datetime, *, runs: int | None = None
) -> str:
    """Add a key to a file, which is made if needed; gives the key, which is stored nowhere.

    Args:
        file: where keys are kept.
        name: the caller's.
        rpm: most requests a minute.
        now: when the key is made.
        runs: most runs that have not ended.

    Raises:
        InputError: the name is taken or no name, or the file can't be used.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    try:
        made = Key(name=name, sha256=key_hash(key), created=now, rpm=rpm, runs=runs)
    except ValidationError:
        mend = "1 to 64 letters, digits and . _ - @"
        raise InputError(f"{name!r} is not a name for a key", file="NAME", mend=mend) from None
    with _changing(file):
        keys = read_keys(file) if file.exists() else ()
        if any(one.name == name for one in keys):
            mend = "revoke it first, or give another name"
            raise InputError(f"has a key for {name!r} already", file=file, mend=mend)
        _write(file, [*keys, made])
    return key


def revoke_key(file: Path, name: str) -> None:
    """Take a key out of a file; a running server refuses it from then on.

    Raises:
        InputError: there is no such key, or the file can't be used.
    """
    with _changing(file):
        keys = read_keys(file)
        left = [one for one in keys if one.name != name]
        if len(left) == len(keys):
            names = ", ".join(one.name for one in keys) or "none"
            raise InputError(f"has no key for {name!r}", file=file, mend=f"there are {names}")
        _write(file, left)


@contextmanager
def _changing(file: Path) -> Iterator[None]:
    """One change at a time, so that two commands don't undo each other's."""
    import filelock

    if file.is_dir():
        raise InputError("can't be written: is a folder", file=file, mend="give a file's name")
    if not file.parent.is_dir():
        raise InputError("can't be written: there is no such folder", file=file)
    lock = file.with_name(f".{file.name}.lock")
    try:
        refuse_link(lock)
        lock.touch(mode=0o600)  # filelock takes a folder that makes no files for contention
        with filelock.FileLock(lock, timeout=10):
            yield
    except filelock.Timeout:
        raise InputError("is being changed by another command", file=file) from None
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", file=file) from None


def _write(file: Path, keys: Sequence[Key]) -> None:
    """Replace the file at once; a link to it stays one.

    A new one is its owner's alone; one that is there stays whose it was, and as readable.
    """
    content = {
        "format": 1,
        "keys": [key.model_dump(mode="json", exclude_none=True) for key in keys],
    }
    file = file.resolve()
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            with suppress(FileNotFoundError):
                stand_in(handle, file.stat())
            new.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
            new.flush()
            os.fsync(new.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
