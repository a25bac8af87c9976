"""A judge model for the loopback server: finds the dimension in the prompt, answers soundly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from judge.rubric import Rubric
from tests.cases import rubrics
from tests.openai_server import Reply, ok

Labels = Callable[[str], int]


def sound_answer(rubric: Rubric, label: int) -> str:
    """An answer whose criteria lead to the label, as an example of the rubric has them."""
    example = next(e for e in rubric.examples if e.label == label)
    value = {
        "evidence": [],
        "criteria": dict(example.criteria),
        "reason": example.reason,
        "label": label,
    }
    return json.dumps(value, ensure_ascii=False)


def oracle(label_of: Labels = lambda _: 3, **more: Any) -> Callable[[dict[str, Any], int], Reply]:
    """A script that judges by a function of the response under judgement."""

    def script(request: dict[str, Any], _: int) -> Reply:
        system, user = (message["content"] for message in request["messages"][:2])
        rubric = next(r for r in rubrics().values() if f"“{r.name_zh}”维度" in system)
        found = re.search(r"待评回复 开始>>>\n(.*)\n<<<", user, re.DOTALL)
        return ok(sound_answer(rubric, label_of(found[1] if found else "")), **more)

    return script
