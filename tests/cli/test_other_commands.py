"""rubric, doctor, cache, --version, completion, and what happens to mistakes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from judge.rubric import load_rubric
from tests.cases import RESPONSE, rubrics
from tests.cli.conftest import Flames, rows_of, write_rows
from tests.cli.test_score import asking, by_response, row
from tests.openai_server import FILTERS, OpenAIServer, Reply, ok, openai_error
from tests.oracle import oracle, sound_answer


def test_the_version_is_the_package_s(flames: Flames) -> None:
    """One line."""
    ran = flames("--version")
    assert (ran.status, ran.out) == (0, f"flames-judge {version('flames-judge')}\n")


def test_rubrics_are_listed_for_people_and_programs(flames: Flames, folder: Path) -> None:
    """Five of ours, and a sixth of one's own beside them."""
    told = flames("rubric", "list")
    assert told.status == 0
    lines = told.out.splitlines()
    assert all(line.startswith(name) for line, name in zip(lines, rubrics(), strict=True))
    assert flames("rubric", "new", "mine.yaml").status == 0
    facts = flames("rubric", "list", "--rubrics", ".", "--json").json
    assert [fact["dimension"] for fact in facts[:5]] == list(rubrics())
    assert facts[5]["dimension"] == load_rubric(folder / "mine.yaml").dimension
    assert facts[0]["fingerprint"] == rubrics()["Fairness"].fingerprint


@pytest.mark.parametrize("name", ["Legality", "legality", "合法"])
def test_a_rubric_is_shown_by_any_of_its_names(flames: Flames, name: str) -> None:
    """As annotators read it, or the whole prompt of a judge model."""
    ran, prompt = flames("rubric", "show", name), flames("rubric", "show", name, "--prompt")
    assert ran.status == prompt.status == 0
    for criterion in rubrics()["Legality"].criteria:
        assert f"`{criterion.id}`" in ran.out
    assert ran.out.splitlines()[4] in prompt.out
    assert '"evidence"' in prompt.out


def test_an_unknown_rubric_is_one_line_with_the_known_ones(flames: Flames) -> None:
    """Status 2."""
    ran = flames("rubric", "show", "无此")
    assert ran.status == 2
    assert "Legality" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_rubrics_are_checked_and_every_problem_listed(flames: Flames, folder: Path) -> None:
    """Ours are sound; a broken file has status 4 and a line number."""
    assert flames("rubric", "check").status == 0
    flames("rubric", "new", "mine.yaml")
    assert flames("rubric", "check", "mine.yaml").status == 0
    text = (folder / "mine.yaml").read_text(encoding="utf-8")
    (folder / "mine.yaml").write_text(text.replace("label: 3", "label: 7"), encoding="utf-8")
    ran = flames("rubric", "check", "mine.yaml")
    assert ran.status == 4
    assert "mine.yaml:" in ran.err


def test_a_rubric_from_elsewhere_can_not_steer_the_terminal(flames: Flames, folder: Path) -> None:
    """Its text is shown with escapes written out."""
    flames("rubric", "new", "mine.yaml")
    file = folder / "mine.yaml"
    text = file.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("question:"))
    file.write_text(text.replace(line, 'question: "\\e[2J清屏？\\u202e"'), encoding="utf-8")
    ran = flames("rubric", "show", load_rubric(file).dimension, "--rubrics", ".")
    assert ran.status == 0
    assert "清屏" in ran.out
    assert not {"\x1b", "\u202e"} & set(ran.out)


def test_a_new_rubric_overwrites_nothing(flames: Flames, folder: Path) -> None:
    """A file that is there stays, also where a folder is wanted."""
    (folder / "mine.yaml").write_text("mine")
    assert flames("rubric", "new", "mine.yaml").status == 2
    assert flames("rubric", "new", "mine.yaml/health.yaml").status == 2
    assert (folder / "mine.yaml").read_text() == "mine"


def test_a_new_rubric_makes_its_folder(flames: Flames, folder: Path) -> None:
    """As every other command does for what it writes."""
    assert flames("rubric", "new", "mine/health.yaml").status == 0
    assert flames("rubric", "check", "mine/health.yaml").status == 0


@pytest.mark.parametrize("group", [[], ["gold"], ["rubric"], ["cache"], ["guard"], ["keys"]])
def test_no_command_is_listed_with_half_a_sentence(flames: Flames, group: list[str]) -> None:
    """Eighty columns hold what each command does."""
    listed = flames(*group, "--help").out.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


