"""What docs/guard-reference.md and its twin list is all that there is: flags, parameters, codes."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
import typer.main
import yaml
from prometheus_client.parser import text_string_to_metric_families

from guard.client import FlamesClient
from guard.event import GuardEvent, MissedEvent, RuleEvent
from guard.metrics import Metrics
from guard.texts.json_replies import PROMPTS, REPLIES
from judge.cli.app import app
from tests.cli.conftest import Flames
from tests.guard.pages import LANGUAGES, ROOT, blocks, defaults, named, table, text_of
from tests.test_readme import commands_of

GROUPS = ("guard", "keys", "gold", "rubric", "cache")
PLAIN = (str, int, float, tuple, type(None))
SHARED = "`guard.wrap`, `guard.asgi.GuardMiddleware`, `guard.langchain.FlamesGuardMiddleware`"
pytestmark = pytest.mark.parametrize("language", LANGUAGES)


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def options(*command: str) -> dict[str, Any]:
    """A command's flags, each with its default as a document tells it: "" for none."""
    found: Any = typer.main.get_command(app)
    for name in command:
        found = found.commands[name]
    flags = [one for one in found.params if one.opts[0].startswith("-") and one.name != "help"]
    return {
        max(one.opts, key=len): "" if one.default in (None, False) or one.required else one.default
        for one in flags
    }


def test_every_command_and_flag_is_one(flames: Flames, language: str) -> None:
    """A renamed flag or command can't leave the document behind."""
    text = text_of(language)
    used = [line for block in blocks(text, "sh") for line in commands_of(block)]
    used += [f"{one} " for one in named(text) if one.startswith("flames-judge ")]
    used = [line for line in used if line.startswith("flames-judge ")]
    assert len(used) > 15
    for line in used:
        words = line.split()[1:]
        told = flames(*words[: 2 if words[0] in GROUPS else 1], "--help")
        assert told.status == 0, line
        for flag in re.findall(r"(?<!\S)--?[a-z][a-z-]*", line):
            assert re.search(rf"(?<!\S)(-., )?{flag}\b", told.out), (line, flag)


def test_a_flag_that_stands_alone_is_one_of_these_commands(flames: Flames, language: str) -> None:
    """Such as `--retain-days`."""
    of = (["serve"], ["score"], *(one.split() for one in listed(language)))
    known = " ".join(flames(*command, "--help").out for command in of)
    flags = {one.split()[0] for one in named(text_of(language)) if one.startswith("--")}
    assert len(flags) > 40
    assert {flag for flag in flags if not re.search(rf"(?<!\S)(-., )?{flag}\b", known)} == set()


def listed(language: str) -> dict[str, list[str]]:
    """The flags of each command of the table."""
    rows = table(language, "`guard check`")
    return {codes(row[0])[0]: [one for one in codes(row[1]) if one[0] == "-"] for row in rows}


def test_every_command_is_listed_with_all_of_its_flags(language: str) -> None:
    """Those of `guard` and of `keys`; no flag has to be looked for in --help."""
    root: Any = typer.main.get_command(app)
    known = {
        f"{group} {name}" for group in ("guard", "keys") for name in root.commands[group].commands
    }
    assert set(listed(language)) == known
    for command, flags in listed(language).items():
        assert sorted(flags) == sorted(options(*command.split())), command


def test_every_flag_of_serve_is_listed_with_its_default(language: str) -> None:
    """Also where somebody changes one."""
    told = {codes(row[0])[0]: row[1] for row in table(language, "`--upstream`")}
    known = options("serve")
    assert set(told) == set(known)
    for flag, default in known.items():
        assert told[flag].strip("`") == str(default), flag


def parameters(of: str) -> dict[str, Any]:
    """What a caller may give, with the defaults."""
    module, _, name = of.rpartition(".")
    found = inspect.signature(getattr(import_module(module), name)).parameters.values()
    named_ones = [one for one in found if one.kind is not inspect.Parameter.VAR_KEYWORD]
    return {one.name: one.default for one in named_ones if one.name != "app"}


def test_every_parameter_of_an_edge_is_listed_with_its_default(language: str) -> None:
    """Read from the signatures; a default that is no plain value stands for none."""
    told: dict[str, dict[str, str]] = {}
    for of, names, cell, _ in table(language, SHARED):
        for one in codes(of):
            given = told.setdefault(one, {})
            given |= dict(zip(codes(names), defaults(cell, len(codes(names))), strict=True))
    assert len(told) == 9
    for one, given in told.items():
        known = parameters(one)
        assert set(given) == set(known), one
        for name, default in known.items():
            if default is inspect.Parameter.empty or not isinstance(default, PLAIN):
                assert given[name] == "", (one, name)
            else:
                value = list(default) if isinstance(default, tuple) else default
                assert yaml.safe_load(given[name].strip("`")) == value, (one, name)


