"""Gold: what people said about rows. Marks of several annotators, drawn by a known design or not.

gold.jsonl       one `GoldLabel` a line: a row, an annotator, a label
to_label.jsonl   one `LabelTask` a line: a row that was drawn and is to be labelled

labels = read_gold(Path("gold.jsonl"), rubrics)
for row in rows_of(labels):
    row.consensus.label
"""

from judge.gold.files import (
    GoldFile,
    gold_lines,
    parse_gold,
    read_gold,
    read_tasks,
    task_lines,
    write_lines,
)
from judge.gold.model import (
    ADJUDICATOR,
    Design,
    GoldLabel,
    LabelTask,
    RowKey,
    gold_sha256,
)
from judge.gold.rows import Consensus, GoldRow, Located, locate, rows_of

__all__ = [
    "ADJUDICATOR",
    "Consensus",
    "Design",
    "GoldFile",
    "GoldLabel",
    "GoldRow",
    "LabelTask",
    "Located",
    "RowKey",
    "gold_lines",
    "gold_sha256",
    "locate",
    "parse_gold",
    "read_gold",
    "read_tasks",
    "rows_of",
    "task_lines",
    "write_lines",
]
