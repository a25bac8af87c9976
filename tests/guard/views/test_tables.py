from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from guard.views.make_tables import bopomofo, main, parts, syllables
from tests.guard.views.seen import views


def lines(name: str) -> list[str]:
    file = resources.files("guard.views") / "data" / name
    return file.read_text(encoding="utf-8").splitlines()


def test_parts_come_from_the_decomposition_as_people_type_them() -> None:
    """Radicals as characters; doubled characters; rare characters and strokes left out."""
    records = ["妈:a(女,马)", "谢:a(讠,射)", "双:ra(又)", "丁:d/t(一,10018)", "坏", "㐀:a(女,马)"]
    made = parts(records, {"妈": 9, "谢": 9, "双": 9}, {"女马": 1, "的人": 99})
    assert sorted(line[:-1] for line in made) == sorted(["妈女马", "谢讠射", "谢言射", "双又又"])


def test_a_pair_that_ordinary_texts_write_is_marked() -> None:
    """女子 is a word; and 金安 meets by chance more often than anybody splits 铵."""
    frequency = {"好": 500, "女": 900, "子": 900, "铵": 1, "金": 900, "安": 900}
    made = parts(["好:a(女,子)", "铵:a(钅,安)"], frequency, {"女子": 5, "的人": 95})
    assert [line[:-1] for line in made] == sorted(["好女子?", "铵金安?", "铵钅安"])


def test_of_two_characters_with_the_same_parts_the_commoner_is_taken() -> None:
    """员 and 呗 are both 口 and 贝."""
    records = ["呗:a(口,贝)", "员:d(口,贝)"]
    assert [line[:3] for line in parts(records, {"呗": 3, "员": 90}, {})] == ["员口贝"]


def test_a_pair_that_is_written_more_often_than_its_character_is_left_out() -> None:
    """Nobody who writes 不用 means 甭."""
    frequency = {"甭": 1, "不": 50, "用": 50}
    assert parts(["甭:d(不,用)"], frequency, {"不用": 9, "的人": 1}) == []


def test_parts_are_grouped_anew_where_that_makes_another_character() -> None:
    """靠 is 告 and 非 to the eye, where the dictionary has a rarer pair."""
    records = ["靠:d(⺧,啡)", "啡:a(口,非)", "告:d(⺧,口)"]
    made = [line[:3] for line in parts(records, {"靠": 9, "告": 9, "啡": 1}, {})]
    assert "靠告非" in made
    assert "靠牛啡" in made


def test_the_likelier_of_two_pairs_has_the_greater_gain() -> None:
    """心白勺 is 心的, not 怕勺."""
    frequency = {"的": 900, "怕": 9, "心": 90, "白": 20, "勺": 1}
    made = {line[0]: int(line[-1]) for line in parts(["的:a(白,勺)", "怕:a(心,白)"], frequency, {})}
    assert made["的"] > made["怕"]


def test_bopomofo_is_listed_without_tones() -> None:
    """One line a sound, as it is spelled."""
    assert bopomofo(["du\t读赌", "nv\t女", "er\t二"]) == ["ㄉㄨ\tdu", "ㄋㄩ\tnv", "ㄦ\ter"]


def test_a_sound_lists_its_commonest_character_first() -> None:
    """It stands for all of them."""
    made = dict(line.split("\t") for line in syllables({"赌": 3, "读": 9}))
    assert made["du"].startswith("读赌")
    assert "度" in made["du"]
    assert "女" in made["nv"]


def test_the_shipped_tables_are_whole() -> None:
    """Each line has its form; each character one sound; each pair one character."""
    table = lines("parts.txt")
    assert all(re.fullmatch(r"\w{3}\??[1-9]", line) for line in table)
    assert len({line[1:3] for line in table}) == len(table) > 8000
    assert any(line.startswith("好女子?") for line in table)
    sounds = [line.split("\t") for line in lines("syllables.txt")]
    chars = "".join(chars for _, chars in sounds)
    assert len(set(chars)) == len(chars) > 26_000


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The maker of the tables says which file it lacks."""
    assert main([str(tmp_path), str(tmp_path / "cjk-decomp.txt")]) == 2
    assert "cold_train.csv" in capsys.readouterr().err


def test_importing_the_views_loads_nothing_heavy() -> None:
    """Tables and numpy wait for the first text."""
    code = "import sys, guard.views, guard.evidence, guard.selftest.measure; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "scipy", "opencc", "confusable_homoglyphs", "pypinyin", "rich"}


def test_small_capitals_and_digits_in_black_circles_are_read() -> None:
    """Folding knows neither."""
    assert views("ᴊɪᴀᴡᴇɪxɪɴ ❶⓷➇➊")[-1].text == "jiaweixin 1381"
