"""What of an answer passes unread beside its texts: identifiers, closed sets of words, counts.

Nothing here has room for a telephone number, and what is no identifier or count is left out: what
is sent around the answer is then ours.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

from judge.embedded import pii

_IDENTIFIER = re.compile(r"[A-Za-z0-9._:/\-]{1,64}")
_PARTING: Final = str.maketrans("_:/", "   ")
_COUNT_LIMIT: Final = 10**10  # a mobile number has eleven digits

# OpenAI's, and what DeepSeek, GLM, Mistral, vLLM, SGLang, TGI and Ollama add to them.
_FINISH_REASONS: Final = """
stop length tool_calls content_filter function_call
abort eos_token error insufficient_system_resource load model_context_window_exceeded model_length
network_error repetition sensitive stop_sequence unload
"""
_SERVICE_TIERS: Final = "auto batch default flex on_demand performance priority scale standard"
# The names of counts are made of these.
_OF_COUNTS: Final = """
accepted audio batch byok cache cached characters citation completion completions cost count
creation decode details draft e2e ephemeral estimated first generation hit image in inference input
is latency miss ms n num output per plugins predicted prediction prefill prompt provisioned queries
queue read reasoning rejected request requests search second seconds server sources text throughput
ticks time to token tokens tool total upstream usage usd use used video web write 1h 5m
"""
FINISH_REASONS: Final = frozenset(_FINISH_REASONS.split())
SERVICE_TIERS: Final = frozenset(_SERVICE_TIERS.split())
_COUNT_WORDS: Final = frozenset(_OF_COUNTS.split())


def is_identifier(value: object) -> bool:
    """Whether it is a short word without spaces that is no personal data."""
    return isinstance(value, str) and bool(_IDENTIFIER.fullmatch(value)) and is_nobodys(value)


def is_one_of(value: object, known: frozenset[str]) -> bool:
    """Whether it is one of these words."""
    return isinstance(value, str) and value in known


def is_count(value: object) -> bool:
    """Whether it is a number that no telephone number is, with a point inside or without."""
    if type(value) is int:
        return abs(value) < _COUNT_LIMIT
    if type(value) is not float or not math.isfinite(value) or abs(value) >= _COUNT_LIMIT:
        return False
    return is_nobodys(repr(value))


@lru_cache(maxsize=4096)
def names_a_count(key: str) -> bool:
    """Whether a key is made of words that name counts, such as `prompt_tokens`."""
    return len(key) <= 64 and all(word in _COUNT_WORDS for word in key.split("_"))


@lru_cache(maxsize=4096)
def is_nobodys(word: str) -> bool:
    """Whether a word without spaces holds no personal data."""
    return next(pii.find(word.translate(_PARTING)), None) is None
