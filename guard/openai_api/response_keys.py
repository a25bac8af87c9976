"""What a chat completion's answer may hold: OpenAI's keys, and those that servers add to them."""

from __future__ import annotations

from typing import Final

from guard.openai_api.identifiers import FINISH_REASONS, is_count, names_a_count
from guard.openai_api.shapes import (
    Either,
    Identifier,
    Json,
    ListOf,
    Number,
    Numbers,
    Obj,
    OneOf,
    Tagged,
    Text,
    Withheld,
)

_ID, _COUNT, _OUT = Identifier(), Number(is_count), Withheld()
_A_TEXT = OneOf(frozenset({"text"}), "text")

ENVELOPE_NAMES: Final = ("id", "model", "system_fingerprint", "service_tier")
ENVELOPE_COUNTS: Final = ("usage", "timings", "metrics")

# Withheld: text that repeats the answer (log probabilities, token ids), text that nobody judged
# (citations, search results, context), opaque blobs, and sound or pictures.
_AROUND = """
__verbose base_resp citations content_filter ec_transfer_params generation_settings images
input_sensitive input_sensitive_int input_sensitive_type kv_transfer_params metadata moderation
nvext obfuscation output_sensitive output_sensitive_int output_sensitive_type perf_metrics
prompt_annotations prompt_filter_results prompt_logprobs prompt_progress prompt_text
prompt_token_ids provider provider_specific_fields related_questions request_id search_info
search_results sglext time_info usage_breakdown video_result videos web_search x_groq
"""
_IN_CHOICE = """
content_filter_offsets content_filter_result content_filter_results error finish_details
hidden_states logprobs matched_stop meta_info moderation_hit_type native_finish_reason
prompt_token_ids provider_specific_fields routed_experts seed stop_reason token_ids
"""
_IN_MESSAGE = """
annotations audio_content citations content_blocks context encrypted_content executed_tools
extra_content hidden_states images name partial prefix provider_specific_fields reasoning_details
reasoning_signature sender_name sender_type thinking_blocks
"""
ENVELOPE_WITHHELD: Final = frozenset(_AROUND.split())
CHOICE_WITHHELD: Final = frozenset(_IN_CHOICE.split())
MESSAGE_WITHHELD: Final = frozenset(_IN_MESSAGE.split())

_TEXT = Obj({"type": _ID, "text": Text("content")})
_CONTENT_PARTS = Tagged(
    {
        "text": _TEXT,
        "output_text": _TEXT,
        "refusal": Obj({"type": _ID, "refusal": Text("refusal")}),
        "thinking": Obj(
            {
                "type": _ID,
                "thinking": Either(
                    string=Text("reasoning_content"),
                    array=ListOf(Obj({"type": _A_TEXT, "text": Text("reasoning_content")})),
                ),
                "signature": _OUT,
                "closed": _OUT,
            }
        ),
    }
)
_TOOL_CALL = Obj(
    {
        "id": _ID,
        "type": OneOf(frozenset({"function", "custom"}), "function"),
        "index": _COUNT,
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
        "role": OneOf(frozenset({"assistant"}), "assistant"),
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
                "id": _ID,
                "expires_at": _COUNT,
                "transcript": Text("audio_transcript"),
                "data": _OUT,
            }
        ),
        **dict.fromkeys(MESSAGE_WITHHELD, _OUT),
    }
)
CHOICE: Final = Obj(
    {
        "index": _COUNT,
        "message": MESSAGE,
        "finish_reason": OneOf(FINISH_REASONS, "stop"),
        **dict.fromkeys(CHOICE_WITHHELD, _OUT),
    }
)
COUNTS: Final = Numbers(names_a_count, lambda v: isinstance(v, bool) or is_count(v), "withheld")
