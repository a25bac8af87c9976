"""A server of runs in a process of its own, for tests that kill it.

python -m tests.guard.server.killed DATA FREE     prints its address; judges FREE cases, then waits
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.guard.server.records import HeldJudge, judging


async def _serve(data: Path, free: int) -> None:
    async with judging(HeldJudge(free), data) as served:
        print(served.base, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