def test_a_terminal_without_chinese_characters_gets_escapes(
    flames: Flames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no traceback: what its encoding lacks is written out."""
    seen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(seen, encoding="ascii"))
    assert flames("rubric", "list").status == 0
    assert b"\\u516c\\u5e73" in seen.getvalue()


def test_doctor_tells_versions_places_and_keys_but_no_key(
    flames: Flames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a bug report needs."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-verysecret")
    ran = flames("doctor")
    assert ran.status == 0
    assert f"flames-judge{' ' * 21}{version('flames-judge')}" in ran.out
    assert str(Path(__file__).parents[2] / "judge") in ran.out
    assert "verysecret" not in ran.out
    deepseek = next(line for line in ran.out.splitlines() if "DEEPSEEK_API_KEY" in line)
    assert deepseek.split()[-1] == "set"
    assert "not set" not in deepseek


def test_doctor_judges_one_example_with_a_model(flames: Flames) -> None:
    """The probe takes the path of `score`; a hostile reason is shown safely."""
    rubric = next(iter(rubrics().values()))
    label = rubric.examples[0].label
    good = sound_answer(rubric, label)
    with OpenAIServer(ok(good.replace('"reason": "', '"reason": "\\u001b[2J理由：'))) as server:
        ran = flames("doctor", "--model", "openai/m", "--api-base", server.base_url)
        assert len(server.requests) == 1
    assert ran.status == 0
    assert f"label {label}" in ran.out
    assert "\x1b" not in ran.out


@pytest.mark.parametrize(
    ("reply", "status", "told"),
    [
        (FILTERS["deepseek"], 4, "provider_filter_input"),
        (ok("不是 JSON"), 4, "invalid_output"),
        (openai_error(401, "no"), 2, "the key was refused"),
    ],
)
def test_doctor_says_what_is_wrong_with_a_model(
    flames: Flames, reply: Reply, status: int, told: str
) -> None:
    """4 where it answers without a verdict, 2 where it can't be used."""
    with OpenAIServer(reply) as server:
        ran = flames("doctor", "--model", "openai/m", "--api-base", server.base_url)
    assert ran.status == status
    assert told in ran.out + ran.err


def test_doctor_without_a_model_s_name_is_one_line(flames: Flames) -> None:
    """An empty variable in a script."""
    ran = flames("doctor", "--model", "")
    assert ran.status == 2
    assert "needs a name" in ran.err


def test_the_cache_is_counted_and_cleared(flames: Flames, folder: Path) -> None:
    """After a run it holds its answers; after clearing, none; --yes asks nobody."""
    write_rows(folder / "in.jsonl", *(row(n) for n in range(3)))
    with OpenAIServer(oracle()) as server:
        flames("score", "in.jsonl", *asking(server), "--cache-dir", ".")
    info = ("cache", "info", "--cache-dir", ".")
    assert flames(*info, "--json").json["answers"] == 3
    assert "3 answers" in flames(*info).out
    for answer in (b"n\n", b""):
        kept = flames("cache", "clear", "--cache-dir", ".", stdin=answer)
        assert kept.status == 2
        assert "nothing was deleted" in kept.err
    assert flames(*info, "--json").json["answers"] == 3
    assert "deleted 3" in flames("cache", "clear", "--cache-dir", ".", "--yes").out
    assert flames(*info, "--json").json["answers"] == 0


def test_a_cache_in_a_shared_folder_leaves_its_rights_alone(flames: Flames, folder: Path) -> None:
    """Only the cache's own files are closed to others."""
    shared = folder / "shared"
    shared.mkdir(mode=0o755)
    assert flames("cache", "info", "--cache-dir", shared).status == 0
    assert shared.stat().st_mode & 0o777 == 0o755
    assert (shared / "cache.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_the_command(shell: str) -> None:
    """The script that `source <(...)` takes."""
    program = Path(sys.executable).with_name("flames-judge")
    environment = {**os.environ, "_FLAMES_JUDGE_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert "flames-judge" in done.stdout
    assert "_FLAMES_JUDGE_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    "given",
    [
        ("nonsense",),
        ("score", "in.jsonl", "--nonsense"),
        ("score",),
        ("respond",),
        ("score", "in.jsonl", "--samples", "0"),
        ("score", "in.jsonl", "--confidence", "2"),
        ("score", "in.jsonl", "--budget", "nan"),
        ("score", "in.jsonl", "--budget", "inf"),
        ("rubric", "nonsense"),
    ],
)
def test_an_unknown_command_or_flag_is_status_2(
    flames: Flames, folder: Path, given: tuple[str, ...]
) -> None:
    """Before anything is read or written."""
    write_rows(folder / "in.jsonl", row(1))
    assert flames(*given).status == 2
    assert not (folder / "in.flames").exists()


def gbk(folder: Path) -> Path:
    text = "".join(
        f'{{"dimension": "合法", "prompt": "问题{n}", "response": "不能"}}\n' for n in range(9)
    )
    (folder / "g.jsonl").write_bytes(text.encode("gbk"))
    return folder / "g.jsonl"


def empty(folder: Path) -> Path:
    (folder / "e.jsonl").touch()
    return folder / "e.jsonl"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "p.jsonl")
    return folder / "p.jsonl"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder / "none.jsonl", ("none.jsonl", "does not exist")),
        (lambda folder: folder, ("is a folder",)),
        (empty, ("e.jsonl",)),
        (gbk, ("g.jsonl", "iconv", "GB18030")),
        (pipe, ("p.jsonl", "is a pipe", "--out DIR")),
    ],
)
def test_a_file_that_can_not_be_read_is_one_line_with_a_mend(
    flames: Flames, folder: Path, make: Any, told: tuple[str, ...]
) -> None:
    """And nothing is written."""
    ran = flames("score", make(folder))
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1
    for word in told:
        assert word.lower() in ran.err.lower()
    assert not list(folder.glob("*.flames"))


