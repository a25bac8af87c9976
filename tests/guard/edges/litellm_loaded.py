"""The guardrail and litellm's classes: at their first use pydantic warns of litellm's own types."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import litellm.llms.github_copilot.per_user_auth  # noqa: F401 - at the first call
    from fastapi import HTTPException
    from litellm.types.guardrails import GuardrailEventHooks
    from litellm.types.utils import EmbeddingResponse, ModelResponse, ModelResponseStream

    from guard.litellm_guardrail import FlamesGuardrail
    from judge.llm.library import load_litellm

    load_litellm()
    ModelResponse(choices=[{"index": 0, "message": {"role": "assistant", "content": "-"}}])
    ModelResponseStream(choices=[{"index": 0, "delta": {"content": "-"}}])

__all__ = [
    "EmbeddingResponse",
    "FlamesGuardrail",
    "GuardrailEventHooks",
    "HTTPException",
    "ModelResponse",
    "ModelResponseStream",
]
