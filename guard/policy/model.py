"""The policy: which text is checked for what, what happens then, and what when a check fails.

Values alone: `guard.policy.binding` holds a policy against a judge and its calibration, and
`guard.engine.deciding` applies it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, PrivateAttr
from pydantic import model_validator as validator

from guard.policy.strict_values import (
    HttpAddress,
    Number,
    Price,
    Switch,
    Text,
    Value,
    Version,
    Whole,
)
from judge.calibration import Promise
from judge.llm.config import ResponseFormat
from judge.misfits import ContradictionError, Place
from judge.verdict import Hazard

Side = Literal["input", "output"]
Action = Literal["allow", "flag", "block", "replace", "regenerate", "human"]
Mode = Literal["window", "buffer", "async", "retract"]
CASCADE: Final = "cascade:"
SEVERITY: Final[tuple[Action, ...]] = (
    "allow",
    "flag",
    "regenerate",
    "replace",
    "human",
    "block",
)
PASSES: Final = frozenset[Action]({"allow", "flag"})
EVIDENCE_KINDS: Final = (
    "abuse",
    "gambling",
    "porn",
    "fraud",
    "black_market_ad",
    "pii",
    "pii:id",
    "pii:mobile",
    "pii:card",
    "pii:email",
)


class Messages(Value):
    """What a user sees in place of what was stopped."""

    zh: Text = "抱歉，这个内容我不能提供。"
    en: Text = "Sorry, I can't provide this."


class Rule(Value):
    """One check and what follows from it.

    Args:
        evidence: a kind of evidence, found by rules and heads without an LLM; `pii` is all of its
            kinds.
        dimension: a rubric's dimension, judged by the policy's judge.
        side: the user's text or the model's.
        cut: acts when P(harmless) is below it.
        promise: in place of `cut`: the calibration's threshold that keeps it.
        action: what follows.
        tries: of `regenerate`: how often another answer is asked for, before it blocks.
        hint: of `regenerate`: what the model is told before it tries again.
        messages: what a user sees, where this rule has its own words.
    """

    evidence: Text | None = None
    dimension: Text | None = None
    side: Side = "output"
    cut: Number | None = Field(default=None, gt=0, le=1)
    promise: Promise | None = None
    action: Action
    tries: Whole | None = Field(default=None, ge=1, le=5)
    hint: Text | None = None
    messages: Messages | None = None

    @validator(mode="after")
    def _one_check(self) -> Self:
        if (self.evidence is None) == (self.dimension is None):
            raise ValueError("a rule names one of `evidence` and `dimension`")
        if self.evidence is not None:
            self._of_evidence(self.evidence)
        elif (self.cut is None) == (self.promise is None):
            raise ValueError("a rule with `dimension` has one of `cut` and `promise`")
        elif self.side == "input":
            raise ValueError("the rubrics judge answers: an input rule goes by `evidence`")
        if self.action == "regenerate" and self.side == "input":
            raise ValueError("`regenerate` is for the output side")
        if self.action != "regenerate" and (self.tries is not None or self.hint is not None):
            raise ValueError("`tries` and `hint` belong to `action: regenerate`")
        return self

    def _of_evidence(self, kind: str) -> None:
        if kind not in EVIDENCE_KINDS:
            raise ValueError(f"no such evidence; there are {', '.join(EVIDENCE_KINDS)}")
        if self.cut is not None or self.promise is not None:
            raise ValueError("evidence has its own cuts: `cut` and `promise` need a `dimension`")

    @property
    def name(self) -> str:
        """The rule in a word, as headers and metrics name it: `Legality:output:block`."""
        return f"{self.evidence or self.dimension}:{self.side}:{self.action}"

    def matches(self, kind: str) -> bool:
        """Whether evidence of this kind is what the rule looks for."""
        return self.evidence is not None and (
            kind == self.evidence or kind.startswith(self.evidence + ":")
        )


class StreamPolicy(Value):
    """How a streamed answer is let through.

    `window` releases text once the windows that hold it have passed; `buffer` releases it whole;
    `async` releases it at once and stops a bounded number of characters late; `retract` does so
    and tells the client to withdraw what it has shown.

    Args:
        window: characters that are looked at together.
        overlap: characters that a window shares with the next one.
        exposure: of `async` and `retract`: the most characters released ahead of the checks.
    """

    mode: Mode = "window"
    window: Whole = Field(default=80, ge=20, le=20_000)
    overlap: Whole = Field(default=40, ge=0)
    exposure: Whole = Field(default=400, ge=1, le=1_000_000)

    @validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if not self.overlap <= self.window // 2:
            raise ValueError("`overlap` is at most half of `window`")
        return self


class LlmSettings(Value):
    """How the policy's LLM judge is reached and asked; as `score` was told for the calibration."""

    api_base: HttpAddress | None = None
    api_key_env: Text | None = None
    timeout_s: Number = Field(default=60.0, gt=0)
    retries: Whole = Field(default=1, ge=0, le=10)
    price: tuple[Price, Price] | None = None
    temperature: Number | None = Field(default=None, ge=0, le=2)
    max_tokens: Whole = Field(default=2048, ge=1)
    seed: Whole | None = None
    reasoning_effort: Text | None = None
    samples: Whole = Field(default=1, ge=1, le=64)
    response_format: ResponseFormat = "auto"
    logprobs: Switch = True
    max_chars: Whole = Field(default=60_000, ge=1)
    concurrency: Whole | None = Field(default=None, ge=1)
    vote: Literal["majority", "mean"] = "majority"
    fallback: tuple[Text, ...] = ()


