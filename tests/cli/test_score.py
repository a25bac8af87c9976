"""`flames-judge score` as a user runs it, with a judge model on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cases import PROMPT, RESPONSE
from tests.cli.conftest import Flames, rows_of, write_rows
from tests.openai_server import FILTERS, OpenAIServer, Reply, openai_error
from tests.oracle import oracle
from tests.warm import flames_judge


def row(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "dimension": "Legality", "prompt": f"{PROMPT}{number}",
            "response": RESPONSE, "model": "bot"} | more  # fmt: skip


def asking(server: OpenAIServer) -> tuple[str, ...]:
    return ("--model", "openai/judge", "--api-base", server.base_url)


def by_response(response: str) -> int:
    return 1 if "步骤" in response else 3


@pytest.fixture
def file(folder: Path) -> Path:
    rows = [row(n, response="步骤如下" if n % 4 == 0 else RESPONSE) for n in range(1, 9)]
    return write_rows(folder / "in.jsonl", *rows)


def test_a_file_is_scored_into_a_run_folder_and_a_table(flames: Flames, file: Path) -> None:
    """Six of eight are harmless: the table, the summary and the log agree."""
    with OpenAIServer(oracle(by_response)) as server:
        ran = flames("score", file, *asking(server), "--price", "1,2")
    assert ran.status == 0
    assert "75.00" in ran.out
    assert "Legality" in ran.out
    run = file.parent / "in.flames"
    summary = json.loads((run / "summary.json").read_text())
    legality = summary["models"]["bot"]["dimensions"]["Legality"]
    assert legality["counts"] == {"3": 6, "2": 0, "1": 2, "not_3": 0}
    assert legality["harmless_rate"]["value"] == 0.75
    assert summary["cost"]["usd"] == pytest.approx(8 * 0.0012)
    log = rows_of(run / "verdicts.jsonl")
    assert Counter(line["label"] for line in log) == {3: 6, 1: 2}
    assert (run / "bad_rows.jsonl").read_text() == ""
    assert "8 rows to judge" in ran.err


def test_json_prints_the_summary_alone(flames: Flames, file: Path) -> None:
    """Programs read standard output; people's lines go to standard error."""
    with OpenAIServer(oracle()) as server:
        ran = flames("score", file, *asking(server), "--json")
    assert ran.json == json.loads((file.parent / "in.flames" / "summary.json").read_text())


def test_a_second_run_pays_for_nothing_and_says_so(flames: Flames, file: Path) -> None:
    """All rows are in the log already."""
    with OpenAIServer(oracle(by_response)) as server:
        first = flames("score", file, *asking(server), "--no-cache")
        second = flames("score", file, *asking(server), "--no-cache")
        assert len(server.requests) == 8
    assert second.status == 0
    assert "8 rows were done already" in second.err
    assert second.out == first.out


def test_another_folder_takes_the_answers_from_the_cache(flames: Flames, file: Path) -> None:
    """What was paid for is kept across runs, unless --no-cache."""
    with OpenAIServer(oracle(by_response)) as server:
        flames("score", file, *asking(server))
        flames("score", file, *asking(server), "--out", file.parent / "other")
        assert len(server.requests) == 8
        flames("score", file, *asking(server), "--out", file.parent / "third", "--no-cache")
        assert len(server.requests) == 16
    assert all(line["cached"] for line in rows_of(file.parent / "other" / "verdicts.jsonl"))


def test_a_changed_row_is_judged_again_and_a_removed_one_withdrawn(
    flames: Flames, file: Path
) -> None:
    """The report is that of the input as it is now."""
    with OpenAIServer(oracle(by_response)) as server:
        flames("score", file, *asking(server))
        changed = [row(1, response="步骤如下"), *(row(n) for n in range(2, 7))]
        write_rows(file, *changed, row(9))
        ran = flames("score", file, *asking(server))
    assert "2 rows had other texts" in ran.err
    assert "2 rows of" in ran.err
    assert "withdrawn" in ran.err
    summary = json.loads((file.parent / "in.flames" / "summary.json").read_text())
    legality = summary["models"]["bot"]["dimensions"]["Legality"]
    assert (legality["n"], legality["counts"]["1"]) == (7, 1)


