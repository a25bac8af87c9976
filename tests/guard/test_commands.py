"""`flames-judge guard check`, `replay`, `drift` and `forget`, as a user runs them."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from guard.audit import open_audit
from guard.cli import check as check_command
from guard.event import GuardEvent
from tests.cli.conftest import Flames, write_rows
from tests.guard.audit.test_logs import START, event
from tests.openai_server import OpenAIServer
from tests.oracle import oracle

MOBILE = "我的电话是13812345678，打给我"


def write_policy(file: Path, *rules: dict[str, Any], **more: Any) -> Path:
    plan = {"version": 1, "rules": list(rules), **more}
    file.write_text(yaml.safe_dump(plan, allow_unicode=True), encoding="utf-8")
    return file


def test_a_fresh_machine_checks_a_text_without_key_or_policy(flames: Flames) -> None:
    """Evidence alone: personal data is stopped with its rule, a plain text passes."""
    stopped = flames("guard", "check", MOBILE)
    assert (stopped.status, stopped.out.splitlines()[0]) == (4, "blocked")
    assert "pii:output:block: pii:mobile found" in stopped.out
    passed = flames("guard", "check", "今天天气很好，我们去公园散步吧。")
    assert (passed.status, passed.out.splitlines()[0]) == (0, "allowed")


def test_a_score_just_below_its_cut_is_seen_to_be_below() -> None:
    """Three digits may be the same for both."""
    assert check_command._below(0.3, 0.45) == "0.300 < 0.450"
    assert check_command._below(0.45171, 0.45174) == "0.45171 < 0.45174"
    cut = math.nextafter(0.4928, 1)  # as a promise's cuts are made: just over a gold row's score
    assert check_command._below(0.4928, cut) == "0.4928 < 0.49280000000000007"


def test_a_pipe_and_a_file_are_checked_whole(flames: Flames, tmp_path: Path) -> None:
    """The end of a long text counts."""
    text = "今天天气很好。" * 20_000 + MOBILE
    assert flames("guard", "check", "-", stdin=text.encode()).status == 4
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert flames("guard", "check", "--file", tmp_path / "a.txt").status == 4


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a file without an end")
def test_of_a_file_no_more_is_read_than_is_checked(flames: Flames) -> None:
    """A file that is too large is refused before it fills the memory."""
    told = flames("guard", "check", "--file", "/dev/zero")
    assert (told.status, "is larger than 64 MiB" in told.err) == (2, True)


def test_a_decision_is_printed_as_json(flames: Flames) -> None:
    """For scripts: rules, policy, status."""
    done = flames("guard", "check", MOBILE, "--json")
    assert done.json["status"] == "blocked"
    assert [rule["evidence"] for rule in done.json["rules"]] == ["pii:mobile"]


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        (["-"], b"\xff\xfe", "standard input: is not UTF-8"),
        (["a", "--file", "b"], None, "--file: gives the text twice"),
        (["--file", "/none"], None, "/none: can't be read"),
        (["a", "--policy", "/none.yaml"], None, "/none.yaml: can't be read"),
    ],
)
def test_a_users_mistake_is_one_line(
    flames: Flames, args: list[str], stdin: bytes | None, said: str
) -> None:
    """And status 2."""
    done = flames("guard", "check", *args, stdin=stdin)
    assert done.status == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("args", [["guard", "check"], ["guard", "check", "-"],
                                  ["summarize", "-"], ["score", "-", "-o", "run"]])  # fmt: skip
def test_without_a_standard_input_there_is_one_line(
    flames: Flames, folder: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    """As under a scheduler that closes it (`<&-`)."""
    monkeypatch.setattr(sys, "stdin", None)
    done = flames(*args)
    assert (done.status, done.err) == (
        2,
        "flames-judge: stdin: there is no standard input (give a file)\n",
    )


def test_a_policy_that_cant_be_kept_is_named_with_its_file(flames: Flames, tmp_path: Path) -> None:
    """A promise without gold."""
    rule = {"dimension": "Legality", "promise": {"miss_rate": 0.05}, "action": "block"}
    file = write_policy(tmp_path / "p.yaml", rule)
    done = flames("guard", "check", "好", "--policy", file)
    assert done.status == 2
    assert f"{file}:2: rule Legality:output:block: a promise needs a calibration" in done.err


def test_a_strong_judge_is_a_policy_away(
    flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule, P(harmless) and the cut are told."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with OpenAIServer(oracle(lambda text: 1 if "逃税" in text else 3)) as server:
        rule = {"dimension": "Legality", "cut": 0.5, "action": "block"}
        llm = {"api_base": server.base_url}
        file = write_policy(tmp_path / "p.yaml", rule, judge="llm:openai/m", llm=llm, deadline_s=30)
        done = flames("guard", "check", "这样逃税", "--policy", file, "--prompt", "怎么办")
    assert done.status == 4
    assert "Legality:output:block: P(harmless) 0.000 < 0.500, the rule's cut" in done.out


def exchanges(tmp_path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {"prompt": f"问题{n}", "response": "好的，没问题。" + (MOBILE if n % 5 == 0 else "")}
        for n in range(50)
    ]
    return write_rows(tmp_path / "traffic.jsonl", *rows, {"prompt": "没有回答"})


def test_replay_tells_what_would_have_been_stopped(flames: Flames, tmp_path: Path) -> None:
    """Ten of fifty, by which rule, with an interval; a row that can't be read is named."""
    done = flames("guard", "replay", exchanges(tmp_path), "--json")
    assert done.status == 3
    assert "traffic.jsonl:51" in done.err
    [found] = done.json["replays"]
    assert (found["n"], found["stopped"]["value"]) == (50, 0.2)
    hits = {rule["rule"]: rule["hits"] for rule in found["rules"]}
    assert hits["pii:output:block"] == 10
    shown = flames("guard", "replay", exchanges(tmp_path))
    assert "shipped policy over 50 exchanges" in shown.out
    assert "20.00 [11.24, 33.04] %" in shown.out


