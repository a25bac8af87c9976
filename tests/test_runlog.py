from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judge.errors import InputError
from judge.records import Turn
from judge.runlog import filtered_line, outcome_line, outcome_of, read_log
from judge.verdict import (
    Case,
    Evidence,
    Failure,
    FailureKind,
    JudgeRef,
    Outcome,
    RubricRef,
    Usage,
    Verdict,
)
from tests.cases import case, record, rubric

AT = datetime(2026, 1, 2, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def verdict(of: Case, **fields: object) -> Verdict:
    given_fields = {
        "record_id": of.record.id,
        "dimension": of.rubric.dimension,
        "judge": JudgeRef(name="j", fingerprint="f"),
        "rubric": RubricRef.of(of.rubric),
        "label": 3,
        "harmless": True,
    }
    return Verdict.model_validate(given_fields | fields)


def failure(of: Case, kind: FailureKind) -> Failure:
    return Failure(
        record_id=of.record.id,
        dimension=of.rubric.dimension,
        judge=JudgeRef(name="j", fingerprint="f"),
        rubric=RubricRef.of(of.rubric),
        kind=kind,
        attempts=2,
        detail="HTTP 400, x",
    )


def written(tmp_path: Path, of: Case, outcome: Outcome, **kwargs: bool) -> Path:
    file = tmp_path / "verdicts.jsonl"
    file.write_text(outcome_line(of, outcome, AT, **kwargs), encoding="utf-8")
    return file


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT.filter(bool), TEXT, TEXT, st.sampled_from([3, 1]))
def test_a_verdict_reads_back_as_it_was(
    tmp_path: Path, prompt: str, response: str, reason: str, label: int
) -> None:
    """Whatever the texts hold, one line goes out and the same outcome comes back."""
    judged = case(prompt=prompt, response=response)
    evidence = (Evidence(side="response", quote=response, start=0, end=len(response)),)
    outcome = verdict(
        judged,
        label=label,
        harmless=label == 3,
        probabilities={3: 0.25, 1: 0.75},
        p_harmless=0.25,
        p_source="logprob",
        criteria={"gives_method": None},
        reason=reason,
        evidence=evidence,
        usage=Usage(prompt=5, cached=None, completion=1),
        cost_usd=0.5,
    )
    file = written(tmp_path, judged, outcome)
    (entry,) = read_log(file)
    assert outcome_of(entry) == outcome
    assert (entry.prompt, entry.response) == (prompt, response)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_reads_back_as_it_was(tmp_path: Path, kind: FailureKind) -> None:
    """Each kind of failure survives the log."""
    (entry,) = read_log(written(tmp_path, case(), failure(case(), kind)))
    assert outcome_of(entry) == failure(case(), kind)


def test_the_fields_on_disk_are_the_published_ones(tmp_path: Path) -> None:
    """Tools that read the log find every field of the format under its name."""
    line = json.loads(written(tmp_path, case(), verdict(case())).read_text())
    assert {
        "format", "type", "record_id", "model", "dimension", "subcomponent", "prompt", "response",
        "source", "judge", "rubric", "label", "harmless", "probabilities", "p_harmless", "p_source",
        "criteria", "reason", "evidence", "usage", "cost_usd", "latency_s", "cached", "at",
    } <= set(line)  # fmt: skip
    failed = json.loads(written(tmp_path, case(), failure(case(), FailureKind.QUOTA)).read_text())
    assert (failed["type"], failed["kind"], failed["attempts"]) == ("failure", "quota", 2)


def test_a_log_without_texts_holds_their_hashes_alone(tmp_path: Path) -> None:
    """Neither prompt nor response, quote or reason can be read from it."""
    judged = case(prompt="秘密提示", response="秘密回复")
    evidence = (Evidence(side="response", quote="秘密回复", start=0, end=4),)
    outcome = verdict(judged, reason="秘密理由", evidence=evidence)
    file = written(tmp_path, judged, outcome, texts=False)
    assert "秘密" not in file.read_text(encoding="utf-8")
    (entry,) = read_log(file)
    assert len(entry.prompt_sha256 or "") == 64


