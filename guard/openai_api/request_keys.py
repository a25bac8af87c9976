"""What a chat completion request may hold: OpenAI's keys, and those that servers add to them.

The added keys are those of vLLM, SGLang, llama.cpp, DeepSeek, Qwen, GLM, Kimi and Ollama that steer
sampling, thinking or the answer's form. Withheld are keys whose effect can't be judged: text that
is not readable here (token ids, embeddings, templates, processors), switches of the provider's own
checks, other models, and what asks for parts of the answer that are never forwarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from guard.openai_api.media import Media, Stored
from guard.openai_api.shapes import (
    Either,
    Flag,
    Json,
    ListOf,
    Name,
    Number,
    Numbers,
    Obj,
    Rule,
    Tagged,
    Text,
    Withheld,
    is_name,
    is_number,
)

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

_NAME, _NUMBER, _FLAG, _OUT = Name(), Number(), Flag(), Withheld()
_CACHE: Final[Mapping[str, Rule]] = {
    "cache_control": Obj({"type": _NAME, "ttl": _NAME}),
    "prompt_cache_breakpoint": Obj({"mode": _NAME}),
}


def _part(**keys: Rule) -> Obj:
    return Obj({"type": _NAME, **_CACHE, **keys})


def _media(kind: str) -> Rule:
    """Media as an object with a URL, or as the URL itself."""
    sizes = dict.fromkeys(("fps", "min_pixels", "max_pixels"), _NUMBER)
    inner: dict[str, Rule] = {"url": Media(kind), "detail": _NAME, "format": _NAME, **sizes}
    return Either(string=Media(kind), object=Obj(inner))


_TEXT = _part(text=Text("content"))
_FILE = Obj({"file_data": Media("file"), "file_id": Stored("file"), "filename": Text("file_name")})
CONTENT_PARTS: Final = Either(
    string=Text("content"),
    object=Tagged(
        {
            "text": _TEXT,
            "input_text": _TEXT,
            "output_text": _TEXT,
            "refusal": _part(refusal=Text("refusal")),
            "thinking": _part(
                thinking=Either(string=Text("reasoning_content"), array=ListOf(_TEXT)),
                signature=_OUT,
                closed=_FLAG,
            ),
            "image_url": _part(image_url=_media("image"), uuid=Stored("image")),
            "input_image": _part(image_url=_media("image"), detail=_NAME),
            "video_url": _part(video_url=_media("video"), uuid=Stored("video"), fps=_NUMBER),
            "audio_url": _part(audio_url=_media("audio"), uuid=Stored("audio")),
            "input_audio": _part(
                input_audio=Obj(
                    {"data": Media("audio"), "format": _NAME, "transcript": Text("content")}
                )
            ),
            "file": _part(file=_FILE),
        }
    ),
)
_CONTENT = Either(string=Text("content"), array=ListOf(CONTENT_PARTS))

_FUNCTION_CALL = Obj(
    {
        "name": Text("tool_name"),
        # some servers take the arguments as an object
        "arguments": Either(string=Text("tool_arguments"), object=Json("tool_arguments")),
    }
)
_TOOL_CALL = Obj(
    {
        "id": _NAME,
        "type": _NAME,
        "index": _NUMBER,
        "function": _FUNCTION_CALL,
        "custom": Obj({"name": Text("tool_name"), "input": Text("tool_arguments")}),
    }
)

MESSAGE: Final = Obj(
    {
        "role": _NAME,
        "content": _CONTENT,
        "name": Text("name"),
        "refusal": Text("refusal"),
        "tool_calls": ListOf(_TOOL_CALL),
        "tool_call_id": _NAME,
        "function_call": _FUNCTION_CALL,
        "audio": Obj({"id": Stored("audio")}),
        "reasoning_content": Text("reasoning_content"),
        "reasoning": Text("reasoning"),
        "thinking": Text("reasoning"),
        "prefix": _FLAG,
        "partial": _FLAG,
        "annotations": _OUT,
        "reasoning_details": _OUT,
        "thinking_blocks": _OUT,
        "provider_specific_fields": _OUT,
        **_CACHE,
    }
)

_FUNCTION = Obj(
    {
        "name": Text("tool_name"),
        "description": Text("tool_description"),
        "parameters": Json("schema"),
        "strict": _FLAG,
    }
)
_CUSTOM_TOOL = Obj(
    {"name": Text("tool_name"), "description": Text("tool_description"), "format": Json("grammar")}
)
_TOOL = Obj({"type": _NAME, "function": _FUNCTION, "custom": _CUSTOM_TOOL, **_CACHE})
_CHOSEN = Obj({"name": Text("tool_name")})
_TOOL_CHOICE = Either(
    string=_NAME,
    object=Obj(
        {"type": _NAME, "function": _CHOSEN, "custom": _CHOSEN, "allowed_tools": Json("tool_name")}
    ),
)
_RESPONSE_FORMAT = Obj(
    {
        "type": _NAME,
        "json_schema": Json("schema"),
        "schema": Json("schema"),
        "structures": Json("schema"),
        "triggers": Json("schema"),
        "format": Json("schema"),
    }
)
_MODERATION = Obj(
    {
        "model": _NAME,
        "policy": Obj({"input": Obj({"mode": _NAME}), "output": Obj({"mode": _NAME})}),
    }
)

_OPENAI: Final[Mapping[str, Rule]] = {
    "messages": ListOf(MESSAGE),
    "model": _NAME,
    "audio": Obj({"format": _NAME, "voice": Either(string=_NAME, object=Obj({"id": _NAME}))}),
    "frequency_penalty": _NUMBER,
    "function_call": Either(string=_NAME, object=_CHOSEN),
    "functions": ListOf(_FUNCTION),
    "logit_bias": Numbers(is_name, is_number, "unknown"),
    "logprobs": _OUT,
    "max_completion_tokens": _NUMBER,
    "max_tokens": _NUMBER,
    "metadata": Json("metadata"),
    "modalities": ListOf(_NAME),
    "moderation": _MODERATION,
    "n": _NUMBER,
    "parallel_tool_calls": _FLAG,
    "prediction": Obj({"type": _NAME, "content": _CONTENT}),
    "presence_penalty": _NUMBER,
    "prompt_cache_key": _NAME,
    "prompt_cache_options": Obj({"mode": _NAME, "ttl": _NAME}),
    "prompt_cache_retention": _NAME,
    "reasoning_effort": _NAME,
    "response_format": _RESPONSE_FORMAT,
    "safety_identifier": _NAME,
    "seed": _NUMBER,
    "service_tier": _NAME,
    "stop": Either(string=Text("stop"), array=ListOf(Text("stop"))),
    "store": _FLAG,
    "stream": _FLAG,
    "stream_options": Obj(
        {
            "include_usage": _FLAG,
            "include_obfuscation": _FLAG,
            "continuous_usage_stats": _FLAG,
        }
    ),
    "temperature": _NUMBER,
    "tool_choice": _TOOL_CHOICE,
    "tools": ListOf(_TOOL),
    "top_logprobs": _OUT,
    "top_p": _NUMBER,
    "user": _NAME,
    "verbosity": _NAME,
    "web_search_options": Json("web_search"),
}

_SAMPLING_NUMBERS: Final = """
best_of dry_allowed_length dry_base dry_multiplier dry_penalty_last_n dynatemp_exponent
dynatemp_range length_penalty min_keep min_p min_tokens mirostat mirostat_eta mirostat_tau n_indent
n_keep n_predict num_ctx num_predict priority reasoning_budget repeat_last_n repeat_penalty
repetition_penalty t_max_predict_ms thinking_budget thinking_token_budget top_a top_k top_n_sigma
truncate_prompt_tokens typical_p xtc_probability xtc_threshold
"""
_SWITCHES: Final = """
add_generation_prompt add_special_tokens cache_prompt continue_final_message do_sample echo
enable_search enable_thinking ignore_eos include_reasoning include_stop_str_in_output no_stop_trim
parse_tool_calls preserve_thinking reasoning_split separate_reasoning skip_special_tokens
spaces_between_special_tokens stream_reasoning thinking_forced_open tool_stream use_beam_search
vl_high_resolution_images watermarking
"""
_EXTRA: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(_SAMPLING_NUMBERS.split(), _NUMBER),
    **dict.fromkeys(_SWITCHES.split(), _FLAG),
    "allowed_token_ids": ListOf(_NUMBER),
    "bad_words": ListOf(Text("stop")),
    "cache_salt": _NAME,
    "chat_template_kwargs": Json("template_arguments"),
    "documents": Json("document"),
    "dry_sequence_breakers": ListOf(Text("stop")),
    "ebnf": Text("grammar"),
    "grammar": Text("grammar"),
    "guided_choice": Json("grammar"),
    "guided_decoding_backend": _NAME,
    "guided_grammar": Text("grammar"),
    "guided_json": Json("schema"),
    "guided_regex": Text("grammar"),
    "guided_whitespace_pattern": Text("grammar"),
    "json_schema": Json("schema"),
    "reasoning": Obj({"effort": _NAME, "max_tokens": _NUMBER, "enabled": _FLAG, "exclude": _FLAG}),
    "reasoning_format": _NAME,
    "regex": Text("grammar"),
    "request_id": _NAME,
    "samplers": ListOf(_NAME),
    "search_options": Json("web_search"),
    "session_id": _NAME,
    "stop_token_ids": ListOf(_NUMBER),
    "structural_tag": Json("grammar"),
    "structured_outputs": Json("grammar"),
    "thinking": Obj(
        {"type": _NAME, "budget_tokens": _NUMBER, "clear_thinking": _FLAG, "effort": _NAME}
    ),
    "translation_options": Json("translation"),
    "truncation_side": _NAME,
    "user_id": _NAME,
}
# Text that can't be read here.
_UNREADABLE: Final = """
chat_template custom_logit_processor images input_embeds input_ids logits_processors
mm_processor_kwargs media_io_kwargs prompt prompt_embeds prompt_token_ids vllm_xargs
"""
# Another model, the provider's own checks switched off, a state of the server's.
_NOT_THE_CALLERS: Final = """
ec_transfer_params id_slot kv_transfer_params lora lora_path models route sensitive_word_check
session_params
"""
# What the answer would carry beside its text.
_BESIDE_THE_TEXT: Final = """
logprob_token_ids n_probs post_sampling_probs prompt_logprobs response_fields return_progress
return_prompt_text return_token_ids return_tokens return_tokens_as_token_ids timings_per_token
"""
_NEVER: Final = (*_UNREADABLE.split(), *_NOT_THE_CALLERS.split(), *_BESIDE_THE_TEXT.split())

REQUEST: Final = Obj({**_OPENAI, **_EXTRA, **dict.fromkeys(_NEVER, _OUT)})
