"""Files that are sent as they are at the moment: a log may grow meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

from starlette.responses import Response, StreamingResponse

from guard.server.records.bench import Bench

PIECE: Final = 2**18
_TAIL: Final = 2**16


async def lines_response(bench: Bench, file: Path, kind: str) -> Response:
    """The whole lines that a file holds now; none where there is no file yet."""
    return await bench.aside(_response, bench, file, kind)


def _response(bench: Bench, file: Path, kind: str) -> Response:
    try:
        with file.open("rb") as opened:
            size = _whole_lines(opened)
    except FileNotFoundError:
        return Response(b"", media_type=kind)
    headers = {"content-length": str(size)}
    return StreamingResponse(_pieces(bench, file, size), media_type=kind, headers=headers)


async def _pieces(bench: Bench, file: Path, size: int) -> AsyncIterator[bytes]:
    opened: BinaryIO = await bench.aside(lambda: file.open("rb"))
    with opened:
        while size > 0:
            piece = await bench.aside(opened.read, min(PIECE, size))
            if not piece:  # it is shorter by now: the caller sees a response that breaks off
                return
            size -= len(piece)
            yield piece


def _whole_lines(file: BinaryIO) -> int:
    """Bytes up to the last line's end."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(0, end - _TAIL)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    return end
