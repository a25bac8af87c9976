"""A user's file, read whole: neither a pipe nor a device keeps anybody waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from judge.errors import InputError


class Plain(NamedTuple):
    """A file as it was read; `mode` says who may do what with it."""

    content: bytes
    mode: int


def read_plain(file: Path, most: int) -> Plain:
    """A plain file's bytes.

    Args:
        file: it, or a link to it.
        most: bytes that are read.

    Raises:
        InputError: it is a pipe or a device, or larger.
        OSError: it can't be read.
    """
    with open(file, "rb", opener=_at_once) as opened:
        mode = os.fstat(opened.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise InputError("is no plain file", file=file, mend="save it as one")
        content = opened.read(most + 1)
    if len(content) > most:
        raise InputError(f"is larger than {most:,} bytes", file=file)
    return Plain(content, mode)


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for a pipe's other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
