"""Bodies in the shapes that servers send, shortened; written after their documentation and code."""

from __future__ import annotations

from typing import Any

SAFE = {"filtered": False, "severity": "safe"}
FILTERS = {"hate": SAFE, "self_harm": SAFE, "sexual": SAFE, "violence": SAFE}

OPENAI: dict[str, Any] = {
    "id": "chatcmpl-B9MBs8", "object": "chat.completion", "created": 1741569952,
    "model": "gpt-4.1-2025-04-14", "service_tier": "default", "system_fingerprint": "fp_1",
    "choices": [{
        "index": 0, "finish_reason": "stop", "logprobs": {"content": [
            {"token": "你", "logprob": -0.1, "bytes": [228], "top_logprobs": []}], "refusal": None},
        "message": {"role": "assistant", "content": "你好", "refusal": None, "annotations": [
            {"type": "url_citation", "url_citation": {"title": "t", "url": "https://a.b",
                                                      "start_index": 0, "end_index": 1}}]},
    }],
    "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
              "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
              "completion_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip

AZURE: dict[str, Any] = {
    **OPENAI,
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {
        **FILTERS, "jailbreak": {"filtered": False, "detected": False}}}],
    "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                 "content_filter_results": {**FILTERS, "protected_material_code": {
                     "filtered": False, "detected": True,
                     "citation": {"URL": "https://a.b", "license": "MIT"}}},
                 "message": {"role": "assistant", "content": "好", "annotations": []}}],
}  # fmt: skip

VLLM: dict[str, Any] = {
    "id": "chatcmpl-0e9f43a01be04a7e", "object": "chat.completion", "created": 1751215000,
    "model": "/models/Qwen3-8B", "service_tier": None, "system_fingerprint": None,
    "choices": [{
        "index": 0, "logprobs": None, "finish_reason": "tool_calls", "stop_reason": 151645,
        "token_ids": [101, 102], "message": {
            "role": "assistant", "content": None, "refusal": None, "annotations": None,
            "audio": None, "function_call": None, "reasoning": "要查天气",
            "tool_calls": [{"id": "chatcmpl-tool-1", "type": "function", "function": {
                "name": "天气", "arguments": '{"城市": "上海"}'}}]}}],
    "usage": {"prompt_tokens": 5, "total_tokens": 7, "completion_tokens": 2,
              "prompt_tokens_details": None},
    "prompt_logprobs": None, "prompt_token_ids": [1, 2], "kv_transfer_params": None,
}  # fmt: skip

LLAMA_CPP: dict[str, Any] = {
    "choices": [{"finish_reason": "stop", "index": 0, "message": {
        "role": "assistant", "content": "好", "reasoning_content": "先想"}}],
    "created": 1757600000, "model": "qwen3-0.6b.gguf", "system_fingerprint": "b6881-8b11deea4",
    "object": "chat.completion", "id": "chatcmpl-9",
    "usage": {"completion_tokens": 2, "prompt_tokens": 3, "total_tokens": 5},
    "timings": {"prompt_n": 3, "prompt_ms": 20.3, "predicted_per_second": 264.5},
}  # fmt: skip

DEEPSEEK: dict[str, Any] = {
    "id": "930c60df-bf64-41c9-a88e-3ec75f81e00e", "object": "chat.completion",
    "created": 1705651092, "model": "deepseek-reasoner", "system_fingerprint": "fp_a49d71b8a1",
    "choices": [{"index": 0, "logprobs": None, "finish_reason": "insufficient_system_resource",
                 "message": {"role": "assistant", "content": "答", "reasoning_content": "想"}}],
    "usage": {"prompt_tokens": 16, "completion_tokens": 10, "total_tokens": 26,
              "prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 16,
              "completion_tokens_details": {"reasoning_tokens": 4}},
}  # fmt: skip

MISTRAL: dict[str, Any] = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "magistral-medium",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "tool_calls": None, "prefix": None, "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "想"}], "closed": True},
            {"type": "text", "text": "答"}]}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip

