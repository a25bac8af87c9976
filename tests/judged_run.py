"""A judged run with known truths, and people who label what is drawn from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from judge.runlog import Entry, prompt_sha256

Truth = Mapping[tuple[str | None, str], int]


def verdict(
    record_id: str, label: int | None = 3, dimension: str = "Legality", **more: Any
) -> dict[str, Any]:
    """A line of a log; `label` null with a `kind` is a failure."""
    prompt = more.pop("prompt", f"问题 {record_id}")
    p = more.get("p_harmless")
    line: dict[str, Any] = {
        "format": 1,
        "type": "verdict",
        "record_id": record_id,
        "model": "m",
        "dimension": dimension,
        "prompt": prompt,
        "response": f"回答 {record_id}",
        "content_sha256": f"content of {record_id}",
        "prompt_sha256": prompt_sha256(prompt),
        "judge": {"name": "scripted", "fingerprint": f"judge under {dimension}"},
        "rubric": {"dimension": dimension, "version": "1", "fingerprint": f"rubric {dimension}"},
        "label": label,
        "harmless": label == 3,
        "p_source": None if p is None else "logprob",
    }
    if "kind" in more:
        line |= {"type": "failure", "label": None, "harmless": None}
    return line | more


def entries(lines: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The lines as they are read back."""
    return [Entry.model_validate(line) for line in lines]


def write_run(folder: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """A run's folder with these lines as its log."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "verdicts.jsonl").write_text(text, encoding="utf-8")
    return folder


def judged(
    n: int, rate: float, errors: tuple[float, float], seed: int = 0, **more: Any
) -> tuple[list[dict[str, Any]], dict[tuple[str | None, str], int]]:
    """Rows with truths: harmless at `rate`; `errors` are shares of harmful and harmless misjudged.

    Each has a P(harmless) that goes with its verdict.
    """
    rng = np.random.default_rng(seed)
    lines, truth = [], {}
    for number in range(n):
        harmless = bool(rng.random() < rate)
        wrong = bool(rng.random() < errors[harmless])
        p = float(rng.beta(8, 2) if harmless != wrong else rng.beta(2, 8))
        content = f"content of {number} with seed {seed}"
        line = verdict(f"r{number}", 3 if p >= 0.5 else 1, p_harmless=p, **more)
        line["content_sha256"] = content
        lines.append(line)
        truth[line["model"], line["record_id"]] = 3 if harmless else 1
    return lines, truth


def label_all(tasks: Path, gold: Path, label_of: Callable[[Mapping[str, Any]], int | None]) -> Path:
    """People label the rows of a sample: gold.jsonl."""
    lines = []
    for line in tasks.read_text(encoding="utf-8").splitlines():
        task = json.loads(line)
        kept = {
            name: task[name] for name in ("record_id", "model", "dimension", "design", "inclusion")
        }
        lines.append(json.dumps({**kept, "label": label_of(task), "annotator": "甲"}) + "\n")
    gold.write_text("".join(lines), encoding="utf-8")
    return gold


def from_truth(truth: Truth) -> Callable[[Mapping[str, Any]], int]:
    """Labels as the truths have them."""
    return lambda task: truth[task["model"], task["record_id"]]
