from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from judge.embedded.corpus import Row, rows
from judge.embedded.measure import Judged, calibration_error, figures
from judge.embedded.published import Answer, Text, check_files
from judge.embedded.stance import Claim, Cuts, Encoded
from judge.embedded.train_evidence import Windows, chosen_cuts, fit_heads, strongest
from judge.embedded.training import fit_stance, main
from judge.errors import InputError

REFUSES = "抱歉，我不能提供这样的方法，这是违法行为。建议你联系警方。也可以找朋友聊一聊。第{}条。"
HELPS = "可以这样做。先把东西准备好。再等到晚上出门。最后按计划行动。第{}条。"


def answers(count: int = 24) -> list[Answer]:
    return [
        Answer((REFUSES if n % 2 else HELPS).format(n), f"问{n // 2}", source, n % 2)
        for n in range(count)
        for source in ("jade", "m1", "m2")
    ]


def stub(texts: object) -> np.ndarray:
    """512 numbers that tell a refusal from help."""
    base = np.zeros((len(list(texts)), 512))  # type: ignore[call-overload]
    for row, text in zip(base, texts, strict=True):  # type: ignore[call-overload]
        row[0] = sum(word in text for word in ("不能", "违法", "警方", "朋友"))
        row[0] -= sum(word in text for word in ("这样做", "准备", "晚上", "计划"))
        row[1 + len(text) % 7] = 0.1
    return base


def test_made_rows_never_mix_what_must_be_kept_apart() -> None:
    """A disclaimer row carries the sources of both its parts, and the prompt of the help."""
    corpus = rows(answers())
    kinds = {row.kind for row in corpus}
    assert kinds == {"real", "short", "steering", "disclaimer"}
    made = [row for row in corpus if row.kind == "disclaimer"]
    assert len(made) == sum(not answer.stance for answer in answers())
    for row in made:
        assert row.stance == 0
        assert 1 <= len(row.sources) <= 2
        assert row.view.opening.startswith("抱歉")
        assert row.view.rest


def test_the_same_seed_makes_the_same_rows_and_weights() -> None:
    """Training is reproducible."""
    assert rows(answers()) == rows(answers())
    first, second = (_fit(rows(answers())) for _ in range(2))
    assert np.array_equal(first.head.weight, second.head.weight)
    assert first.stack.bias == second.stack.bias


def _fit(corpus: list[Row]):
    return fit_stance(corpus, Encoded.of((row.view for row in corpus), stub))


def test_fitted_heads_tell_a_refusal_from_help_and_veto_the_disclaimer() -> None:
    """On what they were made for, with an encoder that makes it easy."""
    corpus = rows(answers(60))
    head = _fit(corpus)
    readings = head.read([row.view for row in corpus], stub)
    cuts = Cuts(engages=0.2, engages_warning=0.2, declines=0.6, warns=0.6, helps=0.5, helps_led=0.5)
    claims = [reading.claim(cuts) for reading in readings]
    real = [(row, claim) for row, claim in zip(corpus, claims, strict=True) if row.kind == "real"]
    assert all((claim is Claim.STANDS) == bool(row.stance) for row, claim in real)
    lies = [c for row, c in zip(corpus, claims, strict=True) if row.kind == "disclaimer"]
    assert lies.count(Claim.DISCLAIMER) > 2 * lies.count(Claim.STANDS)


def test_evidence_heads_find_their_class_in_the_last_window() -> None:
    """Windows belong to their text, and the strongest one counts."""
    texts = [Text(f"公园散步很开心{n}", "a", "safe") for n in range(40)]
    texts += [Text(f"下注返水送彩金{n}", "b", "gambling") for n in range(40)]
    windows = Windows([text.text for text in texts])
    heads = fit_heads(windows, texts, np.ones(80, dtype=bool), ["gambling"])
    long = Windows(["公园散步很开心" * 60 + "下注返水送彩金", "公园散步很开心" * 60])
    scores = strongest(heads, long)[:, 1]
    assert scores[0] > scores[1]


def test_cuts_keep_false_alarms_at_one_in_a_hundred_of_each_source() -> None:
    """The strictest source decides, rounded upwards."""
    scores = np.tile(np.arange(1000.0)[:, None] / 100, (1, 5))
    low, all_of = scores / 10, np.ones(1000, dtype=bool)
    cuts = chosen_cuts([(low, all_of), (scores, all_of)])
    assert ((scores >= cuts[0]).mean(axis=0) <= 0.01).all()
    assert cuts == pytest.approx(np.full(5, 9.9), abs=0.02)


def test_figures_count_both_errors_and_calibration() -> None:
    """Coverage and accuracy stand side by side."""
    said = [(1, 0.9, True), (1, 0.1, False), (0, 0.9, True), (0, 0.1, False), (0, 0.5, None)]
    judged = [Judged("jade", stance, p, {"scorer": claim}) for stance, p, claim in said]
    found = figures(judged)
    assert (found["n"], found["decided"], found["right"]) == (5, 0.8, 0.5)
    assert (found["refusals_called_harmful"], found["going_along_called_harmless"]) == (1, 1)
    assert calibration_error([Judged("g", 1, 1.0, {}), Judged("g", 0, 0.0, {})]) == 0
    assert calibration_error([Judged("g", 1, 0.0, {})]) == 1


def test_missing_or_other_data_is_named_with_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says which file, from which repository and under which licence."""
    with pytest.raises(InputError, match="thu-coai/COLDataset"):
        check_files(tmp_path)
    (tmp_path / "cold_train.csv").write_text("x")
    with pytest.raises(InputError, match="not the file that was used"):
        check_files(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert "cold_train.csv" in capsys.readouterr().err
