"""`flames-judge respond` as a user runs it, with a model under test on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cases import rubrics
from tests.cli.conftest import Flames, rows_of, write_rows
from tests.openai_server import FILTERS, OpenAIServer, Reply, ok, openai_error
from tests.oracle import oracle
from tests.warm import flames_judge


def echo(request: dict[str, Any], _: int) -> Reply:
    return ok(f"答：{request['messages'][-1]['content']}")


def asking(server: OpenAIServer, out: str = "a.jsonl") -> tuple[str, ...]:
    return ("respond", "--model", "openai/bot", "--api-base", server.base_url, "-o", out)


@pytest.fixture
def prompts(folder: Path) -> Path:
    """Six prompts of one's own."""
    rows = [{"id": f"p{n}", "dimension": "Legality", "prompt": f"问题{n}"} for n in range(6)]
    return write_rows(folder / "p.jsonl", *rows)


def test_the_shipped_prompts_are_asked_and_say_what_they_probe(
    flames: Flames, folder: Path
) -> None:
    """Each answer has id, model, dimension, subcomponent, prompt, and how it was asked for."""
    with OpenAIServer(echo) as server:
        ran = flames(*asking(server), "--limit", "5", "--temperature", "0.7", "--seed", "4")
        assert len(server.requests) == 5
        assert (server.requests[0]["temperature"], server.requests[0]["seed"]) == (0.7, 4)
    assert ran.status == 0
    assert "5 answers written" in ran.out
    rows = rows_of(folder / "a.jsonl")
    assert {row["response"] for row in rows} == {f"答：{row['prompt']}" for row in rows}
    assert len({row["id"] for row in rows}) == 5
    for row in rows:
        assert row["model"] == "openai/bot"
        assert row["dimension"] in rubrics()
        assert rubrics()[row["dimension"]].subcomponent(row["subcomponent"])
        assert row["generation"]["temperature"] == 0.7
        assert row["finish_reason"] == "stop"


def test_per_subcomponent_takes_the_first_prompts_of_each(flames: Flames, folder: Path) -> None:
    """A small run that still covers the five dimensions and twelve subcomponents."""
    with OpenAIServer(echo) as server:
        assert flames(*asking(server), "--per-subcomponent", "1").status == 0
    parts = [(row["dimension"], row["subcomponent"]) for row in rows_of(folder / "a.jsonl")]
    known = {(r.dimension, part.name) for r in rubrics().values() for part in r.subcomponents}
    assert set(parts) == known
    assert len(parts) == len(known) == 12


def test_one_s_own_prompts_keep_their_ids_and_earlier_turns(flames: Flames, folder: Path) -> None:
    """From a CSV, or as messages whose last user turn is the prompt."""
    (folder / "p.csv").write_text("id,dimension,prompt\nx,合法,第一问\n", encoding="utf-8")
    turns = [("user", "你好"), ("assistant", "你好！"), ("user", "第二问")]
    messages = [{"role": role, "content": text} for role, text in turns]
    write_rows(folder / "p.jsonl", {"id": "y", "dimension": "Safety", "messages": messages})
    with OpenAIServer(echo) as server:
        files = ("--prompts", "p.csv", "--prompts", "p.jsonl")
        assert flames(*asking(server), *files, "--name", "我的").status == 0
        assert sorted(len(request["messages"]) for request in server.requests) == [1, 3]
    one, two = sorted(rows_of(folder / "a.jsonl"), key=lambda row: row["id"])
    assert (one["id"], one["dimension"], one["response"]) == ("x", "Legality", "答：第一问")
    assert (two["id"], two["model"], two["response"]) == ("y", "我的", "答：第二问")
    assert [m["content"] for m in two["messages"]] == ["你好", "你好！", "第二问", "答：第二问"]


def test_refusals_and_cut_and_empty_answers_are_answers(flames: Flames, prompts: Path) -> None:
    """Only the judge may say what they are worth: nothing is retried, nothing is left out."""
    replies = [
        ok("抱歉，我不能帮助你。"),
        ok("写到一半", "length"),
        ok(None, message={"refusal": "No."}),
        ok(""),
        ok("<think>想想</think>好"),
    ]
    with OpenAIServer(replies) as server:
        ran = flames(*asking(server), "--prompts", prompts, "--limit", "5", "--concurrency", "1")
        assert len(server.requests) == 5
    assert ran.status == 0
    rows = rows_of(prompts.parent / "a.jsonl")
    said = ["抱歉，我不能帮助你。", "写到一半", "No.", "", "好"]  # litellm sets thinking aside
    assert [row["response"] for row in rows] == said
    assert rows[1]["finish_reason"] == "length"


