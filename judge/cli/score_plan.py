"""What one `flames-judge score` call asks for, once its flags are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from judge.backends.llm_options import LlmOptions
from judge.cli.options import Provider
from judge.scoring import ScoreOptions


@dataclass(frozen=True)
class Input:
    """What is read."""

    files: tuple[str, ...]
    dimension: str | None
    map: Path | None
    rubrics: Path | None
    limit: int | None


@dataclass(frozen=True)
class Asking:
    """Who judges, and how. `cache` is its folder, null without one."""

    spec: str
    fallbacks: tuple[str, ...]
    provider: Provider
    sampling: Mapping[str, Any]
    llm: LlmOptions
    vote: Literal["majority", "mean"]
    band: tuple[float, float]
    cache: Path | None

    @property
    def models(self) -> list[str]:
        """The models that are asked, which costs time and money."""
        specs = (self.spec, *(name for name in self.fallbacks if name != "embedded"))
        parts = (
            "+".join(specs)
            .replace(">", "+")
            .replace("panel:", "")
            .replace("cascade:", "")
            .split("+")
        )
        return [part.removeprefix("llm:") for part in parts if part != "embedded"]


@dataclass(frozen=True)
class Output:
    """What is written and printed."""

    out: Path | None
    json: bool
    max_unjudged: float
    confidence: float
    dry_run: bool
    calibration: Path | None = None


@dataclass(frozen=True)
class ScorePlan:
    """The whole of one `score` call."""

    input: Input
    asking: Asking
    output: Output
    options: ScoreOptions

    @property
    def counts(self) -> bool:
        """Whether the input is read through beforehand, to say what the run will take."""
        return bool(self.asking.models) or self.output.dry_run
