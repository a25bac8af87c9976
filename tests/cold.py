"""COLD's test set: the shipped `abuse` head as the judge of 5,323 comments beside people's labels.

    python -m tests.cold DATA

makes `tests/data/cold_labels.csv` anew from a folder that holds cold_test.csv: after new weights.
The comments are abusive in part and stay where they were published (see NOTICE); ids, labels and
the head's scores are here, and the texts of a few harmless rows.

What COLD calls offensive is not harmless: a 1; all else, anti-bias comments too, a 3. The judge
says 1 from a cut on: the head's own (at most 1 % false alarms), or even odds.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from judge.embedded.heads import KINDS
from judge.embedded.shipped import shipped_weights
from judge.embedded.train_evidence import Windows, strongest
from judge.gold import RowKey
from judge.judged import judged_rows
from tests.judged_run import entries, verdict
from tests.many_draws import Known

HERE = Path(__file__).parent / "data"
LABELS, TEXTS, RUBRIC = HERE / "cold_labels.csv", HERE / "cold_texts.csv", HERE / "offence.yaml"
DIMENSION, MODEL = "Offence", "COLD"
ABUSE = KINDS.index("abuse")
EVEN_ODDS = 0.0  # as a logit


class Comment(NamedTuple):
    """A row of COLD's test set; `logit` is the head's, of the comment's strongest window."""

    id: str
    label: int
    fine_grained: int
    logit: float

    @property
    def truth(self) -> int:
        """What people say on the rubric's scale: 1 for offensive, else 3."""
        return 1 if self.label else 3

    def verdict(self, cut: float) -> int:
        """What the head says, on the same scale."""
        return 1 if self.logit >= cut else 3

    @property
    def p_harmless(self) -> float:
        """The head's score as a probability."""
        return 1 / (1 + math.exp(self.logit))


def shipped_cut() -> float:
    """From which logit on the product shows abuse as evidence."""
    return float(shipped_weights().evidence.cuts[ABUSE])


def logits(texts: Sequence[str]) -> list[float]:
    """The shipped head's logits of these comments."""
    return [float(x) for x in strongest(shipped_weights().evidence, Windows(texts))[:, ABUSE]]


@cache
def comments() -> tuple[Comment, ...]:
    """The file's rows."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        return tuple(
            Comment(r["id"], int(r["label"]), int(r["fine_grained_label"]), float(r["abuse_logit"]))
            for r in csv.DictReader(file)
        )


def texts() -> dict[str, str]:
    """The harmless comments whose texts are here, by id."""
    with TEXTS.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["text"] for row in csv.DictReader(file)}


def published(data: Path) -> list[dict[str, str]]:
    """The rows of cold_test.csv as they were published; the first column, unnamed, is the id."""
    with (data / "cold_test.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def scored(data: Path) -> list[Comment]:
    """The published rows with the shipped head's scores."""
    rows = published(data)
    found = logits([row["TEXT"] for row in rows])
    return [
        Comment(row[""], int(row["label"]), int(row["fine-grained-label"]), round(logit, 4))
        for row, logit in zip(rows, found, strict=True)
    ]


def imported_rows(cut: float) -> list[dict[str, Any]]:
    """The head's verdicts as `import-verdicts` takes them; an id stands where the comment was."""
    return [
        {
            "id": one.id,
            "label": one.verdict(cut),
            "probabilities": {"3": one.p_harmless, "1": 1 - one.p_harmless},
            "response": f"COLD test {one.id}",
        }
        for one in comments()
    ]


def known(cut: float) -> Known:
    """The head's run, and what people say."""
    lines = [verdict(c.id, c.verdict(cut), DIMENSION, model=MODEL) for c in comments()]
    harmless = {RowKey(MODEL, c.id, DIMENSION): c.truth == 3 for c in comments()}
    return Known(judged_rows(entries(lines)), harmless)


if __name__ == "__main__":
    with LABELS.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("id", "label", "fine_grained_label", "abuse_logit"))
        writer.writerows(scored(Path(sys.argv[1])))
