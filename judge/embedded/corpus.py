"""The stance head's training rows: real answers, and answers made from them.

Made ones are a refusal's opening alone (short refusals), an opening with neutral sentences of the
same refusal (quiet steering), and an opening put before another answer's help (a disclaimer that
isn't meant). The last are trained on by the veto alone.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from judge.embedded.fold import fold
from judge.embedded.published import Answer
from judge.embedded.refusal import DECLINES_EN, DECLINES_ZH, WARNS_EN, WARNS_ZH, sentence_spans
from judge.embedded.stance import View, view

Kind = Literal["real", "short", "steering", "disclaimer", "own"]
WEIGHT: dict[Kind, float] = {"real": 1.0, "short": 0.5, "steering": 0.5, "disclaimer": 0.5}
_MOST_OPENING = 260
_BRIDGES_ZH = (
    *(
        "",
        "",
        "",
        "",
        "不过，",
        "但是，",
        "不过如果你坚持，可以这样做：",
        "但既然你问了，",
        "话虽如此，",
    ),
    *(
        "仅供参考：",
        "以下是具体做法：",
        "如果你一定要做，",
        "下面是一些方法：",
        "可以按下面的步骤来：",
    ),
    *("当然，", "当然可以，", "好的，"),
)
_BRIDGES_EN = (
    *(
        "",
        "",
        "",
        "",
        " However, ",
        " That said, ",
        " But if you still want to, ",
        " Here is how: ",
    ),
    *(" Here are some steps: ", " For educational purposes only: ", " Anyway, ", " Sure, "),
    *(" If you insist, ",),
)


@dataclass(frozen=True)
class Row:
    """One training row.

    `sources` and `prompt` say with what it may not be tested: a row made from two answers has both
    answers' sources.
    """

    view: View
    stance: int
    kind: Kind
    sources: frozenset[str]
    prompt: str
    weight: float


@dataclass(frozen=True)
class _Parts:
    answer: Answer
    text: str
    view: View
    disclaims: bool

    @property
    def opening(self) -> str:
        return self.text[: self.view.surface.split]


def rows(answers: Sequence[Answer], seed: int = 0) -> list[Row]:
    """Real and made rows; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - data made reproducibly, no secret
    parts = [_parts(answer) for answer in answers]
    refusals = [part for part in parts if part.answer.stance and part.disclaims]
    made: list[tuple[str, int, Kind, frozenset[str], str]] = [
        (part.text, part.answer.stance, "real", frozenset({part.answer.source}), part.answer.prompt)
        for part in parts
    ]
    for part in refusals:
        own = frozenset({part.answer.source})
        made.append((part.opening, 1, "short", own, part.answer.prompt))
        if steering := _steering(part, rng):
            made.append((steering, 1, "steering", own, part.answer.prompt))
    made += _disclaimers(parts, refusals, rng)
    times = Counter(text for text, *_ in made)
    return [
        Row(view(text), stance, kind, sources, prompt, WEIGHT[kind] / times[text] ** 0.5)
        for text, stance, kind, sources, prompt in made
    ]


def _parts(answer: Answer) -> _Parts:
    text = fold(answer.text).text
    seen = view(text)
    return _Parts(answer, text, seen, disclaims=bool(_disclaims(text[: seen.surface.split])))


def _disclaims(text: str) -> re.Match[str] | None:
    patterns = (DECLINES_ZH, WARNS_ZH, DECLINES_EN, WARNS_EN)
    return next((found for pattern in patterns if (found := pattern.search(text))), None)


def _steering(part: _Parts, rng: random.Random) -> str:
    """The opening, and up to three consecutive sentences of the rest that don't refuse or warn."""
    text = part.text
    spans = sentence_spans(text, part.view.surface.split)
    neutral = [text[a:b].strip() for a, b in spans if not _disclaims(text[a:b])]
    if not neutral:
        return ""
    count = rng.choice((1, 1, 2, 3))
    at = rng.randrange(max(len(neutral) - count + 1, 1))
    joint = "" if part.view.sample.chinese else " "
    return joint.join([part.opening.strip(), *neutral[at : at + count]])


def _disclaimers(
    parts: Sequence[_Parts], refusals: Sequence[_Parts], rng: random.Random
) -> list[tuple[str, int, Kind, frozenset[str], str]]:
    """Each answer that goes along, whole or its start, behind a refusal's opening.

    The opening comes from a refusal of the same prompt where there is one.
    """
    openings = [part for part in refusals if len(part.opening) <= _MOST_OPENING]
    same: dict[str, list[_Parts]] = defaultdict(list)
    for part in openings:
        same[part.answer.prompt].append(part)
    made: list[tuple[str, int, Kind, frozenset[str], str]] = []
    for part in parts:
        if part.answer.stance:
            continue
        jade = part.answer.source == "jade"
        alike = [other for other in openings if (other.answer.source == "jade") == jade]
        refusal = rng.choice(same.get(part.answer.prompt) or alike)
        bridge = rng.choice(_BRIDGES_ZH if jade else _BRIDGES_EN)
        text = refusal.opening + bridge + _start(part.text, rng)
        sources = frozenset({refusal.answer.source, part.answer.source})
        made.append((text, 0, "disclaimer", sources, part.answer.prompt))
    return made


def _start(text: str, rng: random.Random) -> str:
    spans = sentence_spans(text)
    if not spans or rng.random() < 0.5:
        return text
    return text[: spans[min(rng.choice((1, 2, 3, 4)), len(spans)) - 1][1]]
