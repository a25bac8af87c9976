"""Which family of models a name belongs to: a judge may be kinder to its own. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# What a name must hold; letters right before or after would make it another word.
_FAMILIES: dict[str, str] = {
    "baichuan": r"baichuan|百川",
    "claude": r"claude",
    "deepseek": r"deepseek|深度求索",
    "doubao": r"doubao|豆包|skylark|seed-(?:oss|\d)",
    "ernie": r"ernie|wenxin|文心",
    "gemini": r"gemini|gemma|palm",
    "glm": r"(?:chat|code)?glm|智谱",
    "gpt": r"(?:chat)?gpt(?!-?(?:neo|j)\b)|davinci|o[134](?=[-:_]|$)",
    "grok": r"grok",
    "hunyuan": r"hunyuan|混元",
    "internlm": r"intern(?:lm|vl)|书生",
    "kimi": r"kimi|moonshot|月之暗面",
    "llama": r"(?:code)?llama|vicuna|alpaca",
    "minimax": r"minimax|abab",
    "mistral": r"mistral|mixtral|ministral|magistral|codestral|devstral|pixtral",
    "phi": r"phi(?=-?\d)",
    "qwen": r"(?:code)?qwen|qwq|qvq|tongyi|通义|千问",
    "spark": r"spark(?:desk)?|讯飞|星火",
    "yi": r"yi(?=[-:_\d]|$)|零一万物",
}
_PATTERNS = {
    name: re.compile(rf"(?<![a-z])(?:{pattern})(?!(?<=[a-z])[a-z])")
    for name, pattern in _FAMILIES.items()
}
# Providers that serve their own models alone; the others host everybody's.
_PROVIDERS = {
    "anthropic": "claude",
    "deepseek": "deepseek",
    "gemini": "gemini",
    "mistral": "mistral",
    "minimax": "minimax",
    "moonshot": "kimi",
    "xai": "grok",
    "zai": "glm",
    "zhipu": "glm",
    "zhipuai": "glm",
}


class Kinship(NamedTuple):
    """A judge and a judged model of one family."""

    judge: str
    model: str
    family: str


def families(name: str) -> frozenset[str]:
    """The families that a model's name speaks of; none where it speaks of none.

    A distilled model may belong to two. The provider counts only where the model's own name says
    nothing, and where the provider serves its own models alone: `openai/my-bot` may be anything.

    Args:
        name: as litellm, a server or a table calls it: `dashscope/qwen-max`, `ChatGLM3-6B`.
    """
    *providers, model = name.strip().casefold().split("/")
    found = {family for family, pattern in _PATTERNS.items() if pattern.search(model)}
    if not found:
        found = {_PROVIDERS[provider] for provider in providers if provider in _PROVIDERS}
    return frozenset(found)


def kinships(judges: Iterable[str], models: Iterable[str]) -> tuple[Kinship, ...]:
    """Every judge and judged model of one family."""
    judged = sorted(set(models))
    return tuple(
        Kinship(judge, model, family)
        for judge in dict.fromkeys(judges)
        for model in judged
        for family in sorted(families(judge) & families(model))
    )
