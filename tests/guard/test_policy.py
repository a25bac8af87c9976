"""A policy file: what is accepted, and the one line that a mistake gets."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from guard.engine import Guard
from guard.loading import Given, load_guard
from guard.policy import EVIDENCE_KINDS, Policy, load_policy
from judge.embedded.heads import KINDS
from judge.errors import InputError
from judge.testing import ScriptedJudge
from tests.guard.made import ABUSE, LEGAL, WordScanner, calibration, policy, threshold

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
        (WHOLE.replace("version: 1", "version: 2"), 1, "version: must be 1"),
        (WHOLE.replace("overlap: 40", "overlap: 60"), 15, "`overlap` is at most half"),
        (WHOLE + "on_failure: allow\n", 16, "twice"),
        (WHOLE + "telemetry: on\n", 16, "no key .telemetry. here .known keys: version, judge"),
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


LLM = "judge: llm:openai/m\n"
CASCADE = "judge: cascade:embedded>llm:openai/m\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("version: true\n", 1, "version: must be 1"),
        ("deadline_s: true\n", 2, "deadline_s: is no number"),
        ("deadline_s: '5'\n", 2, "deadline_s: is no number (write it in digits, without quotes"),
        ("deadline_s: 1:30\n", 2, "deadline_s: is no number"),
        ("deadline_s: 010\n", 2, "deadline_s: is no number"),
        ("deadline_s: .inf\n", 2, "deadline_s: is no finite number"),
        ("sounds: 1\n", 2, "sounds: is neither true nor false"),
        ("budget_usd_per_day: true\n", 2, "budget_usd_per_day: is no number"),
        ("stream: {window: true}\n", 2, "stream.window: is no whole number"),
        ("stream: {window: 80.0}\n", 2, "stream.window: is no whole number"),
        ("stream: 3\n", 2, "stream: has no keys"),
        ("breaker:\n  failures: true\n", 3, "breaker.failures: is no whole number"),
        (f"breaker: {{failures: {10**30}}}\n", 2, "breaker.failures: must be 10000 or less"),
        ("stream: {exposure: 9000000}\n", 2, "stream.exposure: must be 1000000 or less"),
        ("llm: {price: [-1, 2]}\n", 2, "llm.price.0: must be 0 or more"),
        ("llm: {price: [1]}\n", 2, "llm.price.1: is missing"),
        ("llm: {price: 1}\n", 2, "llm.price: is no list (write it in brackets"),
        ("llm: {api_base: foo}\n", 2, "llm.api_base: is no plain http address"),
        ("llm: {api_base: 'ftp://a/v1'}\n", 2, "llm.api_base: is no plain http address"),
        ("llm: {api_base: 'http://'}\n", 2, "llm.api_base: is no plain http address"),
        ("llm: {api_base: 'http://a b/v1'}\n", 2, "llm.api_base: is no plain http address"),
        ("messages: {zh: ' '}\n", 2, "messages.zh: is empty"),
        ("messages: {en: ''}\n", 2, "messages.en: is empty"),
        ("llm: {model: m}\n", 2, "llm: there is no key 'model' here (known keys: api_base"),
        ('calibration: "a\\0b"\n', 2, "calibration: holds a NUL character"),
        ("1: 2\n", 2, "1: is no key: a key is a word"),
        ("dedline_s: 5\n", 2, "no key 'dedline_s' here (did you mean deadline_s?)"),
        ("on_failure: alow\n", 2, "on_failure: is none of block, allow (did you mean allow?)"),
        ("hazard: 3\n", 2, "hazard: is none of known, unknown"),
        ("judge: 3\n", 2, "judge: is no text (put it in quotes)"),
        ('judge: "\\ud800"\n', 2, "half a character (a lone surrogate)"),
        ('"\\ud800": 3\n', 2, "half a character (a lone surrogate)"),
        ("~: 3\n", 2, "a key must be plain text: put '~' in quotes"),
        ("yes: 3\n", 2, "a key must be plain text: put 'yes' in quotes"),
        (".nan: 3\n", 2, "a key must be plain text: put '.nan' in quotes"),
        ("stream: {~: 3}\n", 2, "a key must be plain text: put '~' in quotes"),
        ("deadline_s: !!timestamp soon\n", 2, "a value doesn't fit its tag"),
        ("deadline_s: " + "9" * 5000 + "\n", 2, "a value doesn't fit its tag"),
        ("band: [0.2, 0.8]\n", 2, "`band` is a cascade's; the judge is embedded"),
        (LLM + "band: [0.2, 0.8]\n", 3, "`band` is a cascade's; the judge is llm:openai/m"),
        ("judge: cascade:embedded>llm:m\nband: [0.8, 0.2]\n", 3, "`band` is a range"),
    ],
)
def test_a_value_that_means_something_else_is_refused(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    """No true for 1, no quoted numbers, no clock times, no price that never ends a budget."""
    head = "" if text.startswith("version") else "version: 1\n"
    file = tmp_path / "policy.yaml"
    file.write_text(f"{head}{text}rules: [{{evidence: pii, action: block}}]\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_policy(file)
    assert f"{file}:{line}: " in str(caught.value)
    assert said in str(caught.value)


def test_a_policy_may_be_json_as_other_programs_write_it(tmp_path: Path) -> None:
    """They write a character beyond the first 65,536 as two halves."""
    file = tmp_path / "policy.yaml"
    rules = [{"evidence": "pii", "action": "block"}]
    content = {"version": 1, "rules": rules, "messages": {"zh": "不行🙂", "en": "x"}}
    file.write_text(json.dumps(content), encoding="utf-8")
    assert "\\ud83d" in file.read_text(encoding="utf-8")
    assert load_policy(file).messages.zh == "不行🙂"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes and devices")
@pytest.mark.parametrize("what", ["policy.yaml", "calibration.json"])
@pytest.mark.parametrize("device", [None, "/dev/zero"])
def test_neither_a_pipe_nor_a_device_is_waited_for(
    tmp_path: Path, what: str, device: str | None
) -> None:
    """Nobody may ever write into the one, and the other has no end."""
    (tmp_path / "policy.yaml").write_text(WHOLE, encoding="utf-8")
    file = tmp_path / what
    file.unlink(missing_ok=True)
    if device is None:
        os.mkfifo(file)
    else:
        file.symlink_to(device)
    with pytest.raises(InputError, match="is no plain file") as caught:
        load_guard(tmp_path / "policy.yaml")
    assert caught.value.file == file


@pytest.mark.parametrize("given", [None, 3, {}, b"policy.yaml"])
def test_what_is_no_policy_is_one_line(given: Any) -> None:
    """Whoever forgot it is told what to give."""
    with pytest.raises(InputError, match="no policy is given"):
        load_guard(given)


RULE = "  - {evidence: pii, action: block}\n"


@pytest.mark.parametrize(
    "text",
    ["".join(f"k{n}: 1\n" for n in range(100_000)), f"rules:\n{RULE * 100_000}"],
    ids=["keys", "rules"],
)
def test_a_file_that_nobody_wrote_by_hand_is_refused_at_once(tmp_path: Path, text: str) -> None:
    """YAML is slow to read: a megabyte of it would take a minute."""
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    start = time.process_time()
    with pytest.raises(InputError, match="is larger than 262,144 bytes"):
        load_policy(file)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("dimension: Legality, cut: true, action: block", "rules.1.cut: is no number"),
        ("dimension: Legality, cut: '0.2', action: block", "rules.1.cut: is no number"),
        ("evidence: abuse, action: regenerate, tries: true", "rules.1.tries: is no whole number"),
        (
            "dimension: Legality, promise: {miss_rate: '0.05'}, action: block",
            "rules.1.promise.miss_rate: is no number",
        ),
        ("evidence: abuse, action: block, colour: red", "rules.1: there is no key 'colour' here"),
        ("evidence: abuse", "rules.1.action: is missing"),
        ("evidence: abuse, acton: block", "rules.1: there is no key 'acton' here (did you mean"),
        (
            "dimension: Legality, promise: {missrate: 0.05}, action: block",
            "rules.1.promise: there is no key 'missrate' here (did you mean miss_rate?)",
        ),
        ("evidence: pii, action: block", "two rules say pii:output:block: keep one"),
        ("dimension: Legality, action: block", "rules.1: a rule with `dimension` has one of"),
    ],
)
def test_a_mistake_in_a_rule_is_told_with_its_line(tmp_path: Path, rule: str, said: str) -> None:
    """The line of the key, or of the rule."""
    file = tmp_path / "policy.yaml"
    rules = f"  - {{evidence: pii, action: block}}\n  - {{{rule}}}\n"
    file.write_text(f"version: 1\nrules:\n{rules}", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_policy(file)
    assert f"{file}:4: {said}" in str(caught.value)


def test_numbers_are_those_that_people_write(tmp_path: Path) -> None:
    """Whole ones where there may be fractions, and powers of ten."""
    file = tmp_path / "policy.yaml"
    rule = "{dimension: Legality, cut: 1e-1, action: block}"
    file.write_text(f"version: 1\ndeadline_s: 5\nrules: [{rule}]\n", encoding="utf-8")
    plan = load_policy(file)
    assert (plan.deadline_s, plan.rules[0].cut) == (5.0, 0.1)


def test_rules_may_share_what_they_have_in_common(tmp_path: Path) -> None:
    """A rule's own keys go before what it merges, and the lines of its mistakes are its own."""
    rules = "  - &a {evidence: pii, action: block}\n  - {<<: *a, evidence: abuse}\n"
    file = tmp_path / "policy.yaml"
    file.write_text(f"version: 1\nrules:\n{rules}", encoding="utf-8")
    assert [rule.name for rule in load_policy(file).rules] == [
        "pii:output:block",
        "abuse:output:block",
    ]
    file.write_text(f"version: 1\nrules:\n{rules.replace('abuse', 'mess')}", encoding="utf-8")
    with pytest.raises(InputError, match="no such evidence") as caught:
        load_policy(file)
    assert caught.value.line == 4


