"""litellm, loaded late, quiet and offline; the only module that imports it."""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

from judge.errors import JudgeUnavailable

# litellm would fetch these from the network when it is imported, or at a first call.
_OFFLINE = (
    "LITELLM_LOCAL_MODEL_COST_MAP",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS",
    "LITELLM_LOCAL_POLICY_TEMPLATES",
)
# Providers whose keys litellm reads but doesn't list.
_UNLISTED = {"zai": "ZAI_API_KEY", "minimax": "MINIMAX_API_KEY"}
_LOUD = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "instructor", "openai", "httpx", "httpcore")


@cache
def load_litellm() -> Any:
    """Import litellm, quiet and without a network call. Takes seconds: call it late."""
    for name in _OFFLINE:
        os.environ.setdefault(name, "True")
    warnings.filterwarnings("ignore", ".*`ReadOnly` qualifier", UserWarning)  # its own types
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    # pydantic's warnings about a provider's odd answer quote that answer; and a call of litellm's
    # that is cancelled early leaves a coroutine behind.
    warnings.filterwarnings("ignore", "Pydantic serializer warnings", UserWarning)
    warnings.filterwarnings("ignore", ".*acompletion' was never awaited", RuntimeWarning)
    for name in _LOUD:  # they would log the texts under judgement
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return litellm


def provider_of(model: str) -> str:
    """The provider that litellm sees in a model's name.

    Raises:
        JudgeUnavailable: litellm knows no provider for this name.
    """
    try:
        return str(load_litellm().get_llm_provider(model)[1])
    except Exception:  # noqa: BLE001 - litellm raises several types here
        raise JudgeUnavailable(
            f"{model}: litellm knows no such provider (write PROVIDER/MODEL, as in "
            "deepseek/deepseek-chat; openai/MODEL for one's own server with --api-base)"
        ) from None


def missing_keys(model: str) -> tuple[str, ...]:
    """The environment variables that a model's provider needs and that are not set.

    Raises:
        JudgeUnavailable: litellm knows no provider for this name.
    """
    unlisted = _UNLISTED.get(provider_of(model))
    if unlisted is not None:
        return () if os.environ.get(unlisted) else (unlisted,)
    missing = load_litellm().validate_environment(model)["missing_keys"]
    return tuple(name for name in missing if name.endswith(("_KEY", "_TOKEN")))


def drops_max_retries(model: str) -> bool:
    """Whether litellm would drop `max_retries` for this model, so that the SDK retries by itself.

    Elsewhere it must not be forced through: providers with bodies of their own would be sent it.

    Raises:
        JudgeUnavailable: litellm knows no provider for this name.
    """
    litellm, provider = load_litellm(), provider_of(model)
    known = litellm.get_supported_openai_params(model) or ()
    openai_like = provider in litellm.openai_compatible_providers or provider == "bigmodel"
    return openai_like and "max_retries" not in known


async def warm_calls(model: str) -> None:
    """Load what litellm loads late, at a first call: no server is asked, and no log hears of it."""
    call = {"model": model, "messages": [{"role": "user", "content": "."}], "no-log": True}
    with suppress(Exception):  # then a real call will say what is wrong
        await load_litellm().acompletion(**call, mock_response=".")


async def close_clients() -> None:
    """Close every connection that litellm keeps in this process: for programs, not for guests."""
    litellm = load_litellm()
    await litellm.close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()


async def close_loop_clients() -> None:
    """Close what litellm keeps for this event loop; nobody else's loop can close it safely."""
    cache = load_litellm().in_memory_llm_clients_cache
    mine = cache.update_cache_key_with_event_loop("")
    for key in [key for key in cache.cache_dict if key.endswith(mine)]:
        client = cache.cache_dict.pop(key)
        close = getattr(client, "close", None) or getattr(client, "aclose", None)
        with suppress(OSError, RuntimeError):  # one that is broken already
            closing = None if close is None else close()
            if inspect.isawaitable(closing):
                await closing