def test_a_filtered_prompt_becomes_a_row_and_is_not_asked_again(
    flames: Flames, prompts: Path
) -> None:
    """With a null response and the provider's code; that is a result, so the status is 0."""

    def script(request: dict[str, Any], n: int) -> Reply:
        stopped = request["messages"][-1]["content"] in {"问题1", "问题4"}
        return FILTERS["ark_input"] if stopped else echo(request, n)

    with OpenAIServer(script) as server:
        ran = flames(*asking(server), "--prompts", prompts)
        assert flames(*asking(server), "--prompts", prompts).status == 0
        assert len(server.requests) == 6
    assert ran.status == 0
    assert "2 prompts were stopped" in ran.err
    stopped = [row for row in rows_of(prompts.parent / "a.jsonl") if row["response"] is None]
    assert {row["id"] for row in stopped} == {"p1", "p4"}
    assert stopped[0]["filtered"] == {
        "kind": "provider_filter_input",
        "status": 400,
        "code": "InputTextSensitiveContentDetected",
    }


def test_what_failed_is_asked_again_by_the_same_command(flames: Flames, prompts: Path) -> None:
    """A failure is no row; the status says that something is missing."""

    def flaky(request: dict[str, Any], n: int) -> Reply:
        down = request["messages"][-1]["content"] == "问题2"
        return openai_error(503, "busy") if down else echo(request, n)

    with OpenAIServer(flaky) as server:
        ran = flames(*asking(server), "--prompts", prompts, "--retries", "0")
    assert ran.status == 3
    assert "1 failed: unavailable" in ran.err
    with OpenAIServer(echo) as server:
        again = flames(*asking(server), "--prompts", prompts)
        assert len(server.requests) == 1
    assert again.status == 0
    assert "5 were there already" in again.err
    assert len(rows_of(prompts.parent / "a.jsonl")) == 6


def test_answers_of_other_settings_are_not_mixed_into_one_file(
    flames: Flames, prompts: Path
) -> None:
    """Another temperature or system prompt needs another file or name."""
    with OpenAIServer(echo) as server:
        base = (*asking(server), "--prompts", prompts)
        assert flames(*base).status == 0
        for changed in (("--temperature", "1"), ("--system", "你是助手")):
            ran = flames(*base, *changed)
            assert ran.status == 2
            assert "other settings" in ran.err
        assert flames(*base, "--temperature", "1", "--name", "bot@1").status == 0
        assert len(server.requests) == 12
    models = [row["model"] for row in rows_of(prompts.parent / "a.jsonl")]
    assert models == ["openai/bot"] * 6 + ["bot@1"] * 6


def test_a_changed_prompt_under_an_old_id_is_told_and_not_taken_for_done(
    flames: Flames, prompts: Path
) -> None:
    """Its row would hold the answer to another question."""
    with OpenAIServer(echo) as server:
        assert flames(*asking(server), "--prompts", prompts).status == 0
        rows = rows_of(prompts)
        write_rows(prompts, *rows[:5], {**rows[5], "prompt": "新的问题"})
        ran = flames(*asking(server), "--prompts", prompts)
        assert len(server.requests) == 6
    assert ran.status == 3
    assert "p.jsonl:6" in ran.err
    assert "another prompt" in ran.err


def test_the_system_prompt_is_sent_and_recorded(flames: Flames, prompts: Path) -> None:
    """From the command line or a file, not both."""
    (prompts.parent / "s.txt").write_text("你是一个助手。\n", encoding="utf-8")
    with OpenAIServer(echo) as server:
        base = (*asking(server), "--prompts", prompts, "--limit", "1")
        assert flames(*base, "--system-file", "s.txt").status == 0
        assert server.requests[0]["messages"][0] == {"role": "system", "content": "你是一个助手。"}
        both = flames(*base, "--system-file", "s.txt", "--system", "x")
        missing = flames(*base, "--system-file", "none.txt")
    (row,) = rows_of(prompts.parent / "a.jsonl")
    assert row["generation"]["system"] == "你是一个助手。"
    assert len(row["generation"]["system_sha256"]) == 64
    assert both.status == missing.status == 2


def test_the_budget_stops_the_answers_cleanly(flames: Flames, prompts: Path) -> None:
    """What was answered is kept, and a larger budget pays for the rest alone."""

    def dear(request: dict[str, Any], _: int) -> Reply:
        return ok("好", usage={"prompt_tokens": 1_000_000, "completion_tokens": 0})

    with OpenAIServer(dear) as server:
        base = (*asking(server), "--prompts", prompts, "--price", "1,0", "--concurrency", "1")
        ran = flames(*base, "--budget", "2.5")
        assert (ran.status, len(server.requests)) == (3, 2)
        assert "stopped by the budget" in ran.err
        assert flames(*base, "--budget", "100").status == 0
        assert len(server.requests) == 6


@pytest.mark.parametrize("content", ['{"id": "1", "prompt": "问"}', "notes", "[1]\n", "{}\n"])
def test_a_file_that_holds_something_else_is_left_as_it_is(
    flames: Flames, prompts: Path, content: str
) -> None:
    """A mistaken -o costs nothing: not even a last line without a line break."""
    other = prompts.parent / "other.jsonl"
    other.write_text(content, encoding="utf-8")
    with OpenAIServer(echo) as server:
        ran = flames(*asking(server, "other.jsonl"), "--prompts", prompts)
        assert not server.requests
    assert ran.status == 2
    assert "is not a file of answers" in ran.err
    assert other.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("torn", [0.3, 0.9])
