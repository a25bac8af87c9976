"""`flames-judge guard exposure`: what of streams was out before it was checked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.audit import open_audit
from guard.event import GuardEvent
from guard.exposure import ExposureTally
from tests.cli.conftest import Flames
from tests.contracts.guard_marks import BAD, BLOCKING, story
from tests.guard.audit.test_logs import event
from tests.guard.server.serving import says, standing

FIRST, SECOND = "a" * 16, "b" * 16


def streamed(exposed: int, policy: str = FIRST, action: str = "allow") -> GuardEvent:
    """A decision about a streamed answer."""
    status = "allowed" if action == "allow" else "blocked"
    return event(exposed=exposed, policy=policy, action=action, status=status, rules=())


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=400))
def test_the_figures_are_those_of_the_recorded_numbers(exposed: list[int]) -> None:
    """Mean, 99th percentile and largest, as numpy has them."""
    tally = ExposureTally()
    for number in exposed:
        tally.add(streamed(number))
    found = tally.result()[FIRST].all
    assert found.streams == len(exposed)
    assert found.mean == pytest.approx(np.mean(exposed))
    assert found.p99 == np.quantile(exposed, 0.99, method="inverted_cdf")
    assert found.most == max(exposed)


def recorded(file: Path, *events: GuardEvent) -> str:
    """A log of these events."""
    place = f"sqlite:///{file}"

    async def write() -> None:
        with open_audit(place) as log:
            await asyncio.gather(*(log.emit(one) for one in events))

    asyncio.run(write())
    return place


def test_each_policy_s_streams_are_told_and_those_that_it_stopped(
    flames: Flames, folder: Path
) -> None:
    """What users saw of harm is the second line; answers that came whole don't count."""
    events = [streamed(number) for number in range(100)]
    events += [streamed(400, action="block"), streamed(200, action="replace")]
    events += [streamed(0, SECOND), event(streamed=False, exposed=9, policy=SECOND)]
    place = recorded(folder / "events.sqlite", *events)
    shown = flames("guard", "exposure", "--audit", place)
    assert shown.status == 0
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows == [
        ["Policy", "answers", "streams", "mean", "p99", "max"],
        [FIRST, "all", "102", "54.4", "200", "400"],
        [FIRST, "stopped", "2", "300.0", "400", "400"],
        [SECOND, "all", "1", "0.0", "0", "0"],
    ]
    found = flames("guard", "exposure", "--audit", place, "--json").json["policies"]
    assert found[FIRST]["stopped"] == {"streams": 2, "mean": 300.0, "p99": 400, "max": 400}
    assert found[SECOND] == {
        "all": {"streams": 1, "mean": 0.0, "p99": 0, "max": 0},
        "stopped": None,
    }


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("sqlite:///events.sqlite", "holds no streamed answer"),
        ("sqlite:///evnets.sqlite", "there is no such log"),
        ("jsonl:evnets.jsonl", "there is no such log"),
        ("evnets.jsonl", "is no place of a log"),
        ("mysql://host/name", "is no place of a log"),
        ("jsonl:", "is no place"),
    ],
)
@pytest.mark.parametrize("command", ["exposure", "drift"])
def test_a_log_that_tells_nothing_is_said_and_none_is_made(
    flames: Flames, folder: Path, command: str, place: str, said: str
) -> None:
    """A mistyped name would else be an empty log, and good news."""
    recorded(folder / "events.sqlite", event(streamed=False))
    before = sorted(folder.iterdir())
    ran = flames("guard", command, "--audit", place)
    assert ran.status == 2
    assert said in ran.err or (command == "drift" and "the baseline takes" in ran.err)
    assert ran.err.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_nothing_is_forgotten_in_a_log_that_is_not_there(flames: Flames, folder: Path) -> None:
    """Whoever was asked to delete would else believe that it is done."""
    ran = flames("guard", "forget", "--audit", "sqlite:///evnets.sqlite", "--request", "r1")
    assert (ran.status, ran.out, list(folder.iterdir())) == (2, "", [])
    assert "there is no such log" in ran.err


async def test_what_a_server_let_out_ahead_of_its_checks_is_in_the_figures() -> None:
    """In `async` mode no more than the policy's exposure; in `window` mode nothing."""
    found = {}
    for mode in ("async", "window"):
        stream = {"mode": mode, "window": 80, "overlap": 40, "exposure": 120}
        bot = says(*story(400), BAD, *story(200))
        async with standing(bot, BLOCKING, policy={"stream": stream}) as stand:
            for _ in range(3):
                await stand.served.chat(stream=True)
            tally = ExposureTally()
            for one in stand.marked.events.all:
                tally.add(one)
            (found[mode],) = tally.result().values()
    assert 0 < found["async"].all.mean <= found["async"].all.most <= 120
    assert found["async"].stopped == found["async"].all
    assert found["window"].all.most == 0