def test_another_judge_needs_another_folder_or_an_explicit_word(flames: Flames, file: Path) -> None:
    """Verdicts of two judges are never mixed into one rate."""
    with OpenAIServer(oracle(by_response)) as server:
        flames("score", file, *asking(server))
        other = flames("score", file, *asking(server), "--temperature", "0.5")
        assert other.status == 2
        assert "--rejudge" in other.err
        again = flames("score", file, *asking(server), "--temperature", "0.5", "--rejudge")
        assert again.status == 0
        assert len(server.requests) == 16


def test_unjudged_rows_are_listed_by_reason_and_bound_the_rate(flames: Flames, file: Path) -> None:
    """Two of eight are filtered: no row is dropped, no score invented, the exit status is 3."""

    def script(request: dict[str, Any], n: int) -> Reply:
        harmful = "步骤" in request["messages"][1]["content"]
        return FILTERS["deepseek"] if harmful else oracle()(request, n)

    with OpenAIServer(script) as server:
        ran = flames("score", file, *asking(server), "--max-unjudged", "0.3")
        tight = flames("score", file, *asking(server), "--json", "--max-unjudged", "0.2")
    assert ran.status == tight.status == 3
    assert "provider_filter_input 2" in ran.err
    assert "2 provider" in ran.out
    legality = tight.json["models"]["bot"]["dimensions"]["Legality"]
    assert legality["unjudged"] == {"provider_filter_input": 2}
    assert legality["harmless_rate"]["value"] is None
    assert legality["harmless_rate"]["why"]
    assert legality["bounds"]["harmless_rate"][1] == 1.0
    assert legality["bounds"]["harmless_rate"][0] < 0.75


def test_failures_that_pass_are_judged_again_by_the_next_run(flames: Flames, file: Path) -> None:
    """Rate limits and faults reopen by themselves; filters only with --retry-unjudged."""
    with OpenAIServer(openai_error(503, "busy")) as server:
        ran = flames("score", file, *asking(server), "--retries", "0")
        assert ran.status == 3
        assert "unavailable" in ran.out
    with OpenAIServer(oracle()) as server:
        base = (*asking(server), "--out", file.parent / "in.flames")
        again = flames("score", file, *base)
        assert again.status == 0
        assert len(server.requests) == 8
    with OpenAIServer(FILTERS["kimi"]) as server:
        filtered = write_rows(file.parent / "f.jsonl", row(1))
        assert flames("score", filtered, *asking(server)).status == 3
        assert flames("score", filtered, *asking(server)).status == 3
        assert len(server.requests) == 1
        flames("score", filtered, *asking(server), "--retry-unjudged")
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (openai_error(401, "bad key sk-x"), "the key was refused"),
        (openai_error(404, "no model", "model_not_found"), "no such model"),
    ],
)
def test_a_dead_end_is_one_line_and_status_2(
    flames: Flames, file: Path, reply: Reply, told: str
) -> None:
    """The first row tells; the others are not tried for nothing."""
    with OpenAIServer(reply) as server:
        ran = flames("score", file, *asking(server), "--concurrency", "1")
        assert len(server.requests) == 1
    assert ran.status == 2
    assert told in ran.err.splitlines()[-1]
    assert "sk-x" not in ran.err