AUDIO: dict[str, Any] = {
    **OPENAI,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": None, "refusal": None, "audio": {
            "id": "audio_1", "expires_at": 1, "data": "UklGRg==", "transcript": "说的话"}}}],
}  # fmt: skip

_STOP = {"index": 0, "finish_reason": "stop", "logprobs": None}
_AROUND = {"id": "1", "object": "chat.completion", "created": 1763000000, "model": "m"}

OPENROUTER: dict[str, Any] = {
    **_AROUND, "provider": "DeepInfra", "system_fingerprint": None,
    "choices": [{**_STOP, "native_finish_reason": "stop", "error": {"code": 0, "message": "m"},
                 "message": {"role": "assistant", "content": "答", "refusal": None,
                             "reasoning": "想", "reasoning_details": [
                                 {"type": "reasoning.text", "text": "想", "index": 0}],
                             "images": [], "annotations": [{"type": "url_citation"}]}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.00014,
              "is_byok": False, "cost_details": {"upstream_inference_cost": None}},
}  # fmt: skip

GLM: dict[str, Any] = {
    **_AROUND, "request_id": "2025", "choices": [{**_STOP, "message": {
        "role": "assistant", "content": "答", "reasoning_content": "想"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
              "prompt_tokens_details": {"cached_tokens": 0}},
    "web_search": [{"title": "t", "link": "https://a.b", "content": "c", "refer": "ref_1"}],
    "content_filter": [{"role": "assistant", "level": 3}],
}  # fmt: skip

MINIMAX: dict[str, Any] = {
    **_AROUND, "choices": [{**_STOP, "message": {
        "role": "assistant", "content": "答", "name": "MiniMax AI", "audio_content": "",
        "reasoning_content": "想", "reasoning_details": [{"text": "想"}]}}],
    "usage": {"total_tokens": 3, "total_characters": 0, "prompt_tokens": 1, "completion_tokens": 2},
    "input_sensitive": False, "output_sensitive": False, "input_sensitive_type": 0,
    "output_sensitive_type": 0, "output_sensitive_int": 0,
    "base_resp": {"status_code": 0, "status_msg": ""},
}  # fmt: skip

GEMINI: dict[str, Any] = {
    **_AROUND, "choices": [{**_STOP, "message": {
        "role": "assistant", "content": "答", "extra_content": {"google": {"thought": True}},
        "tool_calls": [{"id": "function-call-1", "type": "function", "function": {
            "name": "天气", "arguments": "{}"}, "extra_content": {
                "google": {"thought_signature": "CiQB"}}}]}}],
    "usage": {"completion_tokens": 2, "prompt_tokens": 1, "total_tokens": 3},
}  # fmt: skip

DOUBAO: dict[str, Any] = {
    **_AROUND, "service_tier": "default", "choices": [{
        **_STOP, "moderation_hit_type": "severe_violation", "message": {
            "role": "assistant", "content": "答", "reasoning_content": "想",
            "encrypted_content": "AAAA"}}],
    "usage": {"completion_tokens": 2, "prompt_tokens": 1, "total_tokens": 3,
              "prompt_tokens_details": {"cached_tokens": 0, "provisioned_tokens": 0}},
}  # fmt: skip

SGLANG: dict[str, Any] = {
    **_AROUND, "choices": [{**_STOP, "matched_stop": 151645, "hidden_states": None,
                            "message": {"role": "assistant", "content": "答",
                                        "reasoning_content": "想", "tool_calls": None}}],
    "usage": {"prompt_tokens": 1, "total_tokens": 3, "completion_tokens": 2,
              "prompt_tokens_details": None, "reasoning_tokens": 0},
    "metadata": {"weight_version": "default"}, "sglext": {"routed_experts": "AA"},
}  # fmt: skip

COMPLETIONS = {
    "openai": OPENAI, "azure": AZURE, "vllm": VLLM, "llama.cpp": LLAMA_CPP, "deepseek": DEEPSEEK,
    "mistral": MISTRAL, "audio": AUDIO, "openrouter": OPENROUTER, "glm": GLM, "minimax": MINIMAX,
    "gemini": GEMINI, "doubao": DOUBAO, "sglang": SGLANG,
}  # fmt: skip


def chunk(delta: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with one choice; `choice` and `around` add to it, `finish` ends it."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": more.get("finish")}
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m",
        "choices": [{**choice, **more.get("choice", {})}], **more.get("around", {}),
    }  # fmt: skip


def tool(index: int, arguments: str | None = None, **more: Any) -> dict[str, Any]:
    """A delta with a fragment of one tool call."""
    function = {key: more.pop(key) for key in ("name",) if key in more}
    function |= {} if arguments is None else {"arguments": arguments}
    return {"tool_calls": [{"index": index, **more, "function": function}]}


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}

OPENAI_STREAM = [
    chunk({"role": "assistant", "content": "", "refusal": None}, around={"obfuscation": "aX"}),
    chunk({"content": "你"}, around={"usage": None}),
    chunk({"content": "好"}, choice={"logprobs": {"content": [{"token": "好"}]}}),
    chunk(finish="stop"),
    {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m",
     "choices": [], "usage": USAGE},
]  # fmt: skip

AZURE_STREAM = [
    {"choices": [], "created": 0, "id": "", "model": "", "object": "",
     "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}]},
    chunk({"role": "assistant", "content": ""}, choice={"content_filter_results": {}}),
    chunk({"content": "你好"}, choice={"content_filter_results": FILTERS}),
    chunk(None, choice={"content_filter_offsets": {"check_offset": 44, "start_offset": 44},
                        "content_filter_results": FILTERS}),
    chunk(finish="stop"),
]  # fmt: skip

DEEPSEEK_STREAM = [
    chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
    chunk({"content": None, "reasoning_content": "先想"}),
    chunk({"content": "再答", "reasoning_content": None}),
    chunk({"content": "", "reasoning_content": None}, finish="stop", around={"usage": USAGE}),
]

VLLM_STREAM = [
    chunk({"role": "assistant", "content": "", "reasoning_content": None},
          around={"prompt_token_ids": [1, 2]}),
    chunk({"reasoning": "想", "reasoning_content": "想"},
          choice={"token_ids": [5], "stop_reason": None}),
    chunk(tool(0, None, id="chatcmpl-tool-a", type="function", name="天气")),
    chunk(tool(0, '{"城市"')),
    chunk(tool(0, ': "上海"}')),
    chunk({"content": ""}, finish="tool_calls", choice={"stop_reason": 7, "token_ids": None}),
]  # fmt: skip

LLAMA_CPP_STREAM = [
    chunk({"role": "assistant", "content": None}),
    chunk({"reasoning_content": "想"}),
    chunk({"content": "好"}),
    chunk(finish="stop"),
    {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m",
     "choices": [], "usage": USAGE, "timings": {"prompt_n": 3, "prompt_ms": 20.3}},
]  # fmt: skip

MINIMAX_STREAM = [
    chunk({"role": "assistant", "content": "答", "name": "MiniMax AI", "audio_content": ""},
          around={"output_sensitive": False, "input_sensitive_type": 0}),
    {**MINIMAX, "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "答"}}]},
]  # fmt: skip

OPENROUTER_STREAM = [
    chunk({"role": "assistant", "content": "", "reasoning": "想", "reasoning_details": [
        {"type": "reasoning.text", "text": "想"}]}, around={"provider": "p"}),
    chunk({"role": "assistant", "content": "答"}, choice={"native_finish_reason": None}),
    chunk({"content": ""}, finish="stop", choice={"native_finish_reason": "completed"}),
    chunk({"role": "assistant", "content": ""}, around={"usage": {**USAGE, "cost": 0.1}}),
]  # fmt: skip

STREAMS = {
    "openai": OPENAI_STREAM, "azure": AZURE_STREAM, "deepseek": DEEPSEEK_STREAM,
    "vllm": VLLM_STREAM, "llama.cpp": LLAMA_CPP_STREAM, "minimax": MINIMAX_STREAM,
    "openrouter": OPENROUTER_STREAM,
}  # fmt: skip
