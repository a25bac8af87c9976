"""What passes unchecked is in the log, also where there are no headers and no counters."""

from __future__ import annotations

import re

import pytest

from guard.decision import Part
from guard.engine import Asked
from guard.engine.passing import EVERY_S
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind
from tests.guard.made import ABUSE, LEGAL, Time, guard, policy

SECRET = "谁也不该看到的话"
TIMEOUT, QUOTA = FailureKind.TIMEOUT, FailureKind.QUOTA


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the guard has logged since the last look."""
    found = [one.getMessage() for one in caplog.records if one.name == "flames_judge.guard"]
    caplog.clear()
    return found


async def test_what_passes_unchecked_is_logged_once_a_kind_and_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By its side and kind, without any of its text; the next line counts those in between."""
    time = Time()
    judge = ScriptedJudge(lambda case: QUOTA if "额" in case.response else TIMEOUT)
    plan = policy(LEGAL, on_failure="allow", breaker={"failures": 1000})
    one = guard(plan, judge, clock=time.clock)
    asked = Asked(prompt=SECRET)
    for text in (SECRET, SECRET, "额", SECRET):
        assert (await one.check("output", [Part("text", text)], asked)).status == "failed_open"
    told = lines(caplog)
    assert told == [f"failed open: a text (output) passed unchecked: {k}" for k in (TIMEOUT, QUOTA)]
    time.seconds += EVERY_S
    await one.check("output", [Part("text", SECRET)], asked)
    (line,) = lines(caplog)
    assert line.endswith("timeout, as did 2 more since the last such line")


async def test_pictures_that_pass_unread_are_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    """By the policy's `unread`."""
    one = guard(policy(LEGAL, unread="allow"))
    await one.record(one.unread("input", ["messages[0]"]), [], Asked())
    assert lines(caplog) == ["failed open: a text (input) passed unchecked: unread"]


async def test_a_bug_is_logged_once_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    """And without its words, which may be a user's; each text that it broke is withheld."""

    def broken(_: object) -> float:
        raise ValueError(SECRET)

    class Broken:
        def kinds(self, text: str) -> list[tuple[str, str]]:
            raise KeyError(text)

    bad = (guard(policy(LEGAL), ScriptedJudge(broken)), guard(policy(ABUSE), scanner=Broken()))
    for one in bad:
        for _ in range(2):
            assert (await one.check("output", [Part("text", SECRET)], Asked())).failed
        (line,) = lines(caplog)
        assert re.fullmatch(rf"a check broke: (Value|Key)Error at {__file__}:\d+", line)


async def test_what_is_checked_or_withheld_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A log is no audit log."""
    for judge in (ScriptedJudge(lambda _: 0.9), ScriptedJudge(lambda _: TIMEOUT)):
        await guard(policy(LEGAL), judge).check("output", [Part("text", "好")], Asked())
    assert lines(caplog) == []