def loaded(tmp_path: Path, text: str) -> Guard:
    file = tmp_path / "policy.yaml"
    file.write_text(f"version: 1\n{text}", encoding="utf-8")
    return load_guard(file, Given(scanner=WordScanner()))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("judge: gpt4\nrules: [{evidence: pii, action: block}]\n", 2, "'gpt4' names no judge"),
        (
            LLM + "rules:\n- {dimension: 合法, cut: 0.2, action: flag}\n"
            "- {dimension: legality, cut: 0.3, action: flag}\n",
            5,
            "two rules say Legality:output:flag: keep one",
        ),
        (
            "judge: llm:openai/m\nrules:\n- {dimension: Taxes, cut: 0.2, action: block}\n",
            4,
            "no rubric has the dimension 'Taxes'",
        ),
        (
            # A name of its own: a router of litellm's gives its models a price.
            "judge: llm:openai/m9\nbudget_usd_per_day: 2\nrules: [{evidence: pii, action: flag}]\n",
            3,
            "no price is known of openai/m9",
        ),
        (
            "rules:\n- {dimension: 合法, cut: 0.2, action: block}\n",
            3,
            "the embedded judge needs a calibration",
        ),
        (
            CASCADE + "band: [0.2, 0.8]\nrules: [{dimension: Legality, cut: 0.2, action: block}]\n",
            3,
            "a doubt `band` needs a calibration",
        ),
        (
            "calibration: alien.json\nrules: [{evidence: pii, action: block}]\n",
            2,
            "the calibration was made for another judge: other, not embedded",
        ),
    ],
)
def test_a_policy_that_cant_be_kept_is_refused_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int, said: str
) -> None:
    """What only judge, rubrics and calibration tell is told like the rest."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    alien = calibration(ScriptedJudge(lambda _: 0.9, name="other"), threshold())
    (tmp_path / "alien.json").write_text(alien.to_json(), encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        loaded(tmp_path, text)
    assert (caught.value.file, caught.value.line) == (tmp_path / "policy.yaml", line)


def test_a_dimension_has_one_name_whatever_the_policy_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics, headers and events of two spellings can be added up; so can the policy's id."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    text = "judge: llm:openai/m\nrules: [{dimension: %s, cut: 0.2, action: block}]\n"
    guards = [loaded(tmp_path, text % name) for name in ("合法", "legality", "Legality")]
    assert [guard.rules[0].rule.name for guard in guards] == ["Legality:output:block"] * 3
    assert len({guard.policy.id for guard in guards}) == 1


def test_two_rules_that_say_the_same_are_refused() -> None:
    """Which of two cuts would count?"""
    with pytest.raises(ValidationError, match="two rules say Legality:output:block"):
        policy(LEGAL, {**LEGAL, "cut": 0.3})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version：1\nrules: [{evidence: pii, action: block}]\n", "line 1 has `：`: write `:`"),
        ("rules:\n- {evidence: pii，action: block}\n", "line 2 has `，`: write `,`"),
        ("rules:\n- ｛evidence: pii, action: block｝\n", "line 2 has `｛`: write `{`"),
        ("rules:\n\t- {evidence: pii, action: block}\n", "line 2 has a tab or wide space"),
        ("rules:\n　- {evidence: pii, action: block}\n", "line 2 has a tab or wide space"),
    ],
)
def test_signs_of_a_chinese_keyboard_are_named_with_their_line(
    tmp_path: Path, text: str, said: str
) -> None:
    """YAML's own words for them help nobody."""
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_policy(file)
    assert said in str(caught.value)
    assert "is not YAML" in str(caught.value)


