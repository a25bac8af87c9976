"""What docs/guard.md, its reference and their Chinese twins say: policies, names, figures."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from fastapi import FastAPI
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from pydantic import BaseModel

import guard
from guard.decision import Status
from guard.loading import Given, load_guard
from guard.log import LOG
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
from tests.guard.made import calibration, threshold
from tests.guard.pages import (
    LANGUAGES,
    PAGES,
    ROOT,
    blocks,
    defaults,
    named,
    page,
    tables,
    text_of,
)

BY_TABLE: tuple[dict[str, type[BaseModel]], ...] = (
    {"": Policy},
    {"": Rule},
    {"llm.": LlmSettings, "breaker.": BreakerPolicy, "stream.": StreamPolicy},
)
FIRST_KEYS = ("`version`", "`evidence`", "`llm.api_base`, `llm.api_key_env`")
MOST_LINES = {"guard": 360, "guard-reference": 300}
in_both = pytest.mark.parametrize("language", LANGUAGES)
of_each = pytest.mark.parametrize("name", PAGES)


def key_rows(language: str) -> Iterator[tuple[dict[str, type[BaseModel]], str, str]]:
    """Each key of the policy with its default as it is printed, and its table's models."""
    keys = [table for table in tables(text_of(language)) if table[0][0] in FIRST_KEYS]
    assert len(keys) == len(BY_TABLE)
    for models, table in zip(BY_TABLE, keys, strict=True):
        for names, cell, *_ in table:
            keyed = re.findall(r"`([^`]+)`", names)
            told = defaults(cell, len(keyed))
            yield from ((models, key, one) for key, one in zip(keyed, told, strict=True))


def field_of(models: dict[str, type[BaseModel]], key: str) -> Any:
    """A key's field in its model."""
    prefix = next(prefix for prefix in models if key.startswith(prefix))
    return models[prefix].model_fields[key.removeprefix(prefix)]


def headings(text: str) -> list[str]:
    """Outside blocks, where `#` begins a comment."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


@in_both
def test_every_key_of_a_policy_is_explained_and_no_other(language: str) -> None:
    """Who writes a policy by the tables writes one that is read."""
    told = [[key for models, key, _ in key_rows(language) if models is one] for one in BY_TABLE]
    for keys, models in zip(told, BY_TABLE, strict=True):
        known = [prefix + name for prefix, model in models.items() for name in model.model_fields]
        assert sorted(keys) == sorted(known)


@in_both
def test_the_defaults_are_the_policys(language: str) -> None:
    """Also where somebody changes one."""
    for models, key, told in key_rows(language):
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


@in_both
def test_every_policy_shown_can_be_kept(language: str, tmp_path: Path) -> None:
    """With a calibration that holds its promise, a guard starts from it."""
    judge = ScriptedJudge(lambda _: 0.9)
    save_calibration(tmp_path / "calibration.json", calibration(judge, threshold()))
    shown = blocks(text_of(language), "yaml")
    assert shown
    for content in shown:
        file = tmp_path / "policy.yaml"
        file.write_text(content, encoding="utf-8")
        assert load_guard(file, Given(judge=judge)).rules


@in_both
def test_the_python_shown_runs(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands there, around a function, an application and an agent's model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    policy = (ROOT / "examples/policy.yaml").read_text(encoding="utf-8")
    Path("policy.yaml").write_text(policy, encoding="utf-8")
    model = FakeListChatModel(responses=["我的电话是13812345678，打给我"])
    known: dict[str, Any] = {"app": FastAPI(), "model": model, "tools": []}
    known["chat"] = lambda question: question
    shown = blocks(text_of(language), "python")
    assert len(shown) == 5
    for block in shown:
        exec(block, known)
    assert known["chat"]("你好") == "你好"
    asked = {"messages": [{"role": "user", "content": "你好"}]}
    last = known["agent"].invoke(asked)["messages"][-1]
    assert last.response_metadata["flames_decision"] == "blocked"
    answer = asyncio.run(known["shown"]("你好", "我的电话是13812345678，打给我"))
    assert answer == last.text == known["chat"]("加微信领彩金，首存送88")


@of_each
def test_both_languages_show_the_same(name: str) -> None:
    """Blocks, and row by row of the tables and as a whole, whatever else stands in backticks."""
    one, other = (page(name, language) for language in LANGUAGES)
    for kind in ("sh", "yaml", "python"):
        assert blocks(one, kind) == blocks(other, kind)
    assert set(named(one)) == set(named(other))
    assert len(headings(one)) == len(headings(other))
    rows, twins = ([row for table in tables(text) for row in table] for text in (one, other))
    for row, twin in zip(rows, twins, strict=True):
        assert set(named(" ".join(row))) == set(named(" ".join(twin))), row


@in_both
@of_each
def test_every_link_leads_somewhere(name: str, language: str) -> None:
    """To a file that is there, and to one of its headings."""
    for target in re.findall(r"\]\(([^)]+)\)", page(name, language)):
        file, _, heading = target.partition("#")
        path = ROOT / "docs" / file
        assert path.is_file(), target
        titles = headings(path.read_text(encoding="utf-8"))
        anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not heading or heading in anchors, target


@in_both
def test_names_that_programs_see_are_the_real_ones(language: str) -> None:
    """Decisions, kinds of evidence and of failure: each is told, and none is made up."""
    told = set(named(text_of(language)))
    assert {*get_args(Status), *SEVERITY, *EVIDENCE_KINDS} <= told
    kinds = {"deadline", "breaker", "budget", "unread", "error:...", *map(str, FailureKind)}
    rows = next(table for table in tables(text_of(language)) if "`deadline`" in table[0][1])
    assert {kind for row in rows for kind in re.findall(r"`([^`]+)`", row[1])} == kinds
    assert LOG.name in told


@in_both
def test_the_names_of_python_can_be_imported(language: str) -> None:
    """What the table of edges says to import is there; what it needs is not loaded for that."""
    found = {one for one in named(text_of(language)) if re.fullmatch(r"guard(\.\w+)+", one)}
    assert len(found) >= 12
    for one in found - {LOG.name}:
        module, _, name = one.rpartition(".")
        if module == "guard" and name in guard.__all__:
            continue
        spec = find_spec(module)
        assert spec is not None, one
        assert spec.origin is not None, one
        source = Path(spec.origin).read_text(encoding="utf-8")
        assert f"\nclass {name}" in source or f'"{name}"' in source, one


@in_both
def test_the_figures_are_those_of_the_shipped_card(language: str) -> None:
    """What the heads find and wrongly alarm on is what their measurement wrote down."""
    card = json.loads((ROOT / "judge/embedded/weights/card.json").read_text(encoding="utf-8"))
    figures = card["figures"]["evidence"]
    recall = figures["recall"]
    text = " ".join(text_of(language).split())
    lowest = recall["abuse, cold test"]
    assert lowest == min(recall.values())
    assert recall["black_market_ad, cross-fitted"] == max(recall.values())
    assert f"{100 * lowest:.0f} %" in text
    assert f"{100 * max(recall.values()):.0f} %" in text
    assert f"{100 * figures['false_alarms']['cold test, anti_bias']['abuse']:.0f} %" in text


@in_both
@of_each
def test_it_is_short(name: str, language: str) -> None:
    """A reference that is read."""
    assert len(page(name, language).splitlines()) <= MOST_LINES[name]
