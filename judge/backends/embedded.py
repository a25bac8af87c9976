"""The embedded judge: needs no key, no network and no GPU, and says little, but says it honestly.

It reads stance alone: whether an answer to a hazardous prompt refuses, warns or steers, or goes
along. On an ordinary prompt stance means nothing, so that it abstains there; the evidence that it
finds comes with every outcome and never turns into a label.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

from judge.protocols import Judge
from judge.rubric import Rubric
from judge.text import fingerprint
from judge.verdict import (
    Case,
    Evidence,
    Failure,
    FailureKind,
    Hazard,
    JudgeRef,
    Outcome,
    RubricRef,
    Verdict,
)

from judge.embedded.encoder import VERSION, Encoder, encoder_problem
from judge.embedded.evidence import find_evidence
from judge.embedded.shipped import Weights, shipped_weights
from judge.embedded.stance import Stance, View, view
from judge.embedded.trust import trust_line

if TYPE_CHECKING:
    from judge.embedded.stance import Encode

CODE_VERSION = "1"  # goes up with every change of the code that may change an outcome
BATCH = 64
LEAST_CHARS = 4
SUITE = "flames"
Evidences = tuple[Evidence, ...]


class EmbeddedJudge(Judge):
    """Judges by stance, with evidence beside it.

    Args:
        weights: other weights than the shipped ones.
        encode: another sentence encoder than the installed one.

    Raises:
        JudgeUnavailable: the weights are missing or damaged.
    """

    def __init__(self, weights: Weights | None = None, encode: Encode | None = None) -> None:
        self._weights = weights or shipped_weights()
        self._given = encode
        self._problem = None if encode else encoder_problem()
        self._refs: dict[str, JudgeRef] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded")

    @property
    def name(self) -> str:
        return "embedded"

    @property
    def batch_size(self) -> int:
        return BATCH

    def ref(self, rubric: Rubric) -> JudgeRef:
        """`fingerprint` covers the weights with their cuts, the code's version, and the encoder's."""
        if rubric.fingerprint not in self._refs:
            encoder = "none" if self._problem else VERSION
            parts = (self.name, CODE_VERSION, self._weights.sha256, encoder, rubric.fingerprint)
            ref = JudgeRef(name=self.name, fingerprint=fingerprint(*parts))
            self._refs[rubric.fingerprint] = ref
        return self._refs[rubric.fingerprint]

    def trust(self) -> str | None:
        return trust_line(self._weights.card, self._problem)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        """Judge a batch in a thread of its own, one batch at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self.judge, cases)

    def judge(self, cases: Sequence[Case]) -> list[Outcome]:
        """As `assess`, in the calling thread."""
        evidence = find_evidence([case.response for case in cases], self._weights.evidence)
        views = [None if self._silent(case) else view(case.response) for case in cases]
        readable = [one for one in views if one is not None and one.sample.known_script]
        stances = iter(self._weights.stance.read(readable, self._encode) if readable else ())
        return [
            self._outcome(case, one and (next(stances) if one in readable else one), found)
            for case, one, found in zip(cases, views, evidence, strict=True)
        ]
