"""What a chat completion's answer may hold: OpenAI's keys, and those that servers add to them."""

from __future__ import annotations

from typing import Final

from guard.openai_api.shapes import (
    Either,
    Json,
    ListOf,
    Name,
    Number,
    NumberTree,
    Obj,
    Tagged,
    Text,
    Withheld,
)

_NAME, _NUMBER, _OUT = Name(), Number(), Withheld()

ENVELOPE_NAMES: Final = ("id", "model", "system_fingerprint", "service_tier")
ENVELOPE_COUNTS: Final = ("usage", "timings", "metrics")

# Withheld: text that repeats the answer (log probabilities, token ids), text that nobody judged
# (citations, search results, context), opaque blobs, and sound or pictures.
_AROUND = """
citations ec_transfer_params kv_transfer_params metadata moderation nvext obfuscation
prompt_annotations prompt_filter_results prompt_logprobs prompt_progress prompt_text
prompt_token_ids search_info search_results videos x_groq
"""
_IN_CHOICE = """
content_filter_offsets content_filter_result content_filter_results finish_details logprobs
matched_stop provider_specific_fields routed_experts seed stop_reason token_ids
"""
_IN_MESSAGE = """
annotations citations content_blocks context encrypted_content images provider_specific_fields
reasoning_details reasoning_signature thinking_blocks
"""
ENVELOPE_WITHHELD: Final = frozenset(_AROUND.split())
CHOICE_WITHHELD: Final = frozenset(_IN_CHOICE.split())
MESSAGE_WITHHELD: Final = frozenset(_IN_MESSAGE.split())

_TEXT = Obj({"type": _NAME, "text": Text("content")})
_CONTENT_PARTS = Tagged(
    {
        "text": _TEXT,
        "output_text": _TEXT,
        "refusal": Obj({"type": _NAME, "refusal": Text("refusal")}),
        "thinking": Obj(
            {
                "type": _NAME,
                "thinking": Either(
                    string=Text("reasoning_content"),
                    array=ListOf(Obj({"type": _NAME, "text": Text("reasoning_content")})),
                ),
                "signature": _OUT,
                "closed": _OUT,
            }
        ),
    }
)
_TOOL_CALL = Obj(
    {
        "id": _NAME,
        "type": _NAME,
        "index": _NUMBER,
        "function": Obj(
            {
                "name": Text("tool_name"),
                "arguments": Either(string=Text("tool_arguments"), object=Json("tool_arguments")),
            }
        ),
        "custom": Obj({"name": Text("tool_name"), "input": Text("tool_arguments")}),
        "extra_content": _OUT,
        "provider_specific_fields": _OUT,
    }
)
MESSAGE: Final = Obj(
    {
        "role": _NAME,
        "content": Either(string=Text("content"), array=ListOf(_CONTENT_PARTS)),
        "reasoning_content": Text("reasoning_content"),
        "reasoning": Text("reasoning"),
        "refusal": Text("refusal"),
        "tool_calls": ListOf(_TOOL_CALL),
        "function_call": Obj(
            {"name": Text("function_name"), "arguments": Text("function_arguments")}
        ),
        "audio": Obj(
            {
                "id": _NAME,
                "expires_at": _NUMBER,
                "transcript": Text("audio_transcript"),
                "data": _OUT,
            }
        ),
        **dict.fromkeys(MESSAGE_WITHHELD, _OUT),
    }
)
CHOICE: Final = Obj(
    {
        "index": _NUMBER,
        "message": MESSAGE,
        "finish_reason": _NAME,
        "native_finish_reason": _NAME,
        **dict.fromkeys(CHOICE_WITHHELD, _OUT),
    }
)
COUNTS: Final = NumberTree()
