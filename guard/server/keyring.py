"""Who a caller is: the file of keys as the server knows it, followed while it changes."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from guard.server.keys import Key, key_hash, read_keys
from judge.errors import InputError

_log = logging.getLogger("flames_judge.serve")
_Stamp = tuple[int, int, int]


class KeyRing:
    """The keys that are valid now. A file that is gone or broken lets nobody in.

    Args:
        file: the file of keys.

    Raises:
        InputError: it can't be read at the start.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp = self._stamp_now()
        self._keys = {key.sha256: key for key in read_keys(file)}

    def find(self, given: str) -> Key | None:
        """Whose key it is.

        It is looked up by its hash, of which a caller can't choose the beginning, so that the time
        that it takes says nothing about the keys that there are.
        """
        self._follow()
        digest = key_hash(given)
        key = self._keys.get(digest)
        return key if key is not None and hmac.compare_digest(key.sha256, digest) else None

    def _follow(self) -> None:
        """Read the file again if it has changed."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = {key.sha256: key for key in read_keys(self._file)}
        except InputError as error:
            self._keys = {}
            _log.error("nobody is let in: %s", error)

    def _stamp_now(self) -> _Stamp | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
