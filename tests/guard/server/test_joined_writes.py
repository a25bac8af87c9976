"""What a response's pieces become on the wire."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from guard.server.http.joined_writes import MOST, JoinedWrites


class _Wire(asyncio.Transport):
    """Takes down each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


async def test_a_head_and_its_body_reach_the_caller_at_once() -> None:
    """One wake-up for one answer."""
    wire = _Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"head")
    joined.write(b"body")
    assert wire.written == []
    await asyncio.sleep(0)
    assert wire.written == [b"headbody"]


async def test_what_is_written_in_another_turn_does_not_wait() -> None:
    """A stream's pieces go out as they come."""
    wire = _Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    for piece in (b"one", b"two"):
        joined.write(piece)
        await asyncio.sleep(0)
    assert wire.written == [b"one", b"two"]


async def test_much_at_once_is_passed_on_so_that_a_slow_caller_holds_it_up() -> None:
    """Flow control sees what is held: memory stays bounded."""
    wire = _Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    for _ in range(40):
        joined.write(bytes(MOST // 4))
    assert sum(map(len, wire.written)) >= 39 * (MOST // 4) - MOST


async def test_closing_sends_what_was_written() -> None:
    """An answer before the connection's end is not lost."""
    wire = _Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"last words")
    joined.close()
    assert (wire.written, wire.closed) == ([b"last words"], True)
    await asyncio.sleep(0)
    assert wire.written == [b"last words"]


async def test_an_aborted_connection_gets_nothing_more() -> None:
    """What was held is dropped."""
    wire = _Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"never read")
    joined.abort()
    await asyncio.sleep(0)
    assert (wire.written, wire.aborted) == ([], True)


@given(turns=st.lists(st.lists(st.binary(max_size=MOST // 2), max_size=5), max_size=5))
def test_the_bytes_stay_and_so_does_their_order(turns: list[list[bytes]]) -> None:
    """However they are written."""
    wire = _Wire()

    async def write() -> None:
        joined = JoinedWrites(wire, asyncio.get_running_loop())
        for turn in turns:
            for data in turn:
                joined.write(data)
            await asyncio.sleep(0)

    asyncio.run(write())
    assert b"".join(wire.written) == b"".join(b"".join(turn) for turn in turns)
