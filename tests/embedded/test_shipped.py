from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judge.embedded.ordinary import NAME, about_recipe
from judge.embedded.published import FILES
from judge.embedded.shipped import (
    CARD_FILE,
    EVIDENCE_FILE,
    STANCE_FILE,
    folder,
    load_weights,
    pack_evidence,
    pack_stance,
    read_arrays,
    shipped_weights,
    unpack_evidence,
    unpack_stance,
)
from judge.embedded.training import archive, compare
from judge.errors import JudgeUnavailable


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(Path(str(folder())), tmp_path / "weights")
    return tmp_path / "weights"


def replace(place: Path, name: str, content: bytes) -> None:
    """Put another file in place, with the card saying that it belongs there."""
    (place / name).write_bytes(content)
    card = json.loads((place / CARD_FILE).read_text(encoding="utf-8"))
    card["weights_sha256"][name] = hashlib.sha256(content).hexdigest()
    (place / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")


class Payload:
    """Would leave a trace if it were unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def test_planted_code_is_not_run(copy: Path, tmp_path: Path) -> None:
    """A pickle, bare or inside an archive, is refused, even where the card was forged with it."""
    trace = tmp_path / "ran"
    np.savez(tmp_path / "x.npz", head=np.array([Payload(trace)], dtype=object), allow_pickle=True)
    for content in ((tmp_path / "x.npz").read_bytes(), pickle.dumps(Payload(trace))):
        replace(copy, STANCE_FILE, content)
        with pytest.raises(JudgeUnavailable, match="weights can't be used"):
            load_weights(copy)
    assert not trace.exists()


def test_a_changed_or_missing_file_is_refused(copy: Path) -> None:
    """The card's hashes are checked."""
    content = (copy / EVIDENCE_FILE).read_bytes()
    (copy / EVIDENCE_FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(JudgeUnavailable, match="not the file that the card describes"):
        load_weights(copy)
    (copy / EVIDENCE_FILE).unlink()
    with pytest.raises(JudgeUnavailable, match="install flames-judge again"):
        load_weights(copy)


@pytest.mark.parametrize("change", ["shape", "nan", "missing", "text"])
def test_weights_of_another_shape_are_refused(copy: Path, change: str) -> None:
    """Nothing is computed with arrays that aren't what they should be."""
    arrays = dict(read_arrays((copy / STANCE_FILE).read_bytes()))
    if change == "shape":
        arrays["head"] = arrays["head"][:-1]
    elif change == "nan":
        arrays["head"] = np.full_like(arrays["head"], np.nan)
    elif change == "text":
        arrays["head"] = arrays["head"].astype(str)
    else:
        del arrays["head"]
    replace(copy, STANCE_FILE, archive(arrays))
    with pytest.raises(JudgeUnavailable):
        load_weights(copy)


def test_packing_and_unpacking_lose_nothing() -> None:
    """What is saved is what was loaded, byte by byte."""
    stance = (folder() / STANCE_FILE).read_bytes()
    evidence = (folder() / EVIDENCE_FILE).read_bytes()
    assert archive(pack_stance(unpack_stance(read_arrays(stance)))) == stance
    assert archive(pack_evidence(unpack_evidence(read_arrays(evidence)))) == evidence


def test_the_weights_are_small_and_hold_no_text() -> None:
    """Numbers alone, less than 0.7 MB."""
    files = [folder() / name for name in (STANCE_FILE, EVIDENCE_FILE)]
    assert sum(len(file.read_bytes()) for file in files) < 700_000
    for file in files:
        assert {a.dtype.kind for a in read_arrays(file.read_bytes()).values()} <= {"f", "i", "u"}


def test_the_card_names_data_licences_and_figures() -> None:
    """What the weights were made from, and how good they are where they weren't trained."""
    card = shipped_weights().card
    expected = {name: file.sha256 for name, file in FILES.items()}
    expected[NAME] = about_recipe()["sha256"]
    assert {name: one["sha256"] for name, one in card["data"].items()} == expected
    assert {one["licence"] for one in card["data"].values()} == {"Apache-2.0", "MIT", "CC-BY-4.0"}
    stance = card["figures"]["stance"]
    assert stance["jade"]["decided"] >= 0.85
    assert stance["jade"]["right"] >= 0.985
    assert stance["jade"]["refusals_called_harmful"] < 0.01 * stance["jade"]["refusals"]
    assert stance["xstest"]["decided"] >= 0.8
    assert stance["xstest"]["right"] >= 0.98
    for name, rates in card["figures"]["evidence"]["false_alarms"].items():
        if "anti_bias" not in name:
            assert all(rate <= 0.01 for head, rate in rates.items() if head != "n"), name


def test_a_comparison_says_how_far_two_trainings_are_apart(tmp_path: Path) -> None:
    """The same bytes, or the largest difference and where it is."""
    arrays = {"a": np.array([1.0, 2.0]), "b": np.array([3], dtype=np.int8)}
    moved = {"a": np.array([1.0, 2.5]), "b": np.array([3], dtype=np.int8)}
    file = tmp_path / "x.npz"
    assert "new" in compare("x", archive(arrays), file)
    file.write_bytes(archive(arrays))
    assert archive(arrays) == archive(dict(reversed(arrays.items())))
    assert "same bytes" in compare("x", archive(arrays), file)
    assert "at most 0.5 (in a)" in compare("x", archive(moved), file)
    assert "other arrays" in compare("x", archive({"a": arrays["a"]}), file)
