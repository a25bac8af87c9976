"""The evidence heads on texts that they weren't trained on: false alarms and recall."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.embedded.heads import KINDS
from judge.embedded.published import answers, cold_test, texts
from judge.embedded.shipped import shipped_weights
from judge.embedded.train_evidence import (
    Asked,
    Windows,
    fit_heads,
    strongest,
    unseen_scores,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from judge.embedded.stance import Array

Scored = tuple[str, "Array"]


def evidence_figures(data: Path) -> dict[str, Any]:
    """False alarms by source and recall by head of all that is asked, at the shipped cuts."""
    import numpy as np

    trained = texts(data)
    windows = Windows([text.text for text in trained])
    cuts = shipped_weights().evidence.cuts
    unseen = list(unseen_scores(windows, trained, Asked([text.text for text in trained])))
    heads = fit_heads(windows, trained, np.ones(len(trained), dtype=bool))
    others = {f"cold test, {name}": found for name, found in cold_test(data).items()}
    others["xstest"] = [a.text for a in answers(data) if a.source != "jade"]
    alarms = {name: _shares(scores[benign] >= cuts) for name, scores, benign in unseen}
    for name, found in others.items():
        alarms[name] = _shares(strongest(heads, Asked(found)) >= cuts)
    recall = {"abuse, cold test": alarms.pop("cold test, abuse")["abuse"]}
    kinds = np.array([text.kind for text in trained])
    recall |= dict(_recall(unseen[0][1] >= cuts, kinds))
    rounded = {kind: round(float(cut), 2) for kind, cut in zip(KINDS, cuts, strict=True)}
    return {"cuts": rounded, "false_alarms": alarms, "recall": recall}


def _shares(found: NDArray[np.bool_]) -> dict[str, Any]:
    rates = {k: round(float(rate), 4) for k, rate in zip(KINDS, found.mean(axis=0), strict=True)}
    return {"n": len(found), **rates}


def _recall(found: NDArray[np.bool_], kinds: NDArray[np.str_]) -> Iterator[tuple[str, float]]:
    for number, kind in enumerate(KINDS):
        yield f"{kind}, cross-fitted", round(float(found[kinds == kind, number].mean()), 4)
