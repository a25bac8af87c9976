"""What docs/guard.md and its Chinese twin say of the guard: names, defaults, commands, figures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

import guard
from guard.decision import Status
from guard.event import GuardEvent, MissedEvent, RuleEvent
from guard.loading import Given, load_guard
from guard.metrics import Metrics
from guard.passing import LOG
from guard.policy import (
    EVIDENCE_KINDS,
    SEVERITY,
    BreakerPolicy,
    LlmSettings,
    Messages,
    Policy,
    Rule,
    StreamPolicy,
)
from judge.calibration import save_calibration
from judge.testing import ScriptedJudge
from judge.verdict import FailureKind
from tests.cli.conftest import Flames
from tests.guard.made import calibration, threshold
from tests.test_readme import commands_of

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = ("guard.md", "guard.zh.md")
GROUPS = ("guard", "keys", "gold", "rubric", "cache")
BY_TABLE: tuple[dict[str, type[BaseModel]], ...] = (
    {"": Policy},
    {"": Rule},
    {"llm.": LlmSettings, "breaker.": BreakerPolicy, "stream.": StreamPolicy},
)
pytestmark = pytest.mark.parametrize("document", DOCUMENTS)


def text_of(document: str) -> str:
    return (ROOT / "docs" / document).read_text(encoding="utf-8")


def blocks(document: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL)


def named(document: str) -> list[str]:
    """What stands in backticks there, outside blocks."""
    text = re.sub(r"^```.*?^```", "", text_of(document), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", " ".join(text.split()))


def tables(document: str) -> list[list[list[str]]]:
    """The cells of each table's rows, without its heading."""
    found = re.findall(r"(?:^\|.*\n)+", text_of(document), re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split("|")] for row in table.split("\n")[2:-1]]
        for table in found
    ]


def key_rows(document: str) -> Iterator[tuple[dict[str, type[BaseModel]], str, str]]:
    """Each key of the policy with its default as it is printed, and its table's models."""
    keys = [table for table in tables(document) if table[0][0] in FIRST_KEYS]
    assert len(keys) == len(BY_TABLE)
    for models, table in zip(BY_TABLE, keys, strict=True):
        for names, defaults, *_ in table:
            keyed = re.findall(r"`([^`]+)`", names)
            told = re.split(r", (?![^{]*\})", defaults) if len(keyed) > 1 else [defaults]
            yield from ((models, key, one) for key, one in zip(keyed, told, strict=True))


FIRST_KEYS = ("`version`", "`evidence`", "`llm.api_base`, `llm.api_key_env`")


def field_of(models: dict[str, type[BaseModel]], key: str) -> Any:
    """A key's field in its model."""
    prefix = next(prefix for prefix in models if key.startswith(prefix))
    return models[prefix].model_fields[key.removeprefix(prefix)]


def test_every_key_of_a_policy_is_explained_and_no_other(document: str) -> None:
    """Who writes a policy by the tables writes one that is read."""
    told = [[key for models, key, _ in key_rows(document) if models is one] for one in BY_TABLE]
    for keys, models in zip(told, BY_TABLE, strict=True):
        known = [prefix + name for prefix, model in models.items() for name in model.model_fields]
        assert sorted(keys) == sorted(known)


def test_the_defaults_are_the_policys(document: str) -> None:
    """Also where somebody changes one."""
    for models, key, told in key_rows(document):
        field = field_of(models, key)
        if field.is_required():
            assert told == "", key
        elif key == "messages" and models is BY_TABLE[0]:
            assert told == "`{zh, en}`"
            assert field.default == Messages()
        else:
            value = yaml.safe_load(told.strip("`"))
            default = field.default
            if isinstance(default, BaseModel):
                assert (value, default) == ({}, type(default)()), key
            else:
                assert value == (list(default) if isinstance(default, tuple) else default), key


def test_every_policy_shown_can_be_kept(document: str, tmp_path: Path) -> None:
    """With a calibration that holds its promise, a guard starts from it."""
    judge = ScriptedJudge(lambda _: 0.9)
    save_calibration(tmp_path / "calibration.json", calibration(judge, threshold()))
    shown = blocks(document, "yaml")
    assert shown
    for content in shown:
        file = tmp_path / "policy.yaml"
        file.write_text(content, encoding="utf-8")
        assert load_guard(file, Given(judge=judge)).rules


def test_every_command_and_flag_is_one(flames: Flames, document: str) -> None:
    """A renamed flag or command can't leave the document behind."""
    used = [line for block in blocks(document, "sh") for line in commands_of(block)]
    used += [f"{one} " for one in named(document) if one.startswith("flames-judge ")]
    used = [line for line in used if line.startswith("flames-judge ")]
    assert len(used) > 15
    for line in used:
        words = line.split()[1:]
        told = flames(*words[: 2 if words[0] in GROUPS else 1], "--help")
        assert told.status == 0, line
        for flag in re.findall(r"(?<!\S)--?[a-z][a-z-]*", line):
            assert re.search(rf"(?<!\S)(-., )?{flag}\b", told.out), (line, flag)


