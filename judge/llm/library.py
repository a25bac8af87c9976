"""litellm, loaded late, quiet and offline; the only module that imports it."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from judge.errors import JudgeUnavailable

# Providers whose keys litellm reads but doesn't list.
_UNLISTED = {"zai": "ZAI_API_KEY", "minimax": "MINIMAX_API_KEY"}
_LOUD = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "instructor", "openai", "httpx", "httpcore")


@cache
def load_litellm() -> Any:
    """Import litellm, quiet and without a network call. Takes seconds: call it late."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    for name in _LOUD:  # they would log the texts under judgement
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return litellm


def missing_keys(model: str) -> tuple[str, ...]:
    """The environment variables that a model's provider needs and that are not set.

    Raises:
        JudgeUnavailable: litellm knows no provider for this name.
    """
    litellm = load_litellm()
    try:
        provider = litellm.get_llm_provider(model)[1]
        missing = litellm.validate_environment(model)["missing_keys"]
    except Exception:  # noqa: BLE001 - litellm raises several types here
        raise JudgeUnavailable(
            f"{model}: litellm knows no such provider (write PROVIDER/MODEL, as in "
            "deepseek/deepseek-chat; openai/MODEL for one's own server with --api-base)"
        ) from None
    unlisted = _UNLISTED.get(provider)
    keys = [name for name in missing if name.endswith(("_KEY", "_TOKEN"))]
    return tuple(keys) if unlisted is None or os.environ.get(unlisted) else (unlisted,)


async def close_clients() -> None:
    """Close every connection that litellm keeps in this process: for programs, not for guests."""
    litellm = load_litellm()
    await litellm.close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()
