from __future__ import annotations

import asyncio
import threading

import pytest

from judge.errors import BudgetReached
from judge.llm.about import RUN
from judge.llm.limits import AdaptiveConcurrency, FilterBreaker, Rates, Spend


async def test_the_gate_grows_by_one_a_round_and_halves_on_a_429() -> None:
    """Sixteen good calls make room for one more; a 429 halves the room."""
    gate = AdaptiveConcurrency(start=16, most=128)
    for _ in range(16):
        gate.succeeded()
    assert gate.width == 17
    async with gate.slot() as call:
        gate.rate_limited(call)
    assert gate.width == 8


async def test_429s_of_calls_in_flight_together_halve_once() -> None:
    """A burst of refusals is one signal."""
    gate = AdaptiveConcurrency(start=8, most=8)
    async with gate.slot() as first, gate.slot() as second:
        gate.rate_limited(first)
        gate.rate_limited(second)
    assert gate.width == 4


async def test_the_gate_never_shuts_and_never_passes_its_bound() -> None:
    """However many 429s, one call may go; however many successes, no more than the bound."""
    gate = AdaptiveConcurrency(start=4, most=5)
    for _ in range(50):
        gate.succeeded()
    assert gate.width == 5
    for _ in range(9):
        async with gate.slot() as call:
            gate.rate_limited(call)
    assert gate.width == 1


async def test_no_more_calls_are_in_flight_than_the_width() -> None:
    """Waiting calls come in as places are freed, all of them in the end."""
    gate = AdaptiveConcurrency(start=3, most=3)
    most, done = 0, 0

    async def call() -> None:
        nonlocal most, done
        async with gate.slot():
            most = max(most, gate.in_flight)
            await asyncio.sleep(0)
        done += 1

    await asyncio.gather(*(call() for _ in range(20)))
    assert (most, done, gate.in_flight) == (3, 20, 0)


async def test_a_cancelled_waiter_takes_no_place() -> None:
    """After a waiting call is given up, the next one still gets through."""
    gate = AdaptiveConcurrency(start=1, most=1)

    async def call() -> None:
        async with gate.slot():
            await asyncio.sleep(0)

    async with gate.slot():
        given_up, waiting = asyncio.create_task(call()), asyncio.create_task(call())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
    await asyncio.wait_for(waiting, 1)


async def test_money_in_flight_counts_against_the_budget() -> None:
    """Two calls that cost 0.4 fit in a budget of 1; a third, before they are paid, doesn't."""
    spend = Spend(budget_usd=1.0)
    async with spend.call(0.4), spend.call(0.4):
        with pytest.raises(BudgetReached):
            async with spend.call(0.4):
                pass
    async with spend.call(0.4):
        spend.paid(0.7, 10, 0, 1)
    with pytest.raises(BudgetReached):
        async with spend.call(0.1):
            pass


async def test_without_a_budget_nothing_is_refused() -> None:
    """Unpriced models run, too."""
    spend = Spend()
    async with spend.call(None):
        spend.paid(None, 1, 0, 1)
    assert (spend.usd, spend.calls) == (0.0, 1)


async def test_one_call_larger_than_the_token_rate_still_goes() -> None:
    """A prompt of more tokens than a minute's allowance waits for all of it, not for ever."""
    await asyncio.wait_for(Rates(tpm=10).wait(10_000), 1)


def test_the_breaker_pauses_lets_one_probe_through_and_closes_again() -> None:
    """Twenty filtered answers of forty open it; after the pause one good answer closes it."""
    now = 0.0
    breaker = FilterBreaker(lambda: now, most=20, window=40, pause_s=60)
    opened = [breaker.record(RUN, filtered=i % 2 == 0) for i in range(39)]
    assert opened.count(True) == 1
    assert not breaker.allows(RUN)
    now = 61.0
    assert breaker.allows(RUN)
    assert not breaker.allows(RUN)
    breaker.record(RUN, filtered=False)
    assert breaker.allows(RUN)


def test_a_filtered_probe_keeps_the_breaker_open() -> None:
    """The provider still filters: wait for another pause."""
    now = 0.0
    breaker = FilterBreaker(lambda: now, most=3, window=4, pause_s=60)
    for _ in range(3):
        breaker.record(RUN, filtered=True)
    now = 61.0
    assert breaker.allows(RUN)
    breaker.record(RUN, filtered=True)
    assert not breaker.allows(RUN)
    now = 122.0
    assert breaker.allows(RUN)


