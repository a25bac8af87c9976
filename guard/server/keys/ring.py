"""Who a caller is: the file of keys as the server knows it, followed while it changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from guard.server.keys.file import Key, UnreadableKeys, key_hash, read_keys
from judge.errors import InputError

_log = logging.getLogger("flames_judge.serve")
_Stamp = tuple[int, int, int, int]


class _Known(NamedTuple):
    """The file as it was read; `keys` are None where it could not be, and `fault` says why.

    Without a `stamp` it is read again the next time.
    """

    stamp: _Stamp | None
    keys: Mapping[str, Key] | None
    fault: str = ""


class KeyRing:
    """The keys that are valid now. A file that is gone or broken lets nobody in.

    Threads may share it.

    Args:
        file: the file of keys.

    Raises:
        InputError: it can't be read at the start.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        stamp = self._stamp_now()
        self._known = _Known(stamp, _by_hash(read_keys(file)))

    def find(self, given: str) -> Key | None:
        """Whose key it is.

        It is looked up by its hash, of which a caller can't choose the beginning, so that the time
        that it takes says nothing about the keys that there are.
        """
        return (self._follow() or {}).get(key_hash(given))

    def knows(self, name: str) -> bool:
        """Whether there is a key of this name.

        Raises:
            InputError: the file can't be read at the moment, so that nobody knows.
        """
        keys = self._follow()
        if keys is None:
            raise InputError("the file of keys can't be read")
        return any(key.name == name for key in keys.values())

    def _follow(self) -> Mapping[str, Key] | None:
        """The keys by their hashes; the file is read again if it has changed."""
        stamp = self._stamp_now()  # first: a change while it is read shows the next time
        if stamp is None or stamp != self._known.stamp:
            self._known = self._read(stamp)
        return self._known.keys

    def _read(self, stamp: _Stamp | None) -> _Known:
        try:
            return _Known(stamp, _by_hash(read_keys(self._file)))
        except InputError as error:
            fault = str(error)
            if fault != self._known.fault:  # once, not with each request
                _log.error("nobody is let in: %s", fault)
            # What can't be read may be whole, as while there are no free descriptors.
            return _Known(None if isinstance(error, UnreadableKeys) else stamp, None, fault)

    def _stamp_now(self) -> _Stamp | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _by_hash(keys: Iterable[Key]) -> Mapping[str, Key]:
    return {key.sha256: key for key in keys}