def test_signs_within_a_text_are_not_taken_for_the_fault(tmp_path: Path) -> None:
    """Chinese messages are full of them."""
    file = tmp_path / "policy.yaml"
    file.write_text('version: 1\nmessages: {zh: 抱歉，注意：不行。, en: "x}\n', encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_policy(file)
    assert caught.value.mend == ""


def test_a_policys_id_is_the_same_wherever_its_file_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers on two machines, and a drift watch after a move, know it again."""
    ids = set[str]()
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "policy.yaml").write_text(WHOLE, encoding="utf-8")
        monkeypatch.chdir(folder)
        ids |= {load_policy(folder / "policy.yaml").id, load_policy(Path("policy.yaml")).id}
    assert len(ids) == 1
    other = tmp_path / "a" / "other.yaml"
    other.write_text(WHOLE.replace("calibration.json", "next.json"), encoding="utf-8")
    assert load_policy(other).id not in ids
    moved = load_policy(other).model_copy(update={"calibration": "next.json"})
    assert moved.id == load_policy(other).id
    assert moved.model_copy(update={"calibration": "third.json"}).id != moved.id


def test_a_policys_id_changes_with_its_content_and_only_then() -> None:
    """Headers and audit events can be joined to the policy that they came from."""
    assert policy(ABUSE).id == policy(ABUSE).id
    assert policy(ABUSE).id != policy(ABUSE, shadow=True).id


def test_every_kind_of_evidence_that_is_found_can_be_named() -> None:
    """The heads of the embedded scorer, and no others."""
    assert set(KINDS) <= set(EVIDENCE_KINDS)
    assert isinstance(policy(*({"evidence": k, "action": "flag"} for k in EVIDENCE_KINDS)), Policy)
