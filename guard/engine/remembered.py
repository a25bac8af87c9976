"""What was found in texts that come again: a chat sends its earlier turns with each new one.

No text is kept, but a hash with a key of this process and of the chat, which begins with an answer:
who doesn't know both how it began and what was answered can't tell from how fast an answer comes
whether somebody said a text in it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock
from typing import Protocol

MOST = 20_000  # texts; some megabytes
_KEY = 32  # bytes

Kinds = Sequence[tuple[str, str]]


class Scanner(Protocol):
    """Finds evidence in a text, also where it is disguised; fast, and without an LLM."""

    def kinds(self, text: str) -> Kinds:
        """The kinds found in the whole of a text, each with the view that it was found in."""


class Remembered:
    """Answers of a scanner, the newest ones; safe to share between threads.

    Args:
        scanner: finds the same in the same text each time.
        most: texts that are remembered.
    """

    def __init__(self, scanner: Scanner, most: int = MOST) -> None:
        self._scanner, self._most, self._secret = scanner, most, os.urandom(_KEY)
        self._known: OrderedDict[bytes, Kinds] = OrderedDict()
        self._lock = Lock()

    def kinds(self, text: str, chat: str | None) -> Kinds:
        """What the scanner finds in a text.

        Args:
            text: any text.
            chat: in which it comes again, as hex digits; elsewhere it is another text. None where
                it comes once.
        """
        if chat is None:
            return self._scanner.kinds(text)
        key = self._secret + bytes.fromhex(chat)
        name = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).digest()
        with self._lock:
            found = self._known.get(name)
            if found is not None:
                self._known.move_to_end(name)
                return found
        found = self._scanner.kinds(text)
        with self._lock:
            self._known[name] = found
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return found