def test_an_unreachable_server_is_one_line_and_status_2(flames: Flames, file: Path) -> None:
    """Nothing listens there."""
    ran = flames("score", file, "--model", "openai/m", "--api-base", "http://127.0.0.1:9/v1")
    assert ran.status == 2
    assert "can't be reached" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    "judge", [("--judge", "nope"), ("--model", "nowhere/x"), ("--model", "deepseek/deepseek-chat")]
)
def test_a_judge_that_can_not_be_built_is_one_line_before_anything_is_made(
    flames: Flames, file: Path, judge: tuple[str, str]
) -> None:
    """A wrong name or a missing key: no estimate, no folder."""
    ran = flames("score", file, *judge)
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1
    assert not (file.parent / "in.flames").exists()


def test_the_budget_stops_the_run_cleanly_and_a_larger_one_goes_on(
    flames: Flames, file: Path
) -> None:
    """Rows within the budget are kept; the rest follows without paying twice."""
    with OpenAIServer(oracle(usage={"prompt_tokens": 1_000_000, "completion_tokens": 0})) as server:
        money = ("--price", "1,0", "--concurrency", "1", "--no-cache")
        ran = flames("score", file, *asking(server), *money, "--budget", "3.5")
        assert ran.status == 3
        assert "budget" in ran.err
        assert len(server.requests) == 3
        again = flames("score", file, *asking(server), *money, "--budget", "100")
        assert again.status == 0
        assert len(server.requests) == 8


def test_a_dry_run_tells_rows_tokens_and_money_and_asks_nobody(flames: Flames, file: Path) -> None:
    """Before any call, and without a key or a folder."""
    with OpenAIServer(oracle()) as server:
        ran = flames("score", file, *asking(server), "--dry-run", "--price", "1,2")
        assert not server.requests
    assert ran.status == 0
    assert "8 rows to judge" in ran.err
    assert "USD" in ran.err
    assert not (file.parent / "in.flames").exists()


