from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from guard.evidence import Scanner
from guard.homophones import shipped
from guard.homophones.shipped import CARD, FILE, load, pack, shipped_homophones, unpack
from guard.homophones.training import by_sound
from guard.homophones.unusual import LEAST, Usual
from guard.selftest.measure import MOST_ALARMS, MOST_LOST, load_rows
from guard.selftest.unseen import main as measure_unseen
from guard.views import plain
from judge.embedded.ordinary import NAME, about_recipe
from judge.embedded.published import FILES
from judge.embedded.shipped import read_arrays
from judge.embedded.spans import WINDOW, Span
from judge.embedded.training import archive
from judge.errors import JudgeUnavailable

PLAIN = "今天天气很好，我们一起去公园散步，然后回家吃饭。"
IN_CONTEXT = "in a longer text"  # no disguise; how much is missed there is in the docs
REPLACED = "金田添汽狠号，我门议起曲公元三布，染后会家吃反。"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(Path(str(shipped.folder())), tmp_path / "weights")
    return tmp_path / "weights"


def asked(text: str, usual: Usual) -> list[Span]:
    view = plain(text)
    return usual.unusual(view)


def test_windows_with_replaced_characters_stand_out() -> None:
    """Homophones stand in pairs that nobody writes; the same sentence as it is does not."""
    usual = shipped_homophones().usual
    assert asked(PLAIN * 3, usual) == []
    assert asked(REPLACED, usual)[0] == (0, len(REPLACED), False)


def test_only_the_windows_around_the_replacement_are_asked() -> None:
    """A disguised sentence in a long ordinary text doesn't drown, and doesn't spread."""
    text = PLAIN * 20 + REPLACED * 2 + PLAIN * 20
    found = asked(text, shipped_homophones().usual)
    assert found
    begin = text.index(REPLACED)
    assert all(begin - WINDOW < start < begin + 2 * len(REPLACED) for start, _, _ in found)


def test_a_few_new_pairs_are_no_disguise() -> None:
    """A name that was never seen is not enough, nor is a text too short to tell."""
    usual = Usual.of([plain(PLAIN)])
    assert asked(PLAIN, usual) == []
    assert asked(PLAIN + "鑫淼", usual) == []
    for text in ("", "鑫", "鑫淼垚"[:LEAST]):
        assert asked(text, usual) == []


@pytest.mark.parametrize(
    "text",
    [
        "385,朱红,825.18,1709005528\n28511999386,赵磊,851.26,1544977923000\n41403,徐亮,89.70,3",
        "项目 期末 期初\n货币资金 103 4449 2503\n应收账款 125 3086 4120",
        "100644 blob 4c8f9d2aeeca597b228b7d9cbcbf6141922c88d6    6349\ttests/gua",
        "cpu MHz\t\t: 2300.000\ncache size\t: 266240 KB\nphysical id\t: 0",
        "np.float64,0x3fda831765b50630,0x3fdb55eecae58ca9,1",
    ],
)
def test_names_in_tables_and_code_are_not_heard_as_disguised_words(text: str) -> None:
    """A few characters among figures and Latin letters are no text with its characters replaced."""
    assert not [found for found in Scanner.shipped().scan(text) if "homophones" in found.view]


def test_sounds_are_what_the_heads_read() -> None:
    """Homophones, traditional forms and pinyin give the text that training gives."""
    assert by_sound("堵波网占") == by_sound("赌博网站") == by_sound("賭博網站")


def test_packing_and_unpacking_lose_nothing() -> None:
    """What is saved is what was loaded, byte by byte."""
    content = (shipped.folder() / FILE).read_bytes()
    assert archive(pack(unpack(read_arrays(content)))) == content
    assert len(content) < 500_000


@pytest.mark.parametrize("damage", ["changed", "missing", "shape", "no card"])
def test_damaged_weights_are_refused(copy: Path, damage: str) -> None:
    """One clear error that says what to do, and no answer from a file that isn't the one."""
    content = (copy / FILE).read_bytes()
    if damage == "changed":
        (copy / FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        (copy / FILE).unlink()
    elif damage == "no card":
        (copy / CARD).write_text("[]", encoding="utf-8")
    else:
        arrays = dict(read_arrays(content)) | {"usual": np.zeros(3, dtype=np.uint8)}
        replaced = archive(arrays)
        (copy / FILE).write_bytes(replaced)
        card = json.loads((copy / CARD).read_text(encoding="utf-8"))
        card["weights_sha256"][FILE] = hashlib.sha256(replaced).hexdigest()
        (copy / CARD).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(JudgeUnavailable, match="install flames-judge again"):
        load(copy)


def test_the_card_names_its_data_and_holds_the_goals() -> None:
    """Sources, licences, and what was measured on rows that no head saw."""
    card = json.loads((shipped.folder() / CARD).read_text(encoding="utf-8"))
    recipe = card["data"].pop(NAME)
    assert recipe["sha256"] == about_recipe()["sha256"]
    assert all(one["sha256"] == FILES[name].sha256 for name, one in card["data"].items())
    assert {one["licence"] for one in card["data"].values()} <= {"Apache-2.0", "MIT"}
    alarms = card["figures"]["false_alarms"]["all"]
    assert alarms["n"] > 4000
    assert alarms["added"][0] <= MOST_ALARMS
    for measured in card["figures"]["disguises"]:
        assert set(measured["lost"]) == set(measured["recall"]) - {"plain"}
        assert measured["n"] >= 600
        for name, (lost, *_) in measured["lost"].items():
            assert lost <= MOST_LOST or (name == IN_CONTEXT and lost <= 0.09), name


def test_the_shipped_rows_hold_no_contacts() -> None:
    """No telephone numbers, handles or addresses of the advertisements' authors."""
    for row in load_rows():
        assert "@" not in row.text
        run = 0
        for char in row.text:
            run = run + 1 if char.isascii() and char.isalnum() else 0
            assert run < 6


def test_a_card_without_its_weights_is_refused_before_minutes_of_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the file and what makes it."""
    monkeypatch.setattr("guard.selftest.unseen.check_files", lambda _: None)
    assert measure_unseen([str(tmp_path), "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / FILE) in told
    assert "python -m guard.homophones.training" in told
