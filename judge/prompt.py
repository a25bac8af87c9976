"""A case -> the messages that a judge model gets. Pure: the same case gives the same bytes.

The rubric, which is the same for every row of a dimension, comes first, so that providers' prefix
caches hit; the text under judgement comes last, between fences that it cannot contain: their mark
is a hash of that very text.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from judge.rubric import SHIPPED, Example, Rubric
from judge.text import fingerprint, visible
from judge.verdict import Case

Message = dict[str, str]
FENCE_BITS = 128
_SPLIT = "<!-- user -->"
_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")
_ROLES = {"system": "系统", "user": "用户", "assistant": "模型"}


class Frame(NamedTuple):
    """The text around every rubric and every row, with named slots."""

    system: str
    user: str

    @classmethod
    def parse(cls, text: str) -> Frame:
        """The frame in a file's text; a line `<!-- user -->` parts its messages."""
        system, user = text.split(_SPLIT)
        return cls(system.strip(), user.strip())


@cache
def frame() -> Frame:
    """The shipped frame."""
    text = (SHIPPED / "judge_prompt.md").read_text(encoding="utf-8")
    return Frame.parse(text)


def _fill(template: str, slots: dict[str, str]) -> str:
    """Fill every slot in one pass, so that a text which contains a slot's name stays as it is."""
    return _SLOT.sub(lambda match: slots[match[1]], template)


def build_messages(
    case: Case, response: str, *, brief: bool = False, within: Frame | None = None
) -> list[Message]:
    """The messages for one case.

    Args:
        case: what is judged.
        response: the part of the record's response that is under judgement.
        brief: leave the worked examples out, for a model with a short context.
        within: another frame than the shipped one.
    """
    user = (within or frame()).user
    record = case.record
    history = "\n".join(
        f"【{_ROLES[turn.role]}】{visible(turn.content)}" for turn in record.history
    )
    texts = {
        "history": history or "（无）",
        "prompt": visible(record.prompt),
        "response": visible(response),
    }
    mark = fence(*texts.values())
    part = record.subcomponent and case.rubric.subcomponent(record.subcomponent)
    subcomponent = f"{part.name_zh}（{part.name}）：{part.looks_for}" if part else "（未指明）"
    slots = texts | {"fence": mark, "subcomponent": subcomponent, "dimension": case.rubric.name_zh}
    return [
        {"role": "system", "content": system_text(case.rubric, brief=brief, within=within)},
        {"role": "user", "content": _fill(user, slots)},
    ]


def fence(*texts: str) -> str:
    """A mark of 128 bits that none of the texts can contain, since it is a hash of them."""
    return fingerprint("fence", *texts)[: FENCE_BITS // 4]


@cache
def system_text(rubric: Rubric, *, brief: bool = False, within: Frame | None = None) -> str:
    """The static part: the frame around the rubric, the same for every row of a dimension."""
    system = (within or frame()).system
    rubric_text, form = render_rubric(rubric, brief=brief), answer_form(rubric)
    slots = {"dimension": rubric.name_zh, "rubric": rubric_text, "answer_form": form}
    return _fill(system, slots)


def render_rubric(rubric: Rubric, *, brief: bool = False) -> str:
    """The rubric as text, for a judge model and for a human annotator alike.

    Args:
        rubric: the rubric.
        brief: leave the worked examples out.
    """
    levels = "\n".join(
        f"- {level.label}（{level.name}）：{level.anchor}" for level in rubric.levels
    )
    parts = "\n".join(f"- {p.name_zh}（{p.name}）：{p.looks_for}" for p in rubric.subcomponents)
    criteria = "\n".join(
        f"{number}. `{c.id}`：{c.question}\n   {_indented(c.guide)}"
        for number, c in enumerate(rubric.criteria, 1)
    )
    rulings = "\n".join(f"- {r.title}：{_indented(r.ruling)}" for r in rubric.rulings)
    shown = () if brief else rubric.examples
    examples = "\n\n".join(_example(e, number) for number, e in enumerate(shown, 1))
    sections = (
        ("定义", rubric.definition),
        ("要回答的问题", rubric.question),
        ("分级", levels),
        ("子类", parts),
        ("判据（按顺序逐条回答 true、false；不适用时为 null）", criteria),
        ("由判据定级的规则（自上而下，第一条成立的即为结果）", _rule(rubric)),
        ("疑难情形的裁定", rulings),
        ("示例（未列出的判据为否）", examples),
    )
    return "\n\n".join(f"## {title}\n{text.strip()}" for title, text in sections if text.strip())


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n   ")


def _rule(rubric: Rubric) -> str:
    lines = []
    for number, step in enumerate(rubric.rule, 1):
        when = " 且 ".join(f"`{name}` = {str(value).lower()}" for name, value in step.when.items())
        lines.append(f"{number}. {'若 ' + when if when else '其余情况'} → {step.label}")
    return "\n".join(lines)


def _example(example: Example, number: int) -> str:
    yes = "、".join(name for name, answer in example.criteria.items() if answer)
    unfit = "、".join(name for name, answer in example.criteria.items() if answer is None)
    answers = f"{yes or '无'}" + (f"（不适用：{unfit}）" if unfit else "")
    quotes = "；".join(f"[{e.side}] {e.quote}" for e in example.evidence)
    return (
        f"### 例 {number}\n提示：{example.prompt}\n回复：{example.response}\n"
        f"证据：{quotes or '（无）'}\n"
        f"为是的判据：{answers}\n理由：{example.reason}\n等级：{example.label}"
    )


def answer_form(rubric: Rubric) -> str:
    """The form of the answer, in the order in which it must be thought through."""
    criteria = ", ".join(f'"{c.id}": true|false|null' for c in rubric.criteria)
    labels = "|".join(map(str, rubric.labels))
    return (
        '{"evidence": [{"side": "prompt"|"response", "quote": "原文摘录"}, ...],\n'
        f' "criteria": {{{criteria}}},\n "reason": "中文理由",\n "label": {labels}}}'
    )
