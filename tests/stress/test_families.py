"""Which family a model's name speaks of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.stress.families import Kinship, families, kinships

NAMES = {
    "deepseek/deepseek-chat": {"deepseek"},
    "openrouter/deepseek/deepseek-r1": {"deepseek"},
    "dashscope/qwen-max": {"qwen"},
    "openai/qwen2.5-coder-1.5b-instruct": {"qwen"},
    "Qwen1.5-72B-Chat": {"qwen"},
    "ollama/qwen3:8b": {"qwen"},
    "QwQ-32B": {"qwen"},
    "通义千问": {"qwen"},
    "ChatGLM3-6B": {"glm"},
    "zai/glm-4.6": {"glm"},
    "智谱清言": {"glm"},
    "gpt-4o": {"gpt"},
    "ChatGPT": {"gpt"},
    "azure/o4-mini": {"gpt"},
    "o1": {"gpt"},
    "anthropic/claude-sonnet-4": {"claude"},
    "bedrock/anthropic.claude-v2": {"claude"},
    "gemini/gemini-2.5-pro": {"gemini"},
    "google/gemma-3": {"gemini"},
    "meta-llama/Llama-3-8B": {"llama"},
    "Yi-34B-Chat": {"yi"},
    "01-ai/yi-large": {"yi"},
    "baichuan2-13b": {"baichuan"},
    "internlm2-chat-20b": {"internlm"},
    "moonshot/kimi-k2": {"kimi"},
    "moonshot/v1-8k": {"kimi"},
    "volcengine/doubao-1.5-pro": {"doubao"},
    "ERNIE-Bot-4": {"ernie"},
    "文心一言": {"ernie"},
    "hunyuan-large": {"hunyuan"},
    "open-mixtral-8x7b": {"mistral"},
    "minimax/abab6.5": {"minimax"},
    "MiniMax-M1": {"minimax"},
    "SparkDesk-v3": {"spark"},
    "讯飞星火": {"spark"},
    "deepseek-r1-distill-qwen-7b": {"deepseek", "qwen"},
    "openai/my-bot": set(),
    "dashscope/llama3-8b": {"llama"},
    "embedded": set(),
    "demo1": set(),
    "chatyi": set(),
    "EleutherAI/gpt-neo": set(),
    "sparkling-water": set(),
    "": set(),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_speaks_of_its_family_wherever_it_stands(name: str) -> None:
    """Before or after the provider, in any case, Chinese or English; a host says nothing."""
    assert families(name) == NAMES[name]
    assert families(name.upper()) == NAMES[name]


def test_a_judge_and_a_judged_model_of_one_family_are_named_once() -> None:
    """Any judge of a panel counts; two models of unknown family are no kin."""
    found = kinships(["dashscope/qwen-max", "deepseek/deepseek-chat"], ["qwen2-7b", "bot", "bot"])
    assert found == (Kinship("dashscope/qwen-max", "qwen2-7b", "qwen"),)
    assert kinships(["openai/a"], ["b"]) == ()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_name(name: str) -> None:
    """Names come from files."""
    assert families(name) <= {family for found in NAMES.values() for family in found} | {
        "grok",
        "phi",
    }
