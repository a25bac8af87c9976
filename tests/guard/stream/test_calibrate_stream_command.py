"""`guard calibrate-stream`: from a labelled run to cuts that the guard takes for streams."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from guard.loading import Given, load_guard
from guard.policy import StreamPolicy
from guard.stream.calibration import looks_at
from judge.errors import InputError
from tests import warm
from tests.cli.conftest import Flames, Ran, write_rows
from tests.guard.made import WordScanner
from tests.openai_server import OpenAIServer, Reply
from tests.oracle import oracle

HARM = "害"
PROMISE = {"miss_rate": 0.2, "confidence": 0.9}
RULE = {"dimension": "Legality", "action": "block", "promise": PROMISE}
ROWS: Sequence[dict[str, Any]] = [
    {"id": f"r{n}", "prompt": f"问{n}", "dimension": "Legality", "model": "m",
     "response": f"{'好' * n}{HARM * (n % 2)}{'好' * (130 - n)}"}
    for n in range(40)
]  # fmt: skip
LABELS: Sequence[dict[str, Any]] = [
    {"record_id": row["id"], "model": "m", "dimension": "Legality", "annotator": "甲",
     "label": 1 if HARM in row["response"] else 3}
    for row in ROWS
]  # fmt: skip


class Bench:
    """A judge on loopback, a run of `score`, its gold and a policy."""

    def __init__(self, flames: Flames, folder: Path, server: OpenAIServer) -> None:
        self.flames, self.folder, self.server = flames, folder, server
        self.policy, self.made = folder / "p.yaml", folder / "stream.json"

    def calibrate(self, rows: Sequence[Any] = ROWS, gold: Sequence[Any] = LABELS) -> None:
        """Score the rows, and hold the judge against the labels."""
        base = ("--api-base", self.server.base_url, "--no-cache")
        file, labels = self.folder / "r.jsonl", self.folder / "g.jsonl"
        write_rows(file, *rows)
        write_rows(labels, *gold)
        self.flames("score", file, "-o", self.folder / "run", "--model", "openai/m", *base)
        promise = ("--promise", "miss_rate=0.2,confidence=0.9")
        made = ("-o", self.folder / "c.json", *promise)
        assert self.flames("calibrate", self.folder / "run", "--gold", labels, *made).status == 0

    def plan(self, *rules: dict[str, Any], **more: Any) -> None:
        """Write the policy."""
        plan = {"version": 1, "judge": "llm:openai/m", "llm": {"api_base": self.server.base_url},
                "calibration": "c.json", "rules": list(rules) or [RULE],
                "deadline_s": 60, "hazard": "known", **more}  # fmt: skip
        self.policy.write_text(yaml.safe_dump(plan, allow_unicode=True), encoding="utf-8")

    def run(self, *flags: str) -> Ran:
        """The command."""
        self.server.requests.clear()
        return self.flames(*self.command, *flags)

    @property
    def command(self) -> Sequence[object]:
        """Its arguments."""
        told = ("--gold", self.folder / "g.jsonl", "--policy", self.policy, "-o", self.made)
        return ("guard", "calibrate-stream", self.folder / "run", *told)

    def looks(self) -> list[Any]:
        """Of each cut in the file: null where it is for one look."""
        thresholds = json.loads(self.made.read_text())["dimensions"]["Legality"]["thresholds"]
        return [one["looks"] and one["looks"]["window"] for one in thresholds]


@pytest.fixture
def bench(flames: Flames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with OpenAIServer(oracle(lambda said: 1 if HARM in said else 3)) as server:
        yield Bench(flames, tmp_path, server)


def test_the_command_adds_cuts_that_the_guard_takes_for_streams(bench: Bench) -> None:
    """score -> calibrate -> calibrate-stream -> a policy that streams by the new cut."""
    more = {**ROWS[1], "id": "r40", "prompt": "问40"}  # on which the annotators differ
    differ = [{**LABELS[1], "record_id": "r40", "annotator": who, "label": label}
              for who, label in (("甲", 1), ("乙", 3))]  # fmt: skip
    bench.calibrate([*ROWS, more], [*LABELS, *differ])
    bench.plan()
    done = bench.run()
    assert done.status == 0
    assert "over looks of 80 characters" in done.out
    texts, stream = [row["response"] for row in ROWS], StreamPolicy()
    looks = sum(len({*looks_at(said, stream)} - {said}) for said in texts)
    # each once; no whole answer, none without a label
    assert len(bench.server.requests) == looks
    bench.plan(calibration="stream.json")
    [bound] = load_guard(bench.policy, Given(scanner=WordScanner())).rules
    thresholds = json.loads(bench.made.read_text())["dimensions"]["Legality"]["thresholds"]
    assert [one["looks"] for one in thresholds] == [None, {"window": 80, "overlap": 40}]
    assert bound.streamed is not None
    assert bound.for_stream().cut == thresholds[1]["cut"]


def told(request: dict[str, Any]) -> str:
    """What is asked about: all that is said to the judge."""
    return json.dumps(request["messages"])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_who_goes_on_after_an_interrupt_pays_for_no_look_twice(
    bench: Bench, end: signal.Signals
) -> None:
    """What was answered is in the cache, and the command says so."""
    bench.calibrate()
    bench.plan(llm={"api_base": bench.server.base_url, "concurrency": 4})
    answer, most = bench.server.script, 20
    asked = threading.Event()

    def script(request: dict[str, Any], number: int) -> Reply:
        if number < most:
            return answer(request, number)
        if number == most + 3:  # all of the four at once: what was answered before is done with
            asked.set()
        return Reply(hang=True)

    bench.server.script = script
    bench.server.requests.clear()
    code = "import guard.cli; guard.cli.main()"
    process = subprocess.Popen(warm.python(code, *bench.command), stderr=subprocess.PIPE, text=True)
    assert asked.wait(60)
    process.send_signal(end)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: what is done is safe in" in said
    assert not bench.made.exists()
    first = [told(one) for one in bench.server.requests[:most]]
    bench.server.script = answer
    assert bench.run().status == 0
    second = [told(one) for one in bench.server.requests]
    looks = sum(len({*looks_at(row["response"], StreamPolicy())}) - 1 for row in ROWS)
    assert len({*first} & {*second}) == 0
    assert len(first) + len(second) == looks


def test_looks_that_failed_are_asked_for_again_and_no_others(bench: Bench) -> None:
    """A server that is away midway; `--no-cache` keeps and takes nothing."""
    bench.calibrate()
    bench.plan()
    answer = bench.server.script
    bench.server.script = lambda request, n: answer(request, n) if n < 20 else Reply(status=503)
    assert "looks got no verdict" in bench.run().err
    bench.server.script = answer
    assert "looks got no verdict" not in bench.run("--no-cache").err
    whole = len(bench.server.requests)
    bench.run()
    assert len(bench.server.requests) == whole - 20
    bench.run()
    assert bench.server.requests == []


def test_gold_that_names_no_model_is_found_as_calibrate_finds_it(bench: Bench) -> None:
    """A table of people's own, about the run's only model."""
    bench.calibrate(gold=[{**one, "model": None} for one in LABELS])
    bench.plan()
    assert (bench.run().status, bench.looks()) == (0, [None, 80])


def test_gold_of_another_run_is_refused_before_the_judge_is_asked(bench: Bench) -> None:
    """Looks cost money."""
    bench.calibrate()
    bench.plan()
    write_rows(bench.folder / "g.jsonl", *LABELS, {**LABELS[0], "record_id": "nobody"})
    done = bench.run()
    assert (done.status, bench.server.requests) == (2, [])
    assert "g.jsonl:41" in done.err


def test_a_policy_that_no_guard_starts_with_is_refused_before_the_judge_is_asked(
    bench: Bench,
) -> None:
    """A dimension that the calibration has not, or a promise that it can't keep: by its line."""
    bench.calibrate()
    for rule in ({**RULE, "dimension": "Fairness"},
                 {**RULE, "promise": {"miss_rate": 0.01, "confidence": 0.9}}):  # fmt: skip
        bench.plan(RULE | {"action": "flag"}, rule)
        with pytest.raises(InputError) as refused:
            load_guard(bench.policy, Given(scanner=WordScanner()))
        done = bench.run()
        assert (done.status, bench.server.requests) == (2, [])
        assert str(refused.value) in done.err


def test_cuts_of_these_windows_alone_are_told_once_and_others_are_kept(bench: Bench) -> None:
    """Under their own length; also where two rules make one promise."""
    bench.calibrate()
    bench.plan(RULE, RULE | {"action": "flag"})
    assert bench.run().out.count("over looks of 80 characters") == 1
    bench.plan(calibration="stream.json", stream={"window": 40, "overlap": 20})
    assert bench.run().out.count("over looks of 40 characters") == 1
    assert bench.looks() == [None, 80, 40]


def test_a_place_that_can_t_be_written_is_told_before_the_judge_is_asked(bench: Bench) -> None:
    """And nothing is left there by the trial."""
    bench.calibrate()
    bench.plan()
    for place in (bench.folder / "run", bench.policy / "new.json"):
        bench.made = place
        done = bench.run()
        assert (done.status, bench.server.requests) == (2, [])
        assert f"{place}: can't be written" in done.err
    bench.made = bench.folder / "new" / "stream.json"
    assert (bench.run().status, bench.looks()) == (0, [None, 80])