@pytest.mark.parametrize(
    "change", [lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\n", b"\r\n")]
)
def test_a_bom_or_windows_line_ends_change_nothing(
    flames: Flames, folder: Path, change: Any
) -> None:
    """The rows are those of the plain file."""
    file = write_rows(folder / "in.jsonl", *(row(n) for n in range(3)))
    file.write_bytes(change(file.read_bytes()))
    with OpenAIServer(oracle()) as server:
        ran = flames("score", file, *asking(server), "--json")
    assert ran.status == 0
    assert ran.json["models"]["bot"]["dimensions"]["Legality"]["judged"] == 3
    assert {line["response"] for line in rows_of(folder / "in.flames/verdicts.jsonl")} == {RESPONSE}


def test_an_out_that_can_not_be_written_is_one_line(flames: Flames, folder: Path) -> None:
    """A file stands where the folder should be."""
    write_rows(folder / "in.jsonl", row(1))
    (folder / "taken").write_text("mine")
    ran = flames("score", "in.jsonl", "--out", "taken")
    assert ran.status == 2
    assert "can't be written" in ran.err
    assert (folder / "taken").read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--judge", "nonsense"), "names no judge"),
        (("--judge", "panel:openai/a"), "two judges"),
        (("--judge", "cascade:embedded"), "two judges"),
        (("--judge", "llm:"), "needs a"),
        (("--model", ""), "needs a"),
        (("--model", "hosted_vllm/m", "--fallback", ""), "needs a"),
        (("--model", "openai/m", "--judge", "embedded"), "twice"),
        (("--model", "nowhere/x"), "PROVIDER/MODEL"),
        (("--model", "deepseek/deepseek-chat"), "DEEPSEEK_API_KEY"),
        (("--model", "openai/m", "--api-base", "127.0.0.1:9"), "http address"),
        (("--model", "openai/m", "--price", "free"), "--price"),
        (("--model", "openai/m", "--band", "0.8,0.2"), "--band"),
        (("--dimension", "无此"), "无此"),
        (("--map", "none.yaml"), "none.yaml"),
        (("--rubrics", "nowhere"), "nowhere"),
    ],
)
def test_a_mistake_in_a_flag_is_named(
    flames: Flames, folder: Path, given: tuple[str, ...], told: str
) -> None:
    """Status 2, and the last line says what to change."""
    write_rows(folder / "in.jsonl", row(1))
    ran = flames("score", "in.jsonl", *given)
    assert ran.status == 2
    assert told in ran.err.splitlines()[-1]


def test_two_files_of_one_beginning_have_two_folders(flames: Flames, folder: Path) -> None:
    """gpt-4.1.jsonl and gpt-4.5.jsonl: the second must not take the first one's folder."""
    for name in ("gpt-4.1", "gpt-4.5"):
        write_rows(folder / f"{name}.jsonl", row(1))
        with OpenAIServer(oracle()) as server:
            assert flames("score", f"{name}.jsonl", *asking(server)).status == 0
    assert {path.name for path in folder.glob("*.flames")} == {"gpt-4.1.flames", "gpt-4.5.flames"}


def test_a_panel_and_a_cascade_are_scored_end_to_end(flames: Flames, folder: Path) -> None:
    """From the spec on the command line to the votes in the log."""
    rows = [row(n, response="步骤如下" if n == 2 else RESPONSE) for n in range(4)]
    write_rows(folder / "in.jsonl", *rows)

    def script(request: dict[str, Any], n: int) -> Reply:
        strict = request["model"] == "c"
        return oracle((lambda _: 1) if strict else by_response)(request, n)

    with OpenAIServer(script) as server:
        base = ("--api-base", server.base_url, "--json", "--price", "1,1")
        panel = ("--judge", "panel:openai/a+openai/b+openai/c")
        ran = flames("score", "in.jsonl", *panel, *base, "--out", "p")
        assert len(server.requests) == 12
        assert ran.json["models"]["bot"]["dimensions"]["Legality"]["counts"]["3"] == 3
        log = rows_of(folder / "p" / "verdicts.jsonl")
        assert all(len(line["votes"]) == 3 for line in log)
        assert sum(line["cost_usd"] for line in log) == pytest.approx(12 * 0.0011)
        assert ran.json["cost"]["usd"] == pytest.approx(12 * 0.0011)
        cascade = ("--judge", "cascade:openai/a>openai/c", "--no-cache")
        ran = flames("score", "in.jsonl", *cascade, *base, "--out", "c")
        assert len(server.requests) == 20  # without probabilities every row is in doubt
    assert ran.json["models"]["bot"]["dimensions"]["Legality"]["counts"]["1"] == 4
    assert ran.json["judge"]["name"] == "cascade:llm:openai/a>llm:openai/c"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_under_standard_output_is_one_line() -> None:
    """`flames-judge ... > report.txt` on a full disk says so, without a traceback."""
    program = Path(sys.executable).with_name("flames-judge")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [program, "rubric", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 2
    assert done.stderr == "flames-judge: can't go on: No space left on device\n"
