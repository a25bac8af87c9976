"""A policy file: what is accepted, and the one line that a mistake gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from guard.policy import EVIDENCE_KINDS, Policy, load_policy
from judge.embedded.evidence import KINDS
from judge.errors import InputError
from tests.guard.made import ABUSE, LEGAL, policy

WHOLE = """\
version: 1
judge: embedded
calibration: calibration.json
rules:
  - {evidence: pii, side: output, action: block}
  - {dimension: Fairness, side: output, cut: 0.2, action: flag}
  - {dimension: Legality, side: output, promise: {miss_rate: 0.05, confidence: 0.95}, action: block}
  - {dimension: Morality, side: output, cut: 0.3, action: regenerate, tries: 2}
messages: {zh: 抱歉，这个内容我不能提供。, en: "Sorry, I can't provide this."}
on_failure: block
on_abstain: allow
unknown_keys: drop
deadline_s: 2.0
budget_usd_per_day: 20
stream: {mode: window, window: 80, overlap: 40}
"""


def test_the_documented_policy_is_read_whole(tmp_path: Path) -> None:
    """Every key of the format, and paths relative to the policy's own folder."""
    (tmp_path / "policy.yaml").write_text(WHOLE, encoding="utf-8")
    plan = load_policy(tmp_path / "policy.yaml")
    assert [rule.name for rule in plan.rules] == [
        "pii:output:block",
        "Fairness:output:flag",
        "Legality:output:block",
        "Morality:output:regenerate",
    ]
    assert plan.calibration == str(tmp_path / "calibration.json")
    assert (plan.on_failure, plan.on_abstain, plan.unknown_keys) == ("block", "allow", "drop")


def test_a_failure_blocks_unless_the_policy_says_otherwise() -> None:
    """Nobody gets an open guard by leaving a line out."""
    plan = policy(ABUSE)
    assert (plan.on_failure, plan.unread, plan.shadow) == ("block", "block", False)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"action": "block"}, "one of `evidence` and `dimension`"),
        ({**ABUSE, "dimension": "Legality"}, "one of `evidence` and `dimension`"),
        ({"evidence": "violence", "action": "block"}, "no such evidence; there are abuse"),
        ({**ABUSE, "cut": 0.5}, "evidence has its own cuts"),
        ({"dimension": "Legality", "action": "block"}, "one of `cut` and `promise`"),
        ({**LEGAL, "promise": {"miss_rate": 0.05}}, "one of `cut` and `promise`"),
        ({**LEGAL, "side": "input"}, "the rubrics judge answers"),
        ({**ABUSE, "side": "input", "action": "regenerate"}, "is for the output side"),
        ({**ABUSE, "tries": 2}, "belong to `action: regenerate`"),
        ({**LEGAL, "cut": float("nan")}, "finite"),
        ({**LEGAL, "cut": 0}, "greater than 0"),
        ({**LEGAL, "action": "pass"}, "'allow', 'flag', 'block'"),
        ({**ABUSE, "colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, object], said: str) -> None:
    """Each contradiction has its own words."""
    with pytest.raises(ValidationError, match=said):
        policy(rule)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (WHOLE.replace("cut: 0.2, action: flag", "cut: 2, action: flag"), 6, "rules.1.cut"),
        (WHOLE.replace("version: 1", "version: 2"), 1, "version: Input should be 1"),
        (WHOLE.replace("overlap: 40", "overlap: 60"), 15, "`overlap` is at most half"),
        (WHOLE + "on_failure: allow\n", 16, "twice"),
        (WHOLE + "telemetry: on\n", 16, "telemetry: Extra inputs"),
        ("- a\n", None, "is no policy"),
        ("version: 1\nrules: []\n", 2, "rules"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "not YAML"),
    ],
)
def test_a_mistake_in_a_policy_is_one_line_with_its_place(
    tmp_path: Path, text: str, line: int | None, said: str
) -> None:
    """File, line and problem; nothing in the file is ever run."""
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        load_policy(file)
    assert (caught.value.file, caught.value.line) == (file, line)
    assert "\n" not in str(caught.value)


def test_two_rules_that_say_the_same_are_refused() -> None:
    """Which of two cuts would count?"""
    with pytest.raises(ValidationError, match="two rules say Legality:output:block"):
        policy(LEGAL, {**LEGAL, "cut": 0.3})


def test_a_policys_id_changes_with_its_content_and_only_then() -> None:
    """Headers and audit events can be joined to the policy that they came from."""
    assert policy(ABUSE).id == policy(ABUSE).id
    assert policy(ABUSE).id != policy(ABUSE, shadow=True).id


def test_every_kind_of_evidence_that_is_found_can_be_named() -> None:
    """The heads of the embedded scorer, and no others."""
    assert set(KINDS) <= set(EVIDENCE_KINDS)
    assert isinstance(policy(*({"evidence": k, "action": "flag"} for k in EVIDENCE_KINDS)), Policy)