def test_a_torn_last_answer_is_asked_for_again(flames: Flames, prompts: Path, torn: float) -> None:
    """Whether it is one of many or the only one."""
    file = prompts.parent / "a.jsonl"
    with OpenAIServer(echo) as server:
        for limit in ("1", "3"):
            file.unlink(missing_ok=True)
            base = (*asking(server), "--prompts", prompts, "--limit", limit)
            flames(*base)
            data = file.read_bytes()
            last = data.rindex(b"\n", 0, -1) + 1 if limit == "3" else 0
            file.write_bytes(data[: last + int((len(data) - last) * torn)])
            ran = flames(*base)
            assert ran.status == 0
            assert "torn last line" in ran.err
            assert len(rows_of(file)) == int(limit)


def test_half_a_character_in_an_answer_is_written_down(flames: Flames, prompts: Path) -> None:
    """An emoji that was cut in two can't be stored: it is replaced, and the run goes on."""
    body = json.dumps(ok("好X").body).replace("X", "\\ud83d")
    with OpenAIServer(Reply(body)) as server:
        assert flames(*asking(server), "--prompts", prompts, "--limit", "1").status == 0
    assert rows_of(prompts.parent / "a.jsonl")[0]["response"] == "好\ufffd"


def test_answers_go_straight_into_score(flames: Flames, folder: Path) -> None:
    """What respond writes, score reads: models, dimensions, subcomponents, filtered rows."""

    def script(request: dict[str, Any], n: int) -> Reply:
        return FILTERS["kimi"] if n == 3 else echo(request, n)

    with OpenAIServer(script) as server:
        more = ("--per-subcomponent", "1", "--name", "bot", "--concurrency", "1")
        assert flames(*asking(server), *more).status == 0
    with OpenAIServer(oracle()) as server:
        judge = ("--model", "openai/judge", "--api-base", server.base_url)
        ran = flames("score", "a.jsonl", *judge, "--json")
        assert len(server.requests) == 11
    assert ran.status == 0
    dimensions = ran.json["models"]["bot"]["dimensions"]
    assert sum(d["judged"] for d in dimensions.values()) == 11
    assert sum(len(d["subcomponents"]) for d in dimensions.values()) == 12
    assert "1 rows hold no answer" in ran.err
    assert "done already" not in ran.err


def test_mistakes_are_one_line_and_leave_no_file(flames: Flames, prompts: Path) -> None:
    """No name, no key, no such server, no such prompts, no address."""
    out = ("-o", "none.jsonl", "--prompts", prompts)
    wrong: tuple[tuple[tuple[object, ...], str], ...] = (
        (("--model", "", *out), "needs a name"),
        (("--model", "nowhere/x", *out), "PROVIDER/MODEL"),
        (("--model", "deepseek/deepseek-chat", *out), "DEEPSEEK_API_KEY"),
        (("--model", "openai/m", "--api-base", "127.0.0.1:9", *out), "http address"),
        (("--model", "openai/m", "--api-base", "http://a:b@h/v1", *out), "http address"),
        (("--model", "openai/m", "-o", "none.jsonl", "--prompts", "missing.jsonl"), "exist"),
        (("--model", "openai/m", "--timeout", "inf", *out), "write a number"),
    )
    for given, told in wrong:
        ran = flames("respond", *given)
        assert ran.status == 2, ran.err
        assert told in ran.err
        assert "a:b" not in ran.err
    assert not (prompts.parent / "none.jsonl").exists()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_or_interrupted_run_goes_on_where_it_was(
    folder: Path, sent: signal.Signals
) -> None:
    """Nothing that was written is asked again, and Ctrl-C says how to go on."""
    write_rows(folder / "p.jsonl", *({"id": str(n), "prompt": f"问题{n}"} for n in range(12)))
    asked: list[str] = []

    def script(request: dict[str, Any], n: int) -> Reply:
        asked.append(request["messages"][-1]["content"])
        if n == 6:
            os.kill(child.pid, sent)
        return Reply(hang=True) if n == 6 else echo(request, n)

    with OpenAIServer(script) as server:
        command = flames_judge(*asking(server), "--prompts", "p.jsonl", "--concurrency", 1)
        child = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        _, err = child.communicate()
        assert len(rows_of(folder / "a.jsonl")) == 6
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(asked) == sorted([*(f"问题{n}" for n in range(12)), "问题6"])
    assert len(rows_of(folder / "a.jsonl")) == 12
    if sent is signal.SIGINT:
        assert child.returncode == 130
        assert "the same command goes on" in err
        assert "Traceback" not in err
        assert "Warning" not in err


def test_a_device_as_the_file_of_answers_is_refused(
    flames: Flames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't be read back, so a rerun would pay again."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    ran = flames("respond", "--model", "openai/m", "-o", "/dev/null", "--limit", "1")
    assert ran.status == 2
    assert "/dev/null: is a device or a pipe" in ran.err
