"""The cache across runs: paid-for answers as JSON text in diskcache, which here never unpickles.

diskcache's own Disk runs code from a planted row (CVE-2025-69872), and its JSONDisk does too. This
one stores text in the database alone and refuses every other kind of row.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import diskcache
import platformdirs
from diskcache.core import MODE_RAW

from judge.errors import InputError
from judge.protocols import AnswerStore

_BROKEN = (sqlite3.Error, OSError, diskcache.Timeout, ValueError)


class TextDisk(diskcache.Disk):  # type: ignore[misc]
    """Text keys and text values, inside the database: no pickle, no files."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError("keys are text")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not (raw and isinstance(key, str)):
            raise ValueError("a key that is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str]:  # noqa: ARG002
        if read or not isinstance(value, str):
            raise TypeError("values are text")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> str:
        if mode != MODE_RAW or filename is not None or read or not isinstance(value, str):
            raise ValueError("a value that is not text")
        return value

    def remove(self, file_path: str) -> None:
        """Nothing: this cache has no files, so a path in it was planted."""


def default_folder() -> Path:
    """The user's cache folder for this program."""
    return Path(platformdirs.user_cache_dir("flames-judge", appauthor=False))


def open_cache(folder: Path) -> diskcache.Cache:
    """The cache in `folder`, made (for its owner alone) when there is none.

    Raises:
        InputError: the folder can't be used as a cache.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # By default diskcache drops rows past 1 GiB: a long run would pay for them again.
        cache = diskcache.Cache(str(folder), disk=TextDisk, eviction_policy="none", cull_limit=0)
        for file in folder.glob("cache.db*"):  # the folder may be one that others use, too
            file.chmod(0o600)
    except _BROKEN as error:
        raise InputError(
            f"can't be used as a cache: {getattr(error, 'strerror', None) or type(error).__name__}",
            file=folder,
            mend="give another with --cache-dir, or --no-cache",
        ) from None
    return cache


class DiskStore(AnswerStore):
    """`AnswerStore` over diskcache, through one thread: SQLite's waits stay off the event loop."""

    def __init__(self, folder: Path, notify: Callable[[str], None] = lambda _: None) -> None:
        self._cache = open_cache(folder)
        self._folder, self._notify = folder, notify
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answer-store")
        self._writable = True

    async def get(self, key: str) -> str | None:
        kept: str | None = await self._in_thread(self._get, key)
        return kept

    async def put(self, key: str, value: str) -> None:
        if self._writable and not await self._in_thread(self._put, key, value):
            self._writable = False
            self._notify(f"{self._folder}: the cache can't be written; going on without it")

    def close(self) -> None:
        """Write out and close."""
        self._thread.shutdown()
        self._cache.close()

    async def _in_thread(self, function: Callable[..., Any], *args: str) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def _get(self, key: str) -> str | None:
        with contextlib.suppress(*_BROKEN, TypeError):
            value = self._cache.get(key)
            return value if isinstance(value, str) else None
        return None

    def _put(self, key: str, value: str) -> bool:
        try:
            return bool(self._cache.set(key, value))
        except _BROKEN:
            return False
