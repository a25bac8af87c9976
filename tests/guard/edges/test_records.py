"""What an edge within a process leaves behind: a log, counters, a line of warning."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from guard import Given, load_guard, open_log, wrap
from guard.audit import open_audit
from guard.metrics import Metrics
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind
from tests.contracts.guard_marks import BROKEN, marked

POLICY = """
version: 1
judge: llm:x
on_failure: allow
rules: [{dimension: Legality, side: output, cut: 0.5, action: block}]
"""


def echo(prompt: str) -> str:
    """Says what it is told to say."""
    return prompt


async def later(prompt: str) -> str:
    """The same, later."""
    return prompt


@pytest.mark.parametrize("place", ["jsonl:{}/events.jsonl", "sqlite:///{}/events.sqlite"])
def test_a_wrapped_function_has_a_log_and_counters_in_one_line(tmp_path: Path, place: str) -> None:
    """What failed open is in both, from either kind of code."""
    log, metrics = place.format(tmp_path), Metrics()
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    judge = ScriptedJudge(lambda _: FailureKind.TIMEOUT)
    given = Given(judge=judge, sinks=[open_log(log)], observers=[metrics.observe])
    chat = wrap(echo, load_guard(policy, given))
    assert chat("你好") == "你好"
    slow = wrap(later, load_guard(policy, given))
    assert asyncio.run(slow("你好")) == "你好"
    with open_audit(log) as read:
        assert [(one.side, one.status) for one in read.events()] == [
            ("input", "allowed"),
            ("output", "failed_open"),
        ] * 2
    page = metrics.render()[0].decode()
    assert 'flames_guard_failed_open_total{side="output"} 2.0' in page


def test_a_wrapped_function_that_fails_open_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Its caller gets the answer as usual; the log of the program has a line, without the text."""
    assert wrap(echo, marked(on_failure="allow").guard)(BROKEN) == BROKEN
    (line,) = [one.getMessage() for one in caplog.records if one.name == "flames_judge.guard"]
    assert line == "failed open: a text (output) passed unchecked: unavailable"
