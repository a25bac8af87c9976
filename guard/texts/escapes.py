r"""JSON's escapes inside a text: read as the characters they stand for, handed on as they came.

A tool call's arguments are JSON inside a string, and an application may stream JSON, or lines with
JSON in them, as plain text. Many servers write Chinese there as `\uXXXX`: a judge is to read what
the reader will. JSON inside JSON has more backslashes before each. Pure.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

_DEEP: Final = 32  # backslashes of one escape: they double with each JSON around it
_MARK = rf"\\{{1,{_DEEP}}}"
_HIGH, _LOW = r"[dD][89abAB][0-9a-fA-F]{2}", r"[dD][c-fC-F][0-9a-fA-F]{2}"
# With the last of its backslashes: to try the others too would make a row of them slow.
_ESCAPE = re.compile(rf"\\u(?:({_HIGH}){_MARK}u({_LOW})|((?![dD][89a-fA-F])[0-9a-fA-F]{{4}}))")
_BEGUN = re.compile(
    rf"{_MARK}(?:u(?:[0-9a-fA-F]{{0,3}}|{_HIGH}(?:{_MARK}(?:u[0-9a-fA-F]{{0,3}})?)?)?)?\Z"
)
_LONGEST: Final = 2 * (_DEEP + len("ud83d"))
# Ends of lines and slashes in JSON; before a letter it may be a formula's `\\tau`.
_BLANK = re.compile(r"(?<!\\)\\+(?:([nrt])(?![a-z])|(/))")
_BLANKS: Final = {"n": "\n", "r": "\n", "t": "\t"}


def unescaped(text: str) -> str:
    """What a whole text is read as."""
    return Unescaping().add(text, final=True) if "\\u" in text else text


def argued(text: str) -> str:
    """What a tool call's arguments are read as: also without escapes of blanks and slashes."""
    if "\\" not in text:
        return text
    return _BLANK.sub(lambda found: found[2] or _BLANKS[found[1]], unescaped(text))


class _Run(NamedTuple):
    """Some of the text as it came, and how many characters it is read as."""

    raw: str
    characters: int


class Unescaping:
    """One text. What it is read as is one character for one, but for escapes."""

    def __init__(self) -> None:
        self._begun = ""  # the beginning of an escape
        self._runs: deque[_Run] = deque()

    @property
    def waits(self) -> bool:
        """Whether what was given ends in an escape that is not over."""
        return bool(self._begun)

    def add(self, text: str, *, final: bool = False) -> str:
        """What more of the text is read as; an escape that is not over yet waits.

        Args:
            text: what is new.
            final: nothing more comes.
        """
        text = self._begun + text
        if "\\" not in text:
            return self._plain(text)
        begun = None if final else _BEGUN.search(text, max(0, len(text) - _LONGEST))
        end = begun.start() if begun else len(text)
        self._begun = text[end:]
        return "".join(self._read(text[:end]))

    def raw(self, characters: int) -> str:
        """As they came: so many of the characters that were not given before."""
        out = []
        while characters > 0 and self._runs:
            run = self._runs.popleft()
            if run.characters > characters:
                out.append(run.raw[:characters])
                self._runs.appendleft(_Run(run.raw[characters:], run.characters - characters))
            else:
                out.append(run.raw)
            characters -= run.characters
        return "".join(out)

    def _read(self, text: str) -> Iterator[str]:
        done = 0
        for match in _ESCAPE.finditer(text):
            start = _beginning(text, match.start(), done)
            yield self._plain(text[done:start])
            high, low, one = match.groups()
            code = bytes.fromhex(one or high + low)
            self._runs.append(_Run(text[start : match.end()], 1))
            yield code.decode("utf-16-be")
            done = match.end()
        yield self._plain(text[done:])

    def _plain(self, text: str) -> str:
        if text:
            self._runs.append(_Run(text, len(text)))
        return text


def _beginning(text: str, start: int, least: int) -> int:
    """Where an escape begins whose last backslash stands at `start`."""
    least = max(least, start - _DEEP + 1)
    while start > least and text[start - 1] == "\\":
        start -= 1
    return start