def test_a_log_can_be_shown_on_a_terminal(tmp_path: Path) -> None:
    """Escapes, C1 controls, bidi overrides and line separators are written as \\uXXXX."""
    hostile = "a\x1b[31m\x9b2J\u202eb\u2028c\u0085d"
    text = written(tmp_path, case(response=hostile), verdict(case())).read_text(encoding="utf-8")
    assert not set("\x1b\x9b\u202e\u2028\u0085") & set(text)
    assert json.loads(text)["response"] == hostile


def test_the_earlier_turns_of_a_conversation_can_be_read_from_the_log(tmp_path: Path) -> None:
    """A run can be annotated and judged again from its log alone."""
    turns = (Turn(role="user", content="第一问"), Turn(role="assistant", content="第一答"))
    judged = case(history=turns)
    (entry,) = read_log(written(tmp_path, judged, verdict(judged)))
    assert entry.history == turns
    (entry,) = read_log(written(tmp_path, judged, verdict(judged), texts=False))
    assert entry.history == ()


def test_a_filtered_row_is_neither_verdict_nor_failure(tmp_path: Path) -> None:
    """The tested provider's filter left nothing to judge."""
    file = tmp_path / "verdicts.jsonl"
    stopped = record(response=None, filtered=True)
    file.write_text(filtered_line(stopped, "Legality", AT), encoding="utf-8")
    (entry,) = read_log(file)
    assert (entry.type, entry.response, outcome_of(entry)) == ("filtered", None, None)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is no JSON: EOF while parsing"),
        ("[]", "has no keys"),
        ('{"format": 2}', "format: must be 1"),
        ('{"format": 1, "type": "other"}', "type: is none of verdict, failure, filtered"),
        ('{"format": 1, "type": "verdict"}', "record_id: is missing"),
        ("\xff", "is no JSON: "),
    ],
)
def test_a_foreign_line_is_named_by_file_and_line(tmp_path: Path, line: str, told: str) -> None:
    """The error says in plain words what to mend in which line, and shows none of it."""
    file = written(tmp_path, case(), verdict(case()))
    with file.open("a", encoding="latin-1") as log:
        log.write(line + "\n")
    with pytest.raises(InputError, match=r"verdicts\.jsonl:2: ") as raised:
        list(read_log(file))
    assert raised.value.line == 2
    assert f"is not a line of a run's log: {told}" in str(raised.value)


def test_a_line_that_is_being_written_is_no_entry_yet(tmp_path: Path) -> None:
    """Who reads a log while a run or a server writes it gets the whole rows."""
    file = written(tmp_path, case(), verdict(case()))
    whole = file.read_bytes()
    for cut in range(1, len(whole)):
        file.write_bytes(whole + whole[:cut])
        assert len(list(read_log(file))) == 1 + (cut == len(whole) - 1)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("label", 4, "label: is none of 1, 2, 3"),
        ("label", "秘密", "label: is none of 1, 2, 3"),
        ("harmless", "秘密", "harmless: is neither true nor false"),
        ("judge", "秘密", "judge: has no keys"),
        ("evidence", [{"side": "秘密"}], "evidence.0.side: is none of "),
        ("votes", {}, "votes: is no list"),
        ("p_harmless", 1.5, "p_harmless: must be 1 or less"),
        ("cost_usd", "秘密", "cost_usd: is no number"),
    ],
)
def test_a_line_with_a_wrong_value_is_told_in_plain_words(
    tmp_path: Path, field: str, value: object, told: str
) -> None:
    """Its place, what is wrong there and the mend; the value itself may be anybody's text."""
    file = written(tmp_path, case(), verdict(case()))
    line = json.loads(file.read_text(encoding="utf-8")) | {field: value}
    file.write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(InputError, match=r"verdicts\.jsonl:1: ") as raised:
        list(read_log(file))
    assert told in str(raised.value)
    assert str(raised.value).endswith(" (delete that line and run again)")
    assert "秘密" not in str(raised.value)


def test_the_rubric_of_a_verdict_can_be_told(tmp_path: Path) -> None:
    """Each line says under which version of which rubric it was judged."""
    (entry,) = read_log(written(tmp_path, case(), verdict(case())))
    assert entry.rubric == RubricRef.of(rubric())
