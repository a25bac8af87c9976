"""Several judges as one: a panel that votes, and a cascade whose doubtful rows go up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Literal

from judge.dispatch import together
from judge.llm.bill import Bill
from judge.protocols import Judge
from judge.rubric import Label, Rubric
from judge.text import fingerprint
from judge.verdict import Case, Failure, JudgeRef, JudgeVote, Outcome, Usage, Verdict

Vote = Literal["majority", "mean"]
Band = tuple[float, float]
DOUBT: Band = (0.2, 0.8)


class PanelJudge(Judge):
    """Every member judges every row.

    `majority`: harmless when more than half of the verdicts say so, else the commonest of the other
    labels. `mean`: harmless when the mean P(3) is above one half, else the other label with the
    largest mean P(label); a member without probabilities counts as sure of its label. A tie goes to
    the more harmful side. A row that half the members or more could not judge is a failure of their
    commonest kind.
    """

    def __init__(self, members: Sequence[Judge], vote: Vote = "majority") -> None:
        self._members, self._vote = tuple(members), vote

    @property
    def name(self) -> str:
        return "panel:" + "+".join(member.name for member in self._members)

    @property
    def batch_size(self) -> int:
        return min(member.batch_size for member in self._members)

    def ref(self, rubric: Rubric) -> JudgeRef:
        return self._sign(member.ref(rubric) for member in self._members)

    def signers(self, rubric: Rubric) -> Sequence[JudgeRef]:
        members = (member.signers(rubric) for member in self._members)
        return tuple(map(self._sign, product(*members)))

    def _sign(self, members: Iterable[JudgeRef]) -> JudgeRef:
        parts = (member.fingerprint for member in members)
        return JudgeRef(name=self.name, fingerprint=fingerprint("panel", self._vote, *parts))

    def most_usd(self, case: Case) -> float:
        return sum(member.most_usd(case) for member in self._members)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        rows = await together(member.assess(cases) for member in self._members)
        return [
            self._decide(case, outcomes)
            for case, outcomes in zip(cases, zip(*rows, strict=True), strict=True)
        ]

    def trust(self) -> str | None:
        return next(filter(None, (member.trust() for member in self._members)), None)

    async def warm(self) -> None:
        for judge in self._members:
            await judge.warm()

    async def aclose(self) -> None:
        for member in self._members:
            await member.aclose()

    def _decide(self, case: Case, outcomes: Sequence[Outcome]) -> Outcome:
        signed = {"judge": self._sign(o.judge for o in outcomes), **_together(outcomes)}
        verdicts = [outcome for outcome in outcomes if isinstance(outcome, Verdict)]
        if len(verdicts) * 2 <= len(outcomes):
            failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
            kind = Counter(failure.kind for failure in failures).most_common(1)[0][0]
            first = next(failure for failure in failures if failure.kind is kind)
            return first.model_copy(update=signed)
        probabilities = _mean_probabilities(case.rubric, verdicts)
        label, harmless = self._label(case.rubric, verdicts, probabilities)
        spokesman = next(
            (v for v in verdicts if v.label == label and v.harmless == harmless), verdicts[0]
        )
        shares = None if label is None else probabilities
        p_harmless = sum(_p_harmless(v) for v in verdicts) / len(verdicts)
        changes: dict[str, object] = {"label": label, "harmless": harmless}
        changes |= {"probabilities": shares, "p_harmless": p_harmless}
        changes |= {"p_source": _source(verdicts), **signed}
        return spokesman.model_copy(update=changes)

    def _label(
        self, rubric: Rubric, verdicts: Sequence[Verdict], probabilities: Mapping[Label, float]
    ) -> tuple[Label | None, bool]:
        if self._vote == "mean":
            harmless = sum(_p_harmless(v) for v in verdicts) / len(verdicts) > 0.5
        else:
            harmless = 2 * sum(v.harmless for v in verdicts) > len(verdicts)
        if harmless:
            return 3, True
        rest = [label for label in rubric.labels if label != 3]
        if len(rest) == 1:
            return rest[0], False
        if all(v.label is None for v in verdicts if not v.harmless):
            return None, False  # nobody can tell 2 from 1
        if self._vote == "mean":
            return max(rest, key=lambda label: (probabilities[label], -label)), False
        votes = Counter(v.label for v in verdicts if v.label in rest)
        return max(rest, key=lambda label: (votes[label], -label)), False


class CascadeJudge(Judge):
    """A cheap judge first; what it leaves in doubt goes to the strong one.

    In doubt: no verdict, no label (2 and 1 not told apart), no probability, or P(harmless) inside
    the band.
    """

    def __init__(self, cheap: Judge, strong: Judge, band: Band = DOUBT) -> None:
        self._cheap, self._strong, self._band = cheap, strong, band

    @property
    def name(self) -> str:
        return f"cascade:{self._cheap.name}>{self._strong.name}"

    @property
    def batch_size(self) -> int:
        return self._strong.batch_size

    def ref(self, rubric: Rubric) -> JudgeRef:
        return self._sign(judge.ref(rubric) for judge in (self._cheap, self._strong))

    def signers(self, rubric: Rubric) -> Sequence[JudgeRef]:
        pairs = product(self._cheap.signers(rubric), self._strong.signers(rubric))
        return tuple(map(self._sign, pairs))

    def _sign(self, pair: Iterable[JudgeRef]) -> JudgeRef:
        parts = (judge.fingerprint for judge in pair)
        band = ",".join(f"{edge:.6g}" for edge in self._band)
        signed = fingerprint("cascade", band, *parts)
        return JudgeRef(name=self.name, fingerprint=signed, band=self._band)

    def most_usd(self, case: Case) -> float:
        return self._cheap.most_usd(case) + self._strong.most_usd(case)

    def trust(self) -> str | None:
        return self._cheap.trust()

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        first = list(await self._cheap.assess(cases))
        up = [i for i, outcome in enumerate(first) if self._doubtful(outcome)]
        second = await self._strong.assess([cases[i] for i in up]) if up else ()
        steps: list[tuple[Outcome, ...]] = [(outcome,) for outcome in first]
        for i, outcome in zip(up, second, strict=True):
            steps[i] = (first[i], outcome)
        return [self._signed(case, outcomes) for case, outcomes in zip(cases, steps, strict=True)]

    async def warm(self) -> None:
        for judge in (self._cheap, self._strong):
            await judge.warm()

    async def aclose(self) -> None:
        for judge in (self._cheap, self._strong):
            await judge.aclose()

    def _signed(self, case: Case, outcomes: Sequence[Outcome]) -> Outcome:
        strong = (self._strong.ref(case.rubric),) if len(outcomes) == 1 else ()
        judge = self._sign((*(outcome.judge for outcome in outcomes), *strong))
        signed = {"judge": judge, **_together(outcomes)}
        return outcomes[-1].model_copy(update=signed)

    def _doubtful(self, outcome: Outcome) -> bool:
        if isinstance(outcome, Failure) or outcome.label is None or outcome.p_harmless is None:
            return True
        low, high = self._band
        return low < outcome.p_harmless < high


def _p_harmless(verdict: Verdict) -> float:
    return float(verdict.harmless) if verdict.p_harmless is None else verdict.p_harmless


def _mean_probabilities(rubric: Rubric, verdicts: Sequence[Verdict]) -> dict[Label, float]:
    """Mean P(label); a verdict that can't tell 2 from 1 gives each half of what is not 3."""
    total = dict.fromkeys(rubric.labels, 0.0)
    rest = [label for label in rubric.labels if label != 3]
    for verdict in verdicts:
        for label in rubric.labels:
            if verdict.probabilities is not None:
                total[label] += verdict.probabilities.get(label, 0.0)
            elif verdict.label is not None:
                total[label] += label == verdict.label
            else:
                p = _p_harmless(verdict)
                total[label] += p if label == 3 else (1 - p) / len(rest)
    return {label: share / len(verdicts) for label, share in total.items()}


def _source(verdicts: Sequence[Verdict]) -> Literal["logprob", "samples", "scorer"]:
    """Where the panel's P comes from: the members' own source when they share one, else votes."""
    sources = {verdict.p_source for verdict in verdicts}
    shared = sources.pop() if len(sources) == 1 else None
    return shared or "samples"


def _together(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Votes, tokens, money and time of all who took part."""
    bill = Bill()
    for outcome in outcomes:
        bill.add(outcome.usage or Usage(), outcome.cost_usd)
    times = [outcome.latency_s for outcome in outcomes if outcome.latency_s is not None]
    return {
        "votes": tuple(map(_vote, outcomes)),
        "usage": bill.usage() if any(outcome.usage for outcome in outcomes) else None,
        "cost_usd": bill.cost_usd,
        "latency_s": max(times) if times else None,
        "cached": all(outcome.cached for outcome in outcomes),
    }


def _vote(outcome: Outcome) -> JudgeVote:
    name = outcome.judge.name
    if isinstance(outcome, Failure):
        return JudgeVote(judge=name, failure=outcome.kind)
    p = outcome.p_harmless
    return JudgeVote(judge=name, label=outcome.label, harmless=outcome.harmless, p_harmless=p)
