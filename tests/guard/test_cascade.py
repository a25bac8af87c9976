"""A cascade at run time: its doubt band comes from a calibration, and from nowhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guard.decision import Part
from guard.engine import Asked, Guard
from guard.loading import Given, load_guard, load_policy_judge, read_plan
from guard.policy import load_policy
from judge.errors import InputError
from judge.llm.library import close_clients
from judge.runlog import read_log
from judge.verdict import Verdict
from tests.cli.conftest import Flames
from tests.guard.made import WordScanner
from tests.guard.test_same_as_score import ANSWERS, ASKED, compare, policy, scored
from tests.openai_server import OpenAIServer
from tests.oracle import oracle

SPEC = "cascade:embedded>llm:openai/m"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """The strong judge."""
    monkeypatch.setenv("JUDGE_KEY", "k")
    bad = ("两套账", "亲戚名下")
    with OpenAIServer(oracle(lambda text: 1 if any(b in text for b in bad) else 3)) as server:
        yield server


def calibrated(
    flames: Flames, folder: Path, server: OpenAIServer, band: str = "0.1,0.6"
) -> tuple[Path, Path]:
    """A run of the cascade with a band, and its calibration."""
    flags = ("--api-base", server.base_url, "--api-key-env", "JUDGE_KEY", "--no-cache")
    run, made = scored(flames, folder, "--judge", SPEC, "--band", band, *flags)
    server.requests.clear()
    return run, made


def file(folder: Path, server: OpenAIServer, **more: Any) -> Path:
    llm = {"api_base": server.base_url, "api_key_env": "JUDGE_KEY"}
    return policy(folder, judge=SPEC, llm=llm, deadline_s=30, **more)


def test_a_calibration_tells_the_band_of_its_cascade(
    flames: Flames, tmp_path: Path, model: OpenAIServer
) -> None:
    """In the log beside the judge's name, and so in the file that people's labels make of it."""
    run, made = calibrated(flames, tmp_path, model)
    judge = json.loads(made.read_text(encoding="utf-8"))["judge"]
    assert (judge["name"], judge["band"]) == (SPEC, [0.1, 0.6])
    assert {entry.judge.band for entry in read_log(run / "verdicts.jsonl") if entry.judge} == {
        (0.1, 0.6)
    }


def test_a_judge_without_a_band_says_nothing_of_one(flames: Flames, tmp_path: Path) -> None:
    """Logs and calibrations of other judges stay as they were."""
    run, made = scored(flames, tmp_path)
    for text in (made, run / "verdicts.jsonl"):
        assert '"band"' not in text.read_text(encoding="utf-8")


def test_the_guard_takes_the_band_of_its_calibration(
    flames: Flames, tmp_path: Path, model: OpenAIServer
) -> None:
    """The policy needn't say it: the guard judges as `score` did, and asks the LLM as often."""
    run, made = calibrated(flames, tmp_path, model)
    up = sum(len(entry.votes) > 1 for entry in read_log(run / "verdicts.jsonl"))
    assert 0 < up < len(ANSWERS) * 4
    assert asyncio.run(compare(run, made, file(tmp_path, model))) == len(ANSWERS) * 4
    assert len(model.requests) == up


def test_records_are_judged_with_that_band_too(
    flames: Flames, tmp_path: Path, model: OpenAIServer
) -> None:
    """A server's bench has a judge of its own, which is the same."""
    calibrated(flames, tmp_path, model)
    plan = load_policy(file(tmp_path, model))
    one = load_guard(plan, Given(scanner=WordScanner()))
    [rubric] = [rule.rubric for rule in one.rules if rule.rubric is not None]
    assert load_policy_judge(read_plan(plan), print).ref(rubric) == one.judge.ref(rubric)
    assert one.policy.id == plan.id  # whoever reads the policy knows the guard's events by it


def test_without_a_calibration_the_strong_judge_is_asked_about_everything(
    tmp_path: Path, model: OpenAIServer
) -> None:
    """Nobody has shown that the cheap one may decide."""

    async def ask(one: Guard) -> list[Verdict]:
        found = []
        for text in ANSWERS:
            decision = await one.look("output", [Part("text", text)], Asked(prompt=ASKED))
            found += [one for one in decision.outcomes if isinstance(one, Verdict)]
        await one.aclose()
        await close_clients()
        return found

    plan = file(tmp_path, model, calibration=None)
    found = asyncio.run(ask(load_guard(plan, Given(scanner=WordScanner()))))
    assert len(model.requests) == len(ANSWERS)
    assert [verdict.votes[-1].judge for verdict in found] == ["llm:openai/m"] * len(ANSWERS)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"band": [0.2, 0.8]},
            r"`band` is \[0.2, 0.8\], but the calibration was made with \[0.1, 0.6\]",
        ),
        ({"band": [0.2, 0.8], "calibration": None}, "a doubt `band` needs a calibration"),
        ({"judge": "llm:openai/m"}, f"another judge: {SPEC}, not llm:openai/m"),
    ],
)
def test_a_band_that_no_calibration_stands_for_is_refused(
    flames: Flames, tmp_path: Path, model: OpenAIServer, more: dict[str, Any], said: str
) -> None:
    """In one line, before anything is served."""
    calibrated(flames, tmp_path, model)
    llm = {"api_base": model.base_url, "api_key_env": "JUDGE_KEY"}
    plan = policy(tmp_path, **{"judge": SPEC, "llm": llm, **more})
    with pytest.raises(InputError, match=said) as caught:
        load_guard(plan, Given(scanner=WordScanner()))
    assert "\n" not in str(caught.value)


def test_the_calibration_s_own_band_may_be_written_down(
    flames: Flames, tmp_path: Path, model: OpenAIServer
) -> None:
    """Whoever likes to see it in the policy; and a calibration that names none goes by it."""
    _, made = calibrated(flames, tmp_path, model)
    plan = file(tmp_path, model, band=[0.1, 0.6])
    assert load_guard(plan, Given(scanner=WordScanner())).rules
    older = json.loads(made.read_text(encoding="utf-8"))
    del older["judge"]["band"]
    made.write_text(json.dumps(older), encoding="utf-8")
    assert load_guard(plan, Given(scanner=WordScanner())).rules
    with pytest.raises(InputError, match="other settings of the judge"):
        load_guard(file(tmp_path, model), Given(scanner=WordScanner()))
