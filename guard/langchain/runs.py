"""Runs inside a LangChain agent, of models and tools, kept from those who stream the agent.

LangGraph's streams leave out what has a tag; `astream_events` and `astream_log` do not, but go by
handlers, which are taken away from such a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.constants import TAG_NOSTREAM
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.runtime import Runtime


def unheard(config: RunnableConfig) -> RunnableConfig:
    """A run's configuration under which no stream has what it or a run inside it says."""
    tags = [*(config.get("tags") or ()), TAG_NOSTREAM]
    return {**config, "tags": tags, "callbacks": _quiet(config.get("callbacks"))}


@contextmanager
def unheard_inside() -> Iterator[None]:
    """Runs that begin inside are unheard."""
    token = var_child_runnable_config.set(unheard(var_child_runnable_config.get() or {}))
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)


def unheard_tool(request: ToolCallRequest, write: Callable[[Any], None]) -> ToolCallRequest:
    """The request of a tool that is unheard; `write` is given what it would stream by itself."""
    config = getattr(request.runtime, "config", None)
    if not isinstance(config, dict):
        return request
    given = config.get("configurable") or {}
    own = {
        key: one.override(stream_writer=write) if isinstance(one, Runtime) else one
        for key, one in given.items()
    }
    # This call's own, with which the tool is run.
    config.update(unheard(config), configurable=own)  # type: ignore[arg-type]
    return replace(request, runtime=replace(request.runtime, stream_writer=write))


def _quiet(callbacks: Any) -> Any:
    """The callbacks without those that stream."""
    if not isinstance(callbacks, BaseCallbackManager):
        return [one for one in callbacks or () if not _streams(one)]
    quiet = callbacks.copy()
    for one in filter(_streams, (*callbacks.handlers, *callbacks.inheritable_handlers)):
        quiet.remove_handler(one)
    return quiet


def _streams(handler: BaseCallbackHandler) -> bool:
    """Whether a handler hands out what it hears of; LangGraph's own go by the tag."""
    own = type(handler).__module__.startswith("langgraph.")
    return hasattr(handler, "tap_output_aiter") and not own