def test_a_recorded_log_is_replayed_with_its_texts(flames: Flames, tmp_path: Path) -> None:
    """Each answer once, and a question that got none; decisions without texts are left out."""
    said = {"side": "output", "prompt": "问题"}
    events = [
        event(0, request_id="a", side="input", text="问题", prompt="问题"),
        event(1, request_id="a", text=MOBILE, **said),
        event(2, request_id="a", text="换一个说法。", **said),
        event(3, request_id="b", side="input", text="卡号", prompt="卡号"),
        event(4, request_id="c", text=None),
    ]
    policy = write_policy(tmp_path / "p.yaml", {"evidence": "pii", "action": "block"})
    place = logged(tmp_path / "a.jsonl", *events)
    done = flames("guard", "replay", "--audit", place, "--policy", policy, "--json")
    [found] = done.json["replays"]
    assert (found["n"], found["rules"][0]["hits"]) == (3, 1)
    assert found["statuses"] == {"input": {"allowed": 3}, "output": {"blocked": 1, "allowed": 1}}


def test_an_answer_counts_once_where_the_clock_was_put_back(flames: Flames, tmp_path: Path) -> None:
    """A database gives events by their time: then the answer comes before its question."""
    said = {"prompt": "问题", "request_id": "a"}
    events = [
        event(9, side="input", text="问题", **said),
        event(1, side="output", text=MOBILE, **said),
        event(2, request_id="b", side="input", text="卡号", prompt="卡号"),
    ]
    policy = write_policy(tmp_path / "p.yaml", {"evidence": "pii", "action": "block"})
    place = logged(tmp_path / "a.sqlite", *events, kind="sqlite:///")
    done = flames("guard", "replay", "--audit", place, "--policy", policy, "--json")
    [found] = done.json["replays"]
    assert found["n"] == 2
    assert found["statuses"] == {"input": {"allowed": 2}, "output": {"blocked": 1}}


def test_replay_says_what_it_can_not_read(flames: Flames, tmp_path: Path) -> None:
    """A log without texts; neither files nor a log, or both."""
    place = logged(tmp_path / "a.jsonl", event(0, text=None))
    done = flames("guard", "replay", "--audit", place)
    assert "--audit: holds no exchange that can be read (texts are recorded with" in done.err
    for args in ((), ("rows.jsonl", "--audit", place)):
        done = flames("guard", "replay", *args)
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert "give files, or --audit PLACE" in done.err
    assert "there is no such log" in flames("guard", "replay", "--audit", "jsonl:none").err


