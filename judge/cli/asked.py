"""Building the judges that a command asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from judge.backends import JudgeContext
from judge.cli.progress import Reporter
from judge.cli.score_plan import Asking
from judge.store import DiskStore


def context_of(asking: Asking) -> JudgeContext:
    """What its judges are built with, without a store and limits."""
    return JudgeContext(
        model=lambda name: asking.provider.model(name, **asking.sampling),
        options=asking.llm,
        vote=asking.vote,
        band=asking.band,
    )


def open_context(
    asking: Asking, stack: contextlib.AsyncExitStack, reporter: Reporter
) -> tuple[JudgeContext, Callable[[], float]]:
    """What its judges are built with, and what they have spent so far in USD.

    Args:
        asking: who is asked.
        stack: closes the store and the connections.
        reporter: hears what the judges have to say.
    """
    if not asking.models:
        return JudgeContext(), lambda: 0.0
    store = None
    if asking.cache is not None:
        store = DiskStore(asking.cache, reporter.say)
        stack.callback(store.close)
    from judge.llm.library import close_clients

    stack.push_async_callback(close_clients)
    traffic = asking.provider.traffic(reporter.say)
    context = replace(context_of(asking), traffic=traffic, store=store)
    return context, lambda: traffic.spend.usd
