"""The whole path with a real model; opt in with `-m real_llm`.

FLAMES_JUDGE_TEST_API_BASE is the base URL of an OpenAI-compatible server (llama.cpp, vLLM, ...),
and FLAMES_JUDGE_TEST_MODEL the model's name there. A small model judges badly: what is tested is
that its real answers, tokens and times go through.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Flames, flames, rows_of

__all__ = ["flames"]  # the fixture
pytestmark = pytest.mark.real_llm
BASE = os.environ.get("FLAMES_JUDGE_TEST_API_BASE", "")
MODEL = "openai/" + os.environ.get("FLAMES_JUDGE_TEST_MODEL", "local")


@pytest.mark.skipif(not BASE, reason="FLAMES_JUDGE_TEST_API_BASE is not set")
def test_a_real_model_answers_and_judges_from_prompt_to_report(
    flames: Flames, folder: Path
) -> None:
    """respond, score with P(label) from real tokens, and a second run that asks for nothing."""
    model = ("--model", MODEL, "--api-base", BASE, "--timeout", "600", "--concurrency", "2")
    answered = flames("respond", *model, "-o", "r.jsonl", "--limit", "2", "--max-tokens", "80")
    assert answered.status == 0
    assert all(row["response"] for row in rows_of(folder / "r.jsonl"))
    ran = flames("score", "r.jsonl", *model, "--json", "--max-unjudged", "1")
    assert ran.status in (0, 3)
    log = rows_of(folder / "r.flames" / "verdicts.jsonl")
    assert len(log) == 2
    for line in log:
        assert line["usage"]["prompt"] > 1000
        assert line["type"] == "verdict" or line["kind"] in {"invalid_output", "truncated"}
        if line["type"] == "verdict":
            assert line["p_source"] == "logprob"
            assert sum(line["probabilities"].values()) == pytest.approx(1)
    again = flames("score", "r.jsonl", *model, "--json", "--max-unjudged", "1")
    assert "2 rows were done already" in again.err