def test_replay_counts_what_it_left_out(flames: Flames, tmp_path: Path) -> None:
    """Beyond the first few, rows that can't be read are told by their number."""
    file = tmp_path / "rows.jsonl"
    write_rows(file, {"prompt": "问", "response": "答"})
    file.write_text(file.read_text(encoding="utf-8") + "{\n" * 9, encoding="utf-8")
    done = flames("guard", "replay", file)
    assert (done.status, "left out, since unreadable: 9 rows" in done.out) == (3, True)
    assert "calibrated" not in done.out


def test_replay_takes_rows_of_any_dimension(flames: Flames, tmp_path: Path) -> None:
    """The policy says what is judged; a rubric of one's own may have named the rows."""
    rows = [{"prompt": "问", "response": MOBILE, "dimension": name} for name in ("健康", "合法")]
    done = flames("guard", "replay", write_rows(tmp_path / "rows.jsonl", *rows), "--json")
    assert (done.status, done.json["replays"][0]["n"]) == (0, 2)


def test_replay_reads_a_conversation_as_the_guard_does(flames: Flames, tmp_path: Path) -> None:
    """An earlier turn is part of the question; so is what two turns say together."""
    turns = [[MOBILE], [MOBILE[:9], MOBILE[9:]], ["你好"]]
    rows = [
        {
            "messages": [{"role": "user", "content": one} for one in [*said, "谢谢"]],
            "response": "好",
        }
        for said in turns
    ]
    policy = write_policy(
        tmp_path / "p.yaml", {"evidence": "pii", "side": "input", "action": "block"}
    )
    file = write_rows(tmp_path / "rows.jsonl", *rows)
    done = flames("guard", "replay", file, "--policy", policy, "--json")
    statuses = done.json["replays"][0]["statuses"]
    assert statuses == {"input": {"blocked": 2, "allowed": 1}, "output": {"allowed": 1}}


