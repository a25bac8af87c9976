from __future__ import annotations

from functools import cache
from random import Random

import pytest

from guard.evidence import Scanner
from guard.selftest.disguises import DISGUISES, Row
from guard.selftest.measure import SelftestReport, load_rows, render_selftest, selftest
from guard.selftest.rows import choose, parts, with_pinyin
from judge.embedded.published import Text

ROWS = load_rows()
HARMFUL = [row for row in ROWS if row.kind != "safe"]
BENIGN = [row for row in ROWS if row.kind == "safe"]


@cache
def report() -> SelftestReport:
    return selftest(Scanner.shipped(), ROWS, Random(0))


def test_the_rows_are_of_several_kinds_and_sources() -> None:
    """Enough for a figure, few enough to ship; each Chinese character has its reading."""
    assert len(HARMFUL) >= 250
    assert len(BENIGN) >= 350
    assert {row.kind for row in HARMFUL} == {"gambling", "fraud", "black_market_ad", "porn"}
    assert {row.source for row in BENIGN} == {"cold", "jade"}
    for row in HARMFUL:
        assert len(row.pinyin) == sum("\u4e00" <= char <= "\u9fff" for char in row.text)


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguise_changes_texts_and_is_the_same_for_the_same_seed(name: str) -> None:
    """Nearly every row looks different, and a run can be repeated."""
    made = [DISGUISES[name](row, Random(1)) for row in HARMFUL[:40]]
    assert made == [DISGUISES[name](row, Random(1)) for row in HARMFUL[:40]]
    changed = sum(text != row.text for text, row in zip(made, HARMFUL, strict=False))
    assert changed >= {"homoglyphs": 10, "full-width": 25}.get(name, 38)


def test_the_goals_hold_on_the_shipped_rows() -> None:
    """Recall within 5 points of plain behind each disguise, half a point of added alarms."""
    assert [one.name for one in report().behind] == list(DISGUISES)
    assert [one.name for one in report().behind if not one.met] == []
    assert report().benign.added.value <= 0.005
    assert report().met


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_goals_hold_whatever_the_disguises_choose(seed: int) -> None:
    """The same for other seeds: no disguise is within the goal by luck."""
    found = selftest(Scanner.shipped(), ROWS, Random(seed))
    assert [one.name for one in found.behind if not one.met] == []


def test_views_are_what_finds_the_disguised() -> None:
    """Without them most of these texts pass: the test would notice if views did nothing."""
    for one in report().behind:
        if one.name.split(",")[0] in {
            "separators",
            "homophones",
            "pinyin",
            "base64",
            "traditional",
        }:
            assert one.recall.value >= one.without.value + 0.2, one.name


def test_a_scanner_that_sees_through_nothing_misses_the_goals() -> None:
    """The selftest can fail."""
    bare = Scanner.shipped().without_disguises()
    failed = selftest(bare, [*HARMFUL[::6], *BENIGN[::20]], Random(0))
    assert not failed.met
    assert "missed" in render_selftest(failed)


def test_the_table_shows_each_disguise_with_its_interval() -> None:
    """What a person reads, and JSON for a program."""
    told = render_selftest(report())
    assert all(name in told for name in DISGUISES)
    assert "[" in told
    assert SelftestReport.model_validate_json(report().model_dump_json()) == report()


def test_rows_are_chosen_without_contacts_and_up_to_their_number() -> None:
    """Numbers and handles stay out; the same rows come out of any order."""
    good = [
        Text(f"想赢钱就来这里玩吧朋友{chr(0x4E00 + i)}", "chineseharm", "gambling")
        for i in range(99)
    ]
    bad = [Text("想赢钱就来这里玩吧朋友加微信abc12345", "chineseharm", "gambling")]
    chosen = list(choose([*bad, *good], Random(0)))
    assert len(chosen) == 80
    assert not set(chosen) & set(bad)
    assert chosen == list(choose([*reversed(good), *bad], Random(0)))


def test_readings_are_those_of_the_context() -> None:
    """长 in 长大 and in 长短: the guard knows one reading, the test's rows have both."""
    assert with_pinyin("长大", "x", "y").pinyin == ("zhang", "da")
    assert with_pinyin("长短", "x", "y").pinyin == ("chang", "duan")


def test_parts_are_common_characters() -> None:
    """What people can type: 妈 is 女 and 马."""
    table = parts()
    assert table["妈"] == "女马"
    assert table["谢"] == "言射"
    assert len(table) > 4000


def test_an_unknown_row_field_is_refused() -> None:
    """A row says what it is, and nothing else."""
    with pytest.raises(ValueError, match="extra"):
        Row(text="a", kind="safe", source="x", more=1)  # type: ignore[call-arg]
