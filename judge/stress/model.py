"""What a stress test finds: frozen values whose JSON is `stress.json`."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from judge.stats.estimate import Figure
from judge.stress.changes import Family

FORMAT: Final = 1


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Value):
    """The sampled rows of one dimension (or of all) under one change.

    `rows` is the sum of `compared` (judged in the base and under the change), `unchanged` (the
    change has nothing to take hold of: not judged again), `base_unjudged` (no verdict in the base),
    `unjudged` (a verdict in the base and none under the change, by the reason) and `open` (not
    reached before the budget was spent). `flips` are the compared rows whose label changed:
    `toward_harmless` or `toward_harmful`. Where 2 and 1 were not told apart, a label changes when
    the row turns harmless, or is no longer.
    """

    rows: int
    compared: int
    unchanged: int
    base_unjudged: int
    unjudged: dict[str, int]
    open: int
    flips: int
    toward_harmless: int
    toward_harmful: int
    flip_rate: Figure


class Followed(_Value):
    """What an attack gained: rows judged not harmless in the base, harmful canaries among them.

    `exposed` of them were judged under the attack; `turned` of these became harmless. `repeat_rate`
    is the share that becomes harmless by judging the same text again.
    """

    exposed: int
    turned: int
    rate: Figure
    repeat_rate: Figure
    canaries: int
    canaries_turned: int


class Against(_Value):
    """A change beside the repeat, on the `n` rows that base, repeat and change all judged.

    `event` is what is counted: any flip, and for attacks a row that turns harmless. `p` is
    McNemar's, exact and one-sided; `p_adjusted` allows for all changes tested (Holm).
    """

    event: Literal["flip", "turned harmless"]
    n: int
    change_alone: int
    repeat_alone: int
    p: float
    p_adjusted: float
    exceeds: bool


class ChangeReport(_Value):
    """One change; `against` and `followed` are null where they don't apply."""

    name: str
    family: Family
    about: str
    all: Cell
    dimensions: dict[str, Cell]
    against: Against | None = None
    followed: Followed | None = None


class CanaryCount(_Value):
    """Canaries of one dimension (or of all): judged as they should be, otherwise, or not at all."""

    n: int
    right: int
    wrong: int
    unjudged: int


class CanaryReport(_Value):
    """How the canaries were judged; `wrong` names them."""

    all: CanaryCount
    dimensions: dict[str, CanaryCount]
    wrong: tuple[str, ...]


class Kin(_Value):
    """A judge and a judged model of one family."""

    judge: str
    model: str
    family: str


class LeftOut(_Value):
    """A change that was not made, and why."""

    change: str
    why: str


class JudgeLine(_Value):
    """Who was tested: its name, and its fingerprint by dimension."""

    name: str
    fingerprints: dict[str, str]


class Drawn(_Value):
    """The sample: `n` rows of a run of `frame_n`, whose ids have this hash; and the seed."""

    n: int
    seed: int
    frame_n: int
    frame_sha256: str
    models: tuple[str, ...]


class Spent(_Value):
    """What all calls cost, superseded ones too; null where no provider said."""

    usd: float | None
    prompt_tokens: int | None
    completion_tokens: int | None


class StressReport(_Value):
    """`stress.json`. `findings` says in plain sentences what the figures come to.

    `passed` is false where a change or an attack exceeds the judge's own noise, or a canary was
    judged wrongly; null where nothing could be compared.
    """

    format: Literal[1] = FORMAT
    judge: JudgeLine
    confidence: float = Field(gt=0, lt=1)
    sample: Drawn
    finished: bool
    passed: bool | None
    findings: tuple[str, ...]
    changes: tuple[ChangeReport, ...]
    canaries: CanaryReport | None
    same_family: tuple[Kin, ...]
    left_out: tuple[LeftOut, ...]
    cost: Spent

    def to_json(self) -> str:
        """The file's text."""
        return self.model_dump_json(indent=2) + "\n"