def test_a_flag_that_stands_alone_is_one_of_these_commands(flames: Flames, document: str) -> None:
    """Such as `--retain-days`."""
    of = (["serve"], ["guard", "replay"], ["guard", "drift"], ["guard", "forget"], ["score"])
    known = " ".join(flames(*command, "--help").out for command in of)
    flags = {one.split()[0] for one in named(document) if one.startswith("--")}
    assert len(flags) > 8
    assert {flag for flag in flags if not re.search(rf"(?<!\S){flag}\b", known)} == set()


def test_both_languages_show_the_same(document: str) -> None:
    """Commands, policies, tables' names, and whatever else stands in backticks."""
    other = next(name for name in DOCUMENTS if name != document)
    assert [blocks(document, kind) for kind in ("sh", "yaml")] == [
        blocks(other, kind) for kind in ("sh", "yaml")
    ]
    assert set(named(document)) == set(named(other))
    assert [len(table) for table in tables(document)] == [len(table) for table in tables(other)]


def test_names_that_programs_see_are_the_real_ones(document: str) -> None:
    """Events, metrics, headers, decisions, kinds of failure: each is told, and none is made up."""
    told = set(named(document))
    for model in (GuardEvent, RuleEvent, MissedEvent):
        assert set(model.model_fields) <= told
    assert {*get_args(Status), *SEVERITY, *EVIDENCE_KINDS} <= told
    kinds = {"deadline", "breaker", "budget", "unread", "error:...", *map(str, FailureKind)}
    rows = next(table for table in tables(document) if "`deadline`" in table[0][1])
    assert {kind for row in rows for kind in re.findall(r"`([^`]+)`", row[1])} == kinds
    page = Metrics().render()[0].decode()
    metrics = set(re.findall(r"^# TYPE (flames_\w+) ", page, re.MULTILINE))
    metrics = {name for name in metrics if not name.endswith("_created")}
    others = {"flames_guard", LOG.name}
    assert {one for one in told if one.startswith("flames_")} - others == metrics
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "guard").rglob("*.py"))
    assert {one for one in told if one.startswith("x-flames-")} == set(
        re.findall(r"x-flames-[a-z-]+", source)
    )


def test_error_codes_have_the_statuses_told(document: str) -> None:
    """`rate_limit_exceeded` 429 is what the server says."""
    source = " ".join(
        " ".join(file.read_text(encoding="utf-8").split())
        for file in (*(ROOT / "guard/server").rglob("*.py"), *ROOT.glob("guard/openai_api/*.py"))
    )
    pairs = set(re.findall(r'status=(\d{3}), code="(\w+)"', source))
    text = " ".join(text_of(document).split())
    line = re.search(r"`invalid_api_key` 401.*?504", text)
    assert line is not None
    told = [tuple(pair) for pair in re.findall(r"((?:`\w+`(?:, | and |、)?)+) (\d{3})", line[0])]
    assert len(told) > 6
    for names, status in told:
        for name in re.findall(r"`(\w+)`", names):
            assert (status, name) in pairs, name


def test_the_names_of_python_can_be_imported(document: str) -> None:
    """What the table of edges says to import is there; what it needs is not loaded for that."""
    found = {one for one in named(document) if re.fullmatch(r"guard(\.\w+)+", one)}
    assert len(found) >= 4
    for one in found:
        module, _, name = one.rpartition(".")
        spec = find_spec(module)
        assert spec is not None, one
        assert spec.origin is not None, one
        source = Path(spec.origin).read_text(encoding="utf-8")
        assert name in guard.__all__ if module == "guard" else f"\nclass {name}" in source, one


def test_the_figures_are_those_of_the_shipped_card(document: str) -> None:
    """What the heads find and wrongly alarm on is what their measurement wrote down."""
    card = json.loads((ROOT / "judge/embedded/weights/card.json").read_text(encoding="utf-8"))
    figures = card["figures"]["evidence"]
    recall = figures["recall"]
    text = " ".join(text_of(document).split())
    lowest = recall["abuse, cold test"]
    assert lowest == min(recall.values())
    assert recall["black_market_ad, cross-fitted"] == max(recall.values())
    assert f"{100 * lowest:.0f} %" in text
    assert f"{100 * max(recall.values()):.0f} %" in text
    assert f"{100 * figures['false_alarms']['cold test, anti_bias']['abuse']:.0f} %" in text


def test_it_is_short(document: str) -> None:
    """A reference that is read."""
    assert len(text_of(document).splitlines()) <= 285
