"""The guardrail and litellm's classes: at their first use pydantic warns of litellm's own types."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import litellm.llms.github_copilot.per_user_auth  # noqa: F401 - at the first call
    from fastapi import HTTPException
    from litellm.types.guardrails import GuardrailEventHooks
    from litellm.types.utils import EmbeddingResponse, ModelResponse, ModelResponseStream

    from guard.litellm_guardrail import FlamesGuardrail
    from judge.llm.library import load_litellm

    load_litellm()
    message: Any = {"index": 0, "message": {"role": "assistant", "content": "-"}}
    delta: Any = {"index": 0, "delta": {"content": "-"}}
    ModelResponse(choices=[message])
    ModelResponseStream(choices=[delta])

__all__ = [
    "EmbeddingResponse",
    "FlamesGuardrail",
    "GuardrailEventHooks",
    "HTTPException",
    "ModelResponse",
    "ModelResponseStream",
]
