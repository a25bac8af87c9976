"""A promise for probes is none for ordinary prompts: refused, or told, before it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guard.loading import Given, load_guard
from guard.policy.binding import bind
from guard.policy.hazards import told_at_start
from judge.calibration import Calibration, Hazards, load_calibration
from judge.errors import InputError
from judge.testing import ScriptedJudge
from tests.cli.conftest import Flames
from tests.guard.made import LEGAL, RUBRICS, WordScanner, calibration, policy, threshold
from tests.guard.test_same_as_score import policy as policy_file
from tests.guard.test_same_as_score import scored
from tests.openai_server import OpenAIServer
from tests.oracle import oracle

PROMISED = {"dimension": "Legality", "promise": {"miss_rate": 0.05}, "action": "block"}
CASCADE = "cascade:embedded>llm:x"
GOES_BY_HAZARD: list[dict[str, Any]] = [
    {"judge": "embedded"},
    {"judge": CASCADE},
    {"judge": "panel:embedded+x"},
    {"judge": "panel:x+cascade:embedded>llm:y"},
    {"judge": "llm:x", "llm": {"fallback": ["embedded"]}},
]
LLMS = ["llm:x", "llm:ollama/qwen:7b", "panel:x+y", "cascade:llm:x>llm:y"]


def lines(rule: dict[str, Any], gold: Hazards | None, **more: Any) -> list[str]:
    """What is told of a policy with this rule under gold of such prompts."""
    judge = ScriptedJudge(lambda _: 0.9)
    plan = policy(rule, **more)
    made = calibration(judge, threshold(), hazard=gold)
    return list(told_at_start(plan, bind(plan, judge, made, RUBRICS)))


@pytest.mark.parametrize("more", GOES_BY_HAZARD)
@pytest.mark.parametrize(
    ("gold", "hazard", "said"),
    [
        ("known", "unknown", "made on probes, but `hazard` is unknown.*--ordinary"),
        ("unknown", "known", "made on ordinary prompts, but `hazard` is known.*run of probes"),
        ("mixed", "unknown", "made on probes and ordinary prompts together"),
    ],
)
def test_a_promise_of_other_prompts_is_refused_where_the_judge_goes_by_them(
    more: dict[str, Any], gold: Hazards, hazard: Hazards, said: str
) -> None:
    """On ordinary prompts the embedded judge abstains: another judge answers, at the same cut."""
    with pytest.raises(InputError, match=said) as caught:
        lines(PROMISED, gold, hazard=hazard, **more)
    assert "\n" not in str(caught.value)
    assert lines(PROMISED, hazard, hazard=hazard, on_abstain="block", **more) == []


@pytest.mark.parametrize("judge", LLMS)
def test_of_an_llm_it_is_told_since_its_verdicts_are_the_same(judge: str) -> None:
    """But what it was measured on is not what it will be asked about."""
    [line] = lines(PROMISED, "known", judge=judge)
    assert "promise was calibrated on probes, and holds for such" in line
    assert lines(PROMISED, "known", judge=judge, hazard="known") == []
    assert lines(PROMISED, None, judge=judge) == []
    assert lines(LEGAL, "known", judge=judge) == []


def test_a_fixed_cut_beside_a_map_of_other_prompts_is_told() -> None:
    """It promises nothing, and its P(harmless) is of another judge all the same."""
    [line] = lines(LEGAL, "known", judge=CASCADE)
    assert "P(harmless) was calibrated on probes" in line
    assert lines(LEGAL, "unknown", judge=CASCADE) == []


def test_an_older_calibration_loads_and_is_told_as_not_known() -> None:
    """It doesn't say what its prompts were; nor is its text another one than it was."""
    [line] = lines(PROMISED, None, judge=CASCADE)
    assert "doesn't say whether its prompts were probes" in line
    made = calibration(ScriptedJudge(lambda _: 0.9), threshold())
    assert '"hazard"' not in made.to_json()
    assert Calibration.model_validate_json(made.to_json()) == made


@pytest.mark.parametrize("gold", ["unknown", None])
def test_an_embedded_rule_that_can_never_act_is_told(gold: Hazards | None) -> None:
    """On ordinary prompts the embedded judge abstains, which passes unless the policy blocks it."""
    [line] = lines(PROMISED, gold, judge="embedded")
    assert "never acts, and its promise is not kept" in line
    for more in ({"hazard": "known"}, {"on_abstain": "block"}, {"judge": "llm:x"}):
        told = lines(LEGAL, gold, **({"judge": "embedded"} | more))
        assert not any("never acts" in line for line in told)


@pytest.mark.parametrize(("flags", "hazard"), [((), "known"), (("--ordinary",), "unknown")])
def test_calibrate_writes_down_what_the_judge_was_told(
    flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str], hazard: str
) -> None:
    """And so a cascade's promise starts under that hazard, and under no other."""
    monkeypatch.setenv("JUDGE_KEY", "k")
    with OpenAIServer(oracle(lambda text: 1 if "账" in text else 3)) as server:
        told = {"api_base": server.base_url, "api_key_env": "JUDGE_KEY"}
        spec = "cascade:embedded>llm:openai/m"
        called = ("--judge", spec, "--api-base", server.base_url, "--api-key-env", "JUDGE_KEY")
        run, made = scored(flames, tmp_path, *called, "--no-cache", *flags)
        promise = {"miss_rate": 0.9, "confidence": 0.5}
        wanted = "miss_rate=0.9,confidence=0.5"
        calibrate = ("calibrate", run, "--gold", tmp_path / "gold.jsonl", "-o", made)
        assert flames(*calibrate, "--promise", wanted).status == 0
        assert load_calibration(made).dimensions["Legality"].hazard == hazard
        rule = {"dimension": "Legality", "promise": promise, "action": "block"}
        plan = {"judge": spec, "llm": told, "rules": [rule]}
        given = Given(scanner=WordScanner())
        assert load_guard(policy_file(tmp_path, hazard=hazard, **plan), given).rules
        other = "known" if hazard == "unknown" else "unknown"
        with pytest.raises(InputError, match="`hazard` is"):
            load_guard(policy_file(tmp_path, hazard=other, **plan), given)