def test_a_probe_that_fails_otherwise_keeps_the_breaker_open() -> None:
    """A server that is down has not looked at the text: wait, and try again."""
    now = 0.0
    breaker = FilterBreaker(lambda: now, most=3, window=4, pause_s=60)
    for _ in range(3):
        breaker.record(RUN, filtered=True)
        assert not breaker.record(RUN, filtered=None)
    now = 61.0
    assert breaker.allows(RUN)
    breaker.record(RUN, filtered=None)
    assert not breaker.allows(RUN)
    now = 122.0
    assert breaker.allows(RUN)
    breaker.record(RUN, filtered=False)
    assert breaker.allows(RUN)


def test_calls_that_were_in_flight_do_not_close_the_breaker() -> None:
    """Good answers to calls from before the pause say nothing: only the probe's does."""
    now = 0.0
    breaker = FilterBreaker(lambda: now, most=3, window=4, pause_s=60)
    for _ in range(3):
        breaker.record(RUN, filtered=True)
    breaker.record(RUN, filtered=False)
    assert not breaker.allows(RUN)
    now = 61.0
    assert breaker.allows(RUN)
    breaker.record(RUN, filtered=False)
    assert breaker.allows(RUN)


def test_one_caller_s_texts_do_not_pause_the_others() -> None:
    """Stopped again and again, he pauses himself alone; then one call of his tries."""
    now = 0.0
    breaker = FilterBreaker(lambda: now, most=3, window=4, pause_s=60)
    opened = [breaker.record("甲", filtered=True) for _ in range(100)]
    assert opened.count(True) == 1
    assert (breaker.allows("甲"), breaker.allows("乙"), breaker.allows(RUN)) == (False, True, True)
    now = 61.0
    assert (breaker.allows("甲"), breaker.allows("甲")) == (True, False)
    breaker.record("甲", filtered=True)
    now = 90.0
    assert (breaker.allows("甲"), breaker.allows("乙")) == (False, True)
    now = 122.0
    assert breaker.allows("甲")
    breaker.record("甲", filtered=False)
    assert (breaker.allows("甲"), breaker.allows("甲")) == (True, True)


def test_texts_that_anybody_may_have_chosen_pause_nobody() -> None:
    """However many are stopped, and between whichever callers' own."""
    breaker = FilterBreaker(lambda: 0.0, most=3, window=4, pause_s=60)
    for _ in range(100):
        assert not breaker.record(None, filtered=True)
    assert all(map(breaker.allows, (None, RUN, "甲")))
    for _ in range(3):
        breaker.record(RUN, filtered=True)
    assert (breaker.allows(None), breaker.allows(RUN)) == (True, False)


def test_only_the_latest_callers_are_known() -> None:
    """However many there are, it takes no more memory."""
    breaker = FilterBreaker(lambda: 0.0, most=3, window=4, pause_s=60)
    for number in range(1000):
        for _ in range(9):
            breaker.record(str(number), filtered=False)
    assert len(breaker._each) == 4
    assert all(len(one._stopped) == 4 for one in breaker._each.values())


def test_a_caller_s_pause_lasts_however_many_others_come() -> None:
    """On a busy server many come within its minute."""
    now = 0.0
    breaker = FilterBreaker(lambda: now, most=3, window=5, pause_s=60)
    for _ in range(3):
        breaker.record("甲", filtered=True)
    for number in range(50):
        breaker.record(f"乙{number}", filtered=False)
    assert not breaker.allows("甲")
    assert len(breaker._each) <= 6
    now = 61.0
    assert breaker.allows("甲")


def test_a_place_that_one_event_loop_frees_is_taken_in_another() -> None:
    """Else who waits there sleeps until something else wakes its loop."""
    gate, holds, waits = AdaptiveConcurrency(1, 1), threading.Event(), threading.Event()

    async def hold() -> None:
        async with gate.slot():
            holds.set()
            await asyncio.to_thread(waits.wait, 10)

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(waits.set)
        async with gate.slot():
            pass

    first = threading.Thread(target=asyncio.run, args=(hold(),), daemon=True)
    first.start()
    assert holds.wait(10)
    second = threading.Thread(target=asyncio.run, args=(wait(),), daemon=True)
    second.start()
    second.join(10)
    assert not second.is_alive()


async def test_a_place_that_another_thread_frees_just_now_is_taken() -> None:
    """After it was seen to be held, and before anybody waits for it."""
    gate, loop = AdaptiveConcurrency(1, 1), asyncio.get_running_loop()
    held, make = gate.slot(), loop.create_future

    def freed() -> asyncio.Future[None]:
        loop.create_future = make  # type: ignore[method-assign]
        other = threading.Thread(target=asyncio.run, args=(held.__aexit__(None, None, None),))
        other.start()
        other.join(10)
        return make()

    await held.__aenter__()
    loop.create_future = freed  # type: ignore[method-assign]
    async with asyncio.timeout(2), gate.slot():
        assert gate.in_flight == 1