class BreakerPolicy(Value):
    """When a judge that keeps failing is left alone for a while.

    Args:
        failures: this many in a row open the breaker.
        rest_s: seconds until one call tries again.
    """

    failures: Whole = Field(default=5, ge=1, le=10_000)
    rest_s: Number = Field(default=10.0, gt=0)


class Policy(Value):
    """A policy file.

    Args:
        judge: a judge spec; `embedded` needs no key and no network.
        calibration: what `flames-judge calibrate` made, relative to the policy's own folder.
        band: a cascade's doubt band, for a calibration that doesn't name its own; without either
            everything goes to the strong judge.
        rubrics: a folder of further rubrics, relative to the policy's own folder.
        hazard: whether every prompt is known to be hazardous, as on a red team's test bench.
        sounds: whether evidence is also looked for by sound: behind homophones and pinyin.
        on_failure: what becomes of a text that could not be checked.
        on_abstain: what becomes of a text on which the judge gives no verdict.
        unknown_keys: what becomes of keys of a body that the guard doesn't read.
        unread: what becomes of content that can't be read as text: images, sound, files.
        deadline_s: seconds that one check may take.
        budget_usd_per_day: the judge's money a day (UTC); null for no limit. Of a server's, records
            (/v1/judge, /v1/runs) may use up half.
        shadow: decide and record, but never act.
    """

    version: Version
    judge: Text = "embedded"
    calibration: Text | None = None
    band: tuple[Number, Number] | None = None
    rubrics: Text | None = None
    llm: LlmSettings = LlmSettings()
    hazard: Hazard = Hazard.UNKNOWN
    sounds: Switch = True
    rules: tuple[Rule, ...] = Field(min_length=1)
    messages: Messages = Messages()
    on_failure: Literal["block", "allow"] = "block"
    on_abstain: Literal["block", "allow"] = "allow"
    unknown_keys: Literal["drop", "block"] = "drop"
    unread: Literal["block", "allow"] = "block"
    blocked_input: Literal["error", "answer"] = "error"
    deadline_s: Number = Field(default=2.0, gt=0, le=3600)
    budget_usd_per_day: Number | None = Field(default=None, ge=0)
    breaker: BreakerPolicy = BreakerPolicy()
    stream: StreamPolicy = StreamPolicy()
    shadow: Switch = False
    _file: Path | None = PrivateAttr(default=None)
    _written: dict[str, str] = PrivateAttr(default_factory=dict)  # by path: as its file has it

    @validator(mode="after")
    def _whole(self) -> Self:
        twice = said_twice(self.rules)
        if twice is not None:
            raise ContradictionError([twice])
        if self.band is None:
            return self
        if not 0 <= self.band[0] <= self.band[1] <= 1:
            problem = "`band` is a range of P(harmless): [low, high] within [0, 1]"
            raise ContradictionError([(("band",), problem)])
        if CASCADE not in self.judge:
            problem = f"`band` is a cascade's; the judge is {self.judge}: leave `band` out"
            raise ContradictionError([(("band",), problem)])
        return self

    @property
    def file(self) -> Path | None:
        """Where it was read from."""
        return self._file

    @property
    def id(self) -> str:
        """What headers and audit events call this policy: 16 hex digits of its content.

        The same wherever the file lies, and from wherever it is read.
        """
        held = {"calibration": self.calibration, "rubrics": self.rubrics}
        written = {key: self._written.get(path, path) for key, path in held.items() if path}
        content = self.model_copy(update=written).model_dump_json()
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def said_twice(rules: Sequence[Rule]) -> tuple[Place, str] | None:
    """The first rule whose check, side and action an earlier one has."""
    names = set[str]()
    for index, rule in enumerate(rules):
        if rule.name in names:
            return ("rules", index), f"two rules say {rule.name}: keep one"
        names.add(rule.name)
    return None
