"""What is made beside a file, or in its place, belongs to whom the file does.

Else a command that root runs would take the file from the server that goes on with it.
"""

from __future__ import annotations

import os
import stat
import sys


def give(handle: int, to: os.stat_result) -> None:
    """Give an open file to whom another one belongs.

    Args:
        handle: a file that was made just now, so that nobody's link leads elsewhere.
        to: of the other one.

    Raises:
        OSError: only root may, where that is somebody else.
    """
    if sys.platform == "win32":  # where rights come with the folder
        return
    mine = os.fstat(handle)
    if (mine.st_uid, mine.st_gid) != (to.st_uid, to.st_gid):
        os.fchown(handle, to.st_uid, to.st_gid)


def stand_in(handle: int, to: os.stat_result) -> None:
    """The same, with the other one's rights.

    Raises:
        OSError: as `give`.
    """
    give(handle, to)
    if sys.platform != "win32":
        os.fchmod(handle, stat.S_IMODE(to.st_mode))


def succeed(handle: int, to: os.stat_result) -> None:
    """The same; a group that one is not in, and so can't give it to, may do nothing with it.

    Raises:
        OSError: only root may, where the other one is another user's.
    """
    try:
        stand_in(handle, to)
    except PermissionError:
        if os.fstat(handle).st_uid != to.st_uid:
            raise
        os.fchmod(handle, stat.S_IMODE(to.st_mode) & ~stat.S_IRWXG)