def test_bad_rows_are_listed_and_the_good_ones_scored(flames: Flames, folder: Path) -> None:
    """Each bad row with its line and its mend; the exit status is 3."""
    good = json.dumps(row(1), ensure_ascii=False)
    lines = [good, "{broken", '{"dimension": "Nonsense", "prompt": "a", "response": "b"}', ""]
    (folder / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with OpenAIServer(oracle()) as server:
        ran = flames("score", "in.jsonl", *asking(server))
    assert ran.status == 3
    bad = rows_of(folder / "in.flames" / "bad_rows.jsonl")
    assert [entry["source"] for entry in bad] == ["in.jsonl:2", "in.jsonl:3"]
    assert "in.jsonl:2" in ran.err
    assert "100.00" in ran.out


def test_standard_input_needs_a_folder_and_works_with_one(flames: Flames, folder: Path) -> None:
    """`-` reads JSONL from a pipe."""
    text = json.dumps(row(1), ensure_ascii=False).encode()
    missing = flames("score", "-", stdin=text)
    assert missing.status == 2
    assert "--out" in missing.err
    with OpenAIServer(oracle()) as server:
        ran = flames("score", "-", *asking(server), "--out", "run", stdin=text)
    assert ran.status == 0
    assert rows_of(folder / "run" / "verdicts.jsonl")[0]["source"].endswith(":1")


def test_several_models_stand_side_by_side_with_their_differences(
    flames: Flames, folder: Path
) -> None:
    """Paired on the prompt, with an interval and an adjusted p."""
    rows = [row(n, model=m, id=f"{m}{n}", response="步骤" if m == "b" and n % 2 else RESPONSE)
            for n in range(1, 13) for m in ("a", "b")]  # fmt: skip
    write_rows(folder / "in.jsonl", *rows)
    with OpenAIServer(oracle(by_response)) as server:
        ran = flames("score", "in.jsonl", *asking(server), "--json")
    assert set(ran.json["models"]) == {"a", "b"}
    pair = next(c for c in ran.json["comparisons"] if c["dimension"] == "Legality")
    assert pair["harmless_rate"]["figure"]["value"] == pytest.approx(0.5)
    assert pair["harmless_rate"]["p"] == pytest.approx(2 * 0.5**6)


def test_a_row_that_the_tested_provider_filtered_has_both_readings(
    flames: Flames, folder: Path
) -> None:
    """Left out, and counted as declined."""
    stopped = row(2, response=None, filtered={"kind": "provider_filter_input"})
    write_rows(folder / "in.jsonl", row(1, response="步骤"), stopped)
    with OpenAIServer(oracle(by_response)) as server:
        ran = flames("score", "in.jsonl", *asking(server), "--json")
        again = flames("score", "in.jsonl", *asking(server), "--json")
    legality = ran.json["models"]["bot"]["dimensions"]["Legality"]
    assert legality["harmless_rate"]["value"] == 0.0
    assert legality["filtered_as_declined"]["harmless_rate"]["value"] == 0.5
    assert again.json == ran.json


def test_a_hostile_file_can_not_steer_the_terminal(flames: Flames, folder: Path) -> None:
    """Model names and ids with escapes, markup and bidi overrides are written out."""
    write_rows(folder / "in.jsonl", row(1, model="\x1b[31m[red]bot\u202e", id="\x1b]0;x\x07"))
    with OpenAIServer(oracle()) as server:
        ran = flames("score", "in.jsonl", *asking(server))
    assert "[red]bot" in ran.out
    assert not {"\x1b", "\u202e", "\x07"} & set(ran.out + ran.err)


def test_a_users_own_dimension_needs_one_file_and_no_code(flames: Flames, folder: Path) -> None:
    """It is judged and reported, and stays out of the overall figure."""
    assert flames("rubric", "new", "mine.yaml").status == 0
    from judge.rubric import load_rubric

    mine = load_rubric(folder / "mine.yaml")
    write_rows(folder / "in.jsonl", row(1, dimension=mine.dimension))
    from tests.openai_server import ok
    from tests.oracle import sound_answer

    with OpenAIServer(ok(sound_answer(mine, 3))) as server:
        ran = flames("score", "in.jsonl", *asking(server), "--rubrics", ".", "--json")
    assert ran.status == 0
    model = ran.json["models"]["bot"]
    assert model["dimensions"][mine.dimension]["harmless_rate"]["value"] == 1.0
    assert model["overall"]["harmless_rate"]["value"] is None


def test_after_a_kill_nothing_is_paid_twice_but_rows_in_flight(folder: Path) -> None:
    """kill -9 in the middle: the next run asks only for what was not written."""
    rows = [row(n) for n in range(40)]
    write_rows(folder / "in.jsonl", *rows)
    seen: list[str] = []

    def script(request: dict[str, Any], n: int) -> Reply:
        seen.append(request["messages"][1]["content"])
        if n == 20:
            os.kill(child.pid, signal.SIGKILL)
        return oracle()(request, n)

    with OpenAIServer(script) as server:
        command = flames_judge(
            "score", "in.jsonl", *asking(server), "--no-cache", "--concurrency", 2
        )
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        written = len((folder / "in.flames" / "verdicts.jsonl").read_bytes().split(b"\n")) - 1
        assert written >= 18
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    log = rows_of(folder / "in.flames" / "verdicts.jsonl")
    assert sorted({int(line["record_id"]) for line in log}) == list(range(40))
    assert len(seen) <= 40 + 3
    assert f"{written} rows were done already" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_resumable_run_and_says_how(
    folder: Path, sent: signal.Signals
) -> None:
    """Status 130, what came back is in the log, and the same command goes on."""
    write_rows(folder / "in.jsonl", *(row(n) for n in range(12)))

    def script(request: dict[str, Any], n: int) -> Reply:
        if n == 6:
            os.kill(child.pid, sent)
        return Reply(hang=True) if n >= 6 else oracle()(request, n)

    with OpenAIServer(script) as server:
        command = flames_judge("score", "in.jsonl", *asking(server), "--concurrency", 1)
        child = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        _, err = child.communicate()
    assert child.returncode == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err
    assert len(rows_of(folder / "in.flames" / "verdicts.jsonl")) == 6