def test_the_usual_names_of_prompts_and_replies_are_listed(language: str) -> None:
    """Who writes a Route knows what needs no path."""
    rows = {row[1]: row[3] for row in table(language, SHARED) if row[0] == "`guard.asgi.Route`"}
    assert tuple(codes(rows["`prompts`"])) == PROMPTS
    assert tuple(codes(rows["`replies`"])) == REPLIES


def test_every_method_of_the_client_is_listed(language: str) -> None:
    """Of `guard.FlamesClient`, in one line."""
    (line,) = re.findall(r"\n\n([^\n|]*`guard\.FlamesClient`[^|]*?`close`)", text_of(language))
    known = [name for name in vars(FlamesClient) if not name.startswith("_")]
    assert sorted(codes(line)[1:]) == sorted(known)


MADE_WITHOUT: dict[str, tuple[Any, Any]] = {
    "ApiError": (400, "invalid_request"),
    "Refusal": (..., ...),
    "FlamesError": (..., ...),
}


def sent() -> set[tuple[Any, Any]]:
    """Status and code of every error that the guard's source makes, as far as it spells them."""
    found = set()
    for file in (ROOT / "guard").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                status, code = MADE_WITHOUT.get(node.func.id, (..., ...))
                given = {one.arg: one.value for one in node.keywords}
                found.add((spelled(given.get("status"), status), spelled(given.get("code"), code)))
    return {pair for pair in found if ... not in pair}


def spelled(node: ast.expr | None, default: object) -> object:
    """A value that stands in the source; `...` for one that is made."""
    return default if node is None else node.value if isinstance(node, ast.Constant) else ...


def test_every_error_code_is_listed_with_its_status_and_no_other(language: str) -> None:
    """Who writes a client by the table handles all that the guard sends."""
    rows = table(language, "400")
    told = {(int(row[0]), code) for row in rows for code in codes(row[1])}
    assert len(told) > 35
    known = sent()
    assert told == {(status, code) for status, code in known if status is not None}
    own = {code for status, code in known if status is None}
    assert {"unreachable", "timeout"} <= own
    assert {*own, "upstream_error"} <= set(named(text_of(language)))


def fields(language: str, first: str) -> set[str]:
    return {field for row in table(language, first) for field in codes(row[0])}


def test_every_field_of_an_event_is_listed_and_no_other(language: str) -> None:
    """Who reads a log knows what stands in it."""
    assert fields(language, "`format`") == set(GuardEvent.model_fields)
    assert fields(language, "`rule`") == set(RuleEvent.model_fields)
    (missed,) = (row for row in table(language, "`format`") if row[0] == "`missed`")
    assert set(codes(missed[1])) == set(MissedEvent.model_fields)


def test_every_header_is_listed_and_no_other(language: str) -> None:
    """Those that any edge sends."""
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "guard").rglob("*.py"))
    known = set(re.findall(r"x-flames-[a-z-]*[a-z]", source))
    assert fields(language, "`x-flames-decision`") == known
    assert {one for one in named(text_of(language)) if one.startswith("x-flames-")} == known


def counted() -> dict[str, set[str]]:
    """Every metric with its labels, of a page on which each has counted something."""
    metrics = Metrics()
    rule = RuleEvent(rule="pii:output:block", action="block")
    missed = MissedEvent(rule="pii:output:block", kind="deadline")
    event = GuardEvent(
        at=datetime.now(UTC),
        request_id="r",
        side="output",
        action="block",
        status="failed_open",
        rules=(rule,),
        missed=(missed,),
        abstained=("Legality:output:block",),
        scores={},
        policy="p",
        calibration=None,
        shadow=False,
        streamed=True,
        looks=1,
        characters=1,
        exposed=1,
        dropped=1,
        elapsed_s=0.1,
        cost_usd=0.1,
        text_sha256="t",
        conversation="c",
    )
    metrics.observe(event)
    metrics.lost(1)
    metrics.lost_label("random")
    metrics.drifted("Legality")
    metrics.http("/v1/models", 200, 0.1)
    page = metrics.render()[0].decode()
    return {
        one.name + ("_total" if one.type == "counter" else ""): {
            label for sample in one.samples for label in sample.labels if label != "le"
        }
        for one in text_string_to_metric_families(page)
        if not one.name.endswith("_created")
    }


def test_every_metric_is_listed_with_its_labels_and_no_other(language: str) -> None:
    """Who makes a dashboard knows what to ask for."""
    first = "`flames_guard_decisions_total`"
    told = {codes(row[0])[0]: set(codes(row[1])) for row in table(language, first)}
    assert told == counted()
    others = {"flames_guard", "flames_judge.guard"}
    text = {one for one in named(text_of(language)) if one.startswith("flames_")}
    assert text - others == set(told)
