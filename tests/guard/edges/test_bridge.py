"""From synchronous code into the asynchronous core."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import Iterator

import pytest

from guard.bridge import Bridge

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user")


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge()
    yield made
    made.close()


async def test_it_runs_while_the_caller_s_own_loop_runs(bridge: Bridge) -> None:
    """Nothing waits for itself."""

    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert bridge.run(work()) == 7


def test_context_variables_go_along(bridge: Bridge) -> None:
    """A trace or a user that the caller set is there."""

    async def work() -> str:
        return USER.get()

    USER.set("li")
    assert bridge.run(work()) == "li"


def test_an_error_comes_back_to_the_caller(bridge: Bridge) -> None:
    """As if it had been called directly."""

    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        bridge.run(work())


def test_an_interrupted_caller_leaves_nothing_running(bridge: Bridge) -> None:
    """Ctrl-C ends the check too."""
    ended = threading.Event()

    async def work() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        bridge.run(work())
    assert ended.wait(5)


def test_what_runs_on_the_bridge_can_t_wait_for_it(bridge: Bridge) -> None:
    """An error, where there would be a standstill."""

    async def inner() -> None:
        return None

    async def outer() -> None:
        bridge.run(inner())

    with pytest.raises(RuntimeError, match="bridge"):
        bridge.run(outer())


def test_after_the_program_s_end_nobody_waits(bridge: Bridge) -> None:
    """An error, since a thread that starts then would never run."""

    async def work() -> None:
        return None

    bridge.run(work())
    bridge.end()
    with pytest.raises(RuntimeError, match="ended"):
        bridge.run(work())


def test_many_threads_share_it_and_it_starts_anew_after_its_end(bridge: Bridge) -> None:
    """Also in a forked child, which has the object but not its thread."""

    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    answers: dict[int, int] = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.update({n: bridge.run(double(n))}))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: 2 * n for n in range(20)}
    bridge.close()
    assert bridge.run(double(1)) == 2
    bridge.close()
    bridge.forget()
    assert bridge.run(double(2)) == 4


def test_a_thread_that_could_not_be_started_is_started_later(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may have too many for a while; nobody waits for one that is not there."""

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def work() -> int:
        return 7

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        refused = work()
        with pytest.raises(RuntimeError, match="can't start"):
            bridge.run(refused)
        refused.close()
    soon = threading.Thread(target=lambda: done.append(bridge.run(work())), daemon=True)
    done: list[int] = []
    soon.start()
    soon.join(10)
    assert done == [7]
