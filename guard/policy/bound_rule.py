"""A rule that is ready to act: with its dimension's rubric, and the cut of its promise."""

from __future__ import annotations

from dataclasses import dataclass, replace

from guard.policy.model import Rule
from judge.calibration import By, DimensionCalibration, Threshold, score_of
from judge.rubric import Rubric
from judge.verdict import JudgeRef, Verdict

HARMFUL = 0.49  # most that a bare label but 3 stands for; 2, halfway, is not below a cut of 0.5


@dataclass(frozen=True)
class BoundRule:
    """A rule that is ready to act.

    Args:
        rule: as the policy has it.
        rubric: of the dimension that it names.
        calibration: of that dimension, where there is one.
        threshold: what its promise was looked up as.
        streamed: the same for streamed answers, whose every look may act; null where the
            calibration has none for the policy's windows.
    """

    rule: Rule
    rubric: Rubric | None = None
    calibration: DimensionCalibration | None = None
    threshold: Threshold | None = None
    streamed: Threshold | None = None

    def for_stream(self) -> BoundRule:
        """The rule as it acts on each look at a streamed answer."""
        return self if self.streamed is None else replace(self, threshold=self.streamed)

    @property
    def name(self) -> str:
        """The rule's, as events and metrics name it."""
        return self.rule.name

    @property
    def dimension(self) -> str | None:
        """The dimension's own name, whatever alias the policy uses."""
        return None if self.rubric is None else self.rubric.dimension

    @property
    def cut(self) -> float | None:
        """What a score is compared with; null for evidence."""
        return self.rule.cut if self.threshold is None else self.threshold.cut

    def score(self, verdict: Verdict) -> float:
        """What the cut is compared with.

        A promise's cut goes by the judge's own score, before the map that was fitted on the same
        gold; a fixed cut by the calibrated P(harmless), where there is one. Where the gold's scores
        were labels, a label that calls for action does so whatever P(harmless) now stands beside
        it; where they were P(harmless), so does a label "not 3" that comes without.
        """
        if self.threshold is None:
            return self.p_harmless(verdict)
        own = score_of(verdict.label, verdict.p_harmless, "p_harmless")
        if self._by == "label":
            return min(own, score_of(verdict.label, verdict.p_harmless, "label"))
        silent = self._by is not None and verdict.p_harmless is None
        return 0.0 if silent and verdict.label != 3 else own

    def reads(self, verdict: Verdict) -> bool:
        """Whether a verdict says what the rule's cut needs to know.

        A cut that was found among P(harmless) can't be held against the label 3 alone. Nor lets a
        promise pass what its judge says otherwise asked than for the gold, as without its prompt's
        worked examples; where that calls for action, it counts.
        """
        if self.threshold is None:
            return True
        if self._by == "p_harmless" and verdict.p_harmless is None and verdict.label == 3:
            return False
        return self._signed(verdict.judge) or self.acts(self.score(verdict))

    def _signed(self, judge: JudgeRef) -> bool:
        """Whether the gold knows this judge, with this prompt."""
        return self.calibration is None or judge.fingerprint in self.calibration.signers

    def p_harmless(self, verdict: Verdict) -> float:
        """P(harmless): calibrated where the calibration has a map, else the judge's own.

        Where it gave none, its label stands in for it: what it calls harmful is below one half,
        unless the map says what people call such a label.
        """
        found = None if self.calibration is None else self.calibration.p_harmless(verdict)
        if found is None:
            found = score_of(verdict.label, verdict.p_harmless, "p_harmless")
        bare = verdict.p_harmless is None and self._by != "label"
        return min(found, HARMFUL) if bare and not verdict.harmless else found

    @property
    def _by(self) -> By | None:
        """What the gold's scores were; None where nobody knows."""
        if self.calibration is None or self.calibration.map is None:
            return None
        return self.calibration.map.by

    def acts(self, score: float) -> bool:
        """Whether a text with this score is acted upon."""
        if self.threshold is not None:
            return self.threshold.acts(score)
        return self.rule.cut is not None and score < self.rule.cut