def test_replay_says_which_checks_could_not_be_made(
    flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that is away doesn't pass for a policy that stops everything."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    rows = [{"prompt": f"问{n}", "response": "答"} for n in range(4)]
    file = write_rows(tmp_path / "rows.jsonl", *rows)
    policy = write_policy(
        tmp_path / "p.yaml", {"dimension": "Legality", "cut": 0.5, "action": "block"},
        judge="llm:openai/m", budget_usd_per_day=0,
        llm={"api_base": "http://127.0.0.1:9/v1", "price": [1, 1]},
    )  # fmt: skip
    done = flames("guard", "replay", file, "--policy", policy, "--json")
    assert (done.status, done.json["replays"][0]["unchecked"]) == (3, {"budget": 4})
    shown = flames("guard", "replay", file, "--policy", policy)
    assert "checks that could not be made, by exchanges: budget 4" in shown.out


def test_a_promise_is_not_printed_where_the_judge_always_abstained(
    flames: Flames, tmp_path: Path
) -> None:
    """The embedded judge knows probes alone; neither start nor replay pretends that it acts."""
    answers = ("这样逃税，别被发现。", "抱歉，我不能帮您逃税，这是违法的。")
    rows = [
        {"id": f"r{n}", "prompt": f"怎么逃税{n}", "response": answers[n % 2],
         "dimension": "Legality", "model": "m"}
        for n in range(40)
    ]  # fmt: skip
    gold = [
        {"record_id": r["id"], "model": "m", "dimension": "Legality", "annotator": "甲",
         "label": 3 if n % 2 else 1}
        for n, r in enumerate(rows)
    ]  # fmt: skip
    file, labels = (
        write_rows(tmp_path / "rows.jsonl", *rows),
        write_rows(tmp_path / "g.jsonl", *gold),
    )
    run, made, promise = tmp_path / "run", tmp_path / "c.json", {"miss_rate": 0.5}
    flames("score", file, "-o", run)
    told = flames("calibrate", run, "--gold", labels, "-o", made, "--promise",
                  "miss_rate=0.5,confidence=0.95")  # fmt: skip
    assert told.status == 0
    rule = {"dimension": "Legality", "promise": promise, "action": "block"}
    policy = write_policy(tmp_path / "p.yaml", rule, calibration="c.json")
    refused = flames("guard", "replay", file, "--policy", policy)
    assert (refused.status, "made on probes, but `hazard` is unknown" in refused.err) == (2, True)
    older = made.read_text(encoding="utf-8").replace(',\n      "hazard": "known"', "")
    made.write_text(older, encoding="utf-8")
    shown = flames("guard", "replay", file, "--policy", policy)
    assert "the judge abstained 40 times" in shown.out
    assert "misses at most" not in shown.out
    found = flames("guard", "replay", file, "--policy", policy, "--json").json["replays"][0]
    [counted] = found["rules"]
    assert (counted["judged"], counted["abstained"], counted["missed"]) == (0, 40, None)


def test_names_of_rules_are_whole_on_a_narrow_terminal(
    flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check, side and action are to be found again in the policy."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = flames("guard", "replay", exchanges(tmp_path)).out
    assert "black_market_ad " in shown
    assert "output:block " in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_replay_holds_two_policies_against_each_other(flames: Flames, tmp_path: Path) -> None:
    """What one stops and the other doesn't, by rule."""
    first = write_policy(tmp_path / "a.yaml", {"evidence": "pii", "action": "block"})
    second = write_policy(tmp_path / "b.yaml", {"evidence": "pii:card", "action": "block"})
    done = flames(
        "guard", "replay", exchanges(tmp_path), "--policy", first, "--against", second, "--json"
    )
    parted = done.json["difference"]
    assert (parted["both"], parted["only_first"], parted["neither"]) == (0, 10, 40)
    assert parted["by_rule"] == {"pii:output:block": [10, 0]}


def test_replay_estimates_wrong_hits_and_misses_by_the_calibration(
    flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calibrated P of what is stopped, and what the rest lacks to 1, are added up."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    rows = [
        {"id": f"r{n}", "prompt": f"怎么{n}", "response": "这样逃税" if n % 2 else "请依法纳税",
         "dimension": "Legality", "model": "m"}
        for n in range(60)
    ]  # fmt: skip
    file, gold = write_rows(tmp_path / "rows.jsonl", *rows), tmp_path / "gold.jsonl"
    labels = [
        {"record_id": r["id"], "model": "m", "dimension": "Legality", "annotator": "甲",
         "label": (1 if n % 2 else 3) if n % 10 else 1}
        for n, r in enumerate(rows)
    ]  # fmt: skip
    write_rows(gold, *labels)
    with OpenAIServer(oracle(lambda text: 1 if "逃税" in text else 3)) as server:
        base = ("--api-base", server.base_url, "--no-cache")
        flames("score", file, "-o", tmp_path / "run", "--model", "openai/m", *base)
        made = tmp_path / "c.json"
        promise = {"miss_rate": 0.5, "confidence": 0.9}
        told = ",".join(f"{name}={value}" for name, value in promise.items())
        flames("calibrate", tmp_path / "run", "--gold", gold, "-o", made, "--promise", told)
        policy = write_policy(
            tmp_path / "p.yaml", {"dimension": "Legality", "cut": 0.5, "action": "block"},
            judge="llm:openai/m", llm={"api_base": server.base_url}, calibration="c.json",
            deadline_s=60,
        )  # fmt: skip
        done = flames("guard", "replay", file, "--policy", policy, "--json")
        promising = write_policy(
            tmp_path / "q.yaml", {"dimension": "Legality", "promise": promise, "action": "block"},
            judge="llm:openai/m", llm={"api_base": server.base_url}, calibration="c.json",
            deadline_s=60,
        )  # fmt: skip
        shown = flames("guard", "replay", file, "--policy", promising).out
        checked = flames(
            "guard", "check", "这样逃税", "--prompt", "怎么", "--policy", promising
        ).out
    assert "Legality:output:block: misses at most" in shown
    assert "Legality:output:block: the judge's own score 0 < " in checked
    assert ", the promise's cut; calibrated P(harmless) 0." in checked
    [rule] = done.json["replays"][0]["rules"]
    assert (rule["hits"], rule["judged"]) == (30, 60)
    assert rule["wrong"]["value"] == pytest.approx(0, abs=3)
    assert rule["missed"]["value"] == pytest.approx(6, abs=3)


def logged(file: Path, *events: GuardEvent, kind: str = "jsonl:") -> str:
    place = f"{kind}{file}"

    async def write() -> None:
        with open_audit(place) as log:
            for one in events:
                await log.emit(one)

    asyncio.run(write())
    return place


def test_drift_is_read_from_the_log(flames: Flames, tmp_path: Path) -> None:
    """More blocks than in the baseline raise the alarm, and status 4."""
    events = [
        event(0, conversation=f"c{n}", scores={}, **({} if n > 150 else {"rules": ()}))
        for n in range(300)
    ]
    place = logged(tmp_path / "a.jsonl", *events)
    done = flames("guard", "drift", "--audit", place, "--baseline", 100)
    assert done.status == 4
    assert done.out.startswith("rules: ALARM")
    assert "rules act more often" in done.out.splitlines()[0]
    begun = "compared with the 100 first conversations of the log, from 2026-01-01 00:00+00:00 on"
    assert begun in done.out
    calm = flames("guard", "drift", "--audit", logged(tmp_path / "b.jsonl", *events[:150]),
                  "--baseline", 100, "--json")  # fmt: skip
    assert (calm.status, calm.json["streams"]["rules"]["alarm_at"]) == (0, None)
    few = logged(tmp_path / "c.jsonl", *events[:200])
    early = flames("guard", "drift", "--audit", few)
    assert early.status == 2
    assert "the baseline takes 300" in early.err


def test_what_of_a_log_cant_be_read_is_told_and_in_no_figure(
    flames: Flames, tmp_path: Path
) -> None:
    """Half a log would else pass for all of it; a torn line's end is no second one."""
    events = [event(n, conversation=f"c{n}", text="好", prompt="问") for n in range(40)]
    place = logged(tmp_path / "a.jsonl", *events)
    with (tmp_path / "a.jsonl").open("a", encoding="utf-8") as lines:
        lines.write('{"format":1,"at":"20\n\n{"format":2}\n')
    told = "--audit: 2 entries of the log can't be read and were left out"
    for command in (("drift", "--baseline", 20), ("exposure",)):
        done = flames("guard", *command, "--audit", place)
        assert (done.status, told in done.err) == (0, True)
    policy = write_policy(tmp_path / "p.yaml", {"evidence": "pii", "action": "block"})
    done = flames("guard", "replay", "--audit", place, "--policy", policy)
    assert (done.status, "left out, since unreadable: 2 rows" in done.out) == (3, True)


def test_drift_is_of_the_newest_policy(flames: Flames, tmp_path: Path) -> None:
    """What an older policy did is no measure of today's traffic, and no reason to wait."""
    old = [event(n, conversation=f"o{n}", scores={}, policy="old") for n in range(50)]
    new = [
        event(n, conversation=f"c{n}", scores={}, **({} if n > 250 else {"rules": ()}))
        for n in range(100, 400)
    ]
    place = logged(tmp_path / "a.jsonl", *old, *new)
    done = flames("guard", "drift", "--audit", place, "--baseline", 100)
    assert (done.status, done.out.startswith("rules: ALARM")) == (4, True)
    assert "50 decisions under another policy or calibration were left out" in done.out
    place = logged(tmp_path / "b.jsonl", *old, *new[:20])
    early = flames("guard", "drift", "--audit", place, "--baseline", 50)
    assert "holds 20 conversations under its newest policy" in early.err


@pytest.mark.parametrize("flag", ["--request", "--conversation"])
def test_an_empty_name_forgets_nothing(flames: Flames, tmp_path: Path, flag: str) -> None:
    """Of a shell's variable that isn't set; events of edges that name no request have none."""
    place = logged(tmp_path / "a.jsonl", event(0, request_id=""))
    told = flames("guard", "forget", "--audit", place, flag, "")
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert (tmp_path / "a.jsonl").stat().st_size > 0


@pytest.mark.parametrize("days", ["inf", "1e10", "800000"])
def test_an_age_beyond_the_calendar_is_refused(flames: Flames, tmp_path: Path, days: str) -> None:
    """No traceback, and nothing is deleted."""
    place = logged(tmp_path / "a.jsonl", event(0))
    told = flames("guard", "forget", "--audit", place, "--older-than", days)
    assert (told.status, "36500" in told.err) == (2, True)
    served = flames(
        "serve", "--upstream", "http://127.0.0.1:9/v1", "--policy", tmp_path / "p.yaml",
        "--audit", place, "--retain-days", days,
    )  # fmt: skip
    assert (served.status, "36500" in served.err) == (2, True)
    assert (tmp_path / "a.jsonl").stat().st_size > 0


def test_serve_says_where_nobody_sees_what_is_handed_to_people(
    flames: Flames, tmp_path: Path
) -> None:
    """`human` without a queue is a block that no one ever looks at."""
    rule = {"evidence": "pii", "action": "human"}
    policy = write_policy(tmp_path / "p.yaml", rule)
    stop = ("--upstream-key-env", "NO_SUCH_VARIABLE")  # looked at later
    command = ("serve", "--upstream", "http://127.0.0.1:9/v1", "--policy", policy, *stop)
    told = "without --label-queue nobody gets to see"
    assert told in flames(*command).err
    assert told not in flames(*command, "--label-queue", tmp_path / "queue").err


def test_recorded_decisions_are_forgotten_when_asked(flames: Flames, tmp_path: Path) -> None:
    """By age; without saying what, nothing is deleted."""
    old, new = event(0), event(1, at=START + timedelta(days=365 * 200))
    place = logged(tmp_path / "a.jsonl", old, new)
    assert flames("guard", "forget", "--audit", place).status == 2
    done = flames("guard", "forget", "--audit", place, "--older-than", 1)
    assert (done.status, done.out) == (0, "1 events deleted\n")
    kept = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["request_id"] for line in kept] == ["r1"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("jsonl:none.jsonl", "none.jsonl: there is no such log"),
        ("sqlite:///none.sqlite", "none.sqlite: there is no such log"),
        ("none.jsonl", "--audit: is no place of a log (write jsonl:FILE, sqlite:///FILE or"),
        ("foo:bar", "--audit: is no place of a log"),
    ],
)
def test_a_mistyped_log_is_refused_and_not_made(
    flames: Flames, folder: Path, place: str, said: str
) -> None:
    """Nothing is forgotten in a log that isn't there."""
    ran = flames("guard", "forget", "--older-than", 1, "--audit", place)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert said in ran.err
    assert list(folder.iterdir()) == []


def test_a_real_judge_is_one_flag_away(flames: Flames, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a policy it judges each dimension; evidence is looked for all the same."""
    with OpenAIServer(oracle(lambda text: 1 if "逃税" in text else 3)) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        bad = flames("guard", "check", "这样逃税", "--model", "openai/m", "--prompt", "怎么")
        good = flames("guard", "check", "请依法纳税", "--model", "openai/m", "--prompt", "怎么")
        found = flames("guard", "check", MOBILE, "--model", "openai/m")
    assert (bad.status, "Legality:output:block: P(harmless)" in bad.out) == (4, True)
    assert (good.status, good.out.splitlines()[0]) == (0, "allowed")
    assert (found.status, "pii:mobile found" in found.out) == (4, True)


def test_a_judge_that_no_rule_asks_is_told_of(
    flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    plan = write_policy(tmp_path / "p.yaml", {"evidence": "pii", "action": "block"})
    told = flames("guard", "check", "好", "--model", "openai/m", "--policy", plan)
    assert (told.status, "no rule of the policy has a `dimension`" in told.err) == (0, True)
    asked = flames("guard", "check", "好", "--model", "openai/m", "--side", "input")
    assert (asked.status, "questions are checked for evidence alone" in asked.err) == (0, True)
