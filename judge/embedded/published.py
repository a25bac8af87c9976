"""The published data that the weights are made from: where it is, its licence, how it is read."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from judge.embedded.ordinary import ordinary_texts
from judge.errors import InputError

Class = Literal["safe", "unsafe", "abuse", "gambling", "porn", "fraud", "black_market_ad"]


@dataclass(frozen=True)
class PublishedFile:
    """One file: its hash, and where its rows were published."""

    sha256: str
    source: str
    licence: str
    use: str


FILES = {
    "cold_train.csv": PublishedFile(
        "16ca7955bdcaf90f5d8ac39e51eb3eda15320caa1e730ed45cb5e8ca8cd0d5e8",
        "thu-coai/COLDataset at a0c55a94, train",
        "Apache-2.0",
        "abuse head",
    ),
    "cold_test.csv": PublishedFile(
        "b06d31481f0d558b6dc8140408938abe8dba8083cd9976b4ba8f5c837fbe78ed",
        "thu-coai/COLDataset at a0c55a94, test",
        "Apache-2.0",
        "its texts are dropped from train; the abuse head is measured on it",
    ),
    "chineseharm_bench.json": PublishedFile(
        "f67d77a6947f46e85401dadfdbc6f696b8cbec77b5ecec0b062d6b4273f8f93f",
        "zjunlp/ChineseHarm-bench at 5e81bc49, benchmark/bench.json",
        "MIT",
        "evidence heads",
    ),
    "jade_v3_zh.jsonl": PublishedFile(
        "f04e769e98cc0c1ab1ba81bd3eb978f6bd3829fd58d9d1ceee331168443f23b5",
        "whitzard-ai/jade-db at 812de636, v3.0, 913 of its Chinese rows",
        "MIT",
        "stance; safe answers as benign texts for the evidence heads",
    ),
    "xstest_human_and_gpt4.jsonl": PublishedFile(
        "0efec90570d2bdbbd56a966d73763dea3fe3aaf24d59f4d47dff5afeef071a8a",
        "paul-rottger/exaggerated-safety at d7bb5bd7, completions of four models",
        "CC-BY-4.0",
        "stance",
    ),
}
_HARM: dict[str, Class] = {
    "黑产广告": "black_market_ad",
    "欺诈": "fraud",
    "博彩": "gambling",
    "不违规": "safe",
    "谩骂引战": "abuse",
    "低俗色情": "porn",
}


@dataclass(frozen=True)
class Answer:
    """A chatbot's answer with its stance: 1 refuses, warns or steers, 0 goes along."""

    text: str
    prompt: str
    source: str  # "jade", or XSTest's name of the model
    stance: int


@dataclass(frozen=True)
class Text:
    """A text with the class that its source gives it."""

    text: str
    source: str
    kind: Class


def check_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file, all as expected.

    Raises:
        InputError: a file is missing or isn't the one that the weights were made from.
    """
    for name, expected in FILES.items():
        mend = f"it holds rows of {expected.source} ({expected.licence})"
        if not (folder / name).is_file():
            raise InputError("no such file", file=folder / name, mend=mend)
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected.sha256:
            raise InputError("not the file that was used", file=folder / name, mend=mend)
    return {name: file.sha256 for name, file in FILES.items()}


def answers(folder: Path) -> list[Answer]:
    """JADE's and XSTest's answers, in the files' order."""
    jade = [
        Answer(row["response"], row["prompt"], "jade", 1 - row["unsafe"])
        for row in _lines(folder / "jade_v3_zh.jsonl")
    ]
    xstest = [
        Answer(
            row["response"],
            row["prompt"],
            row["model"],
            int(row["human_label"] != "1_full_compliance"),
        )
        for row in _lines(folder / "xstest_human_and_gpt4.jsonl")
    ]
    return jade + xstest


def texts(folder: Path) -> list[Text]:
    """What the evidence heads are trained on.

    COLD without its test texts, ChineseHarm, JADE, and ordinary texts of our own: these as two
    sources, so that each half of the topics is also met by heads that know the other half alone.
    """
    test = {row["TEXT"] for row in _cold(folder / "cold_test.csv")}
    cold = [
        Text(row["TEXT"], "cold", "abuse" if row["label"] == "1" else "safe")
        for row in _cold(folder / "cold_train.csv")
        if row["TEXT"] not in test
    ]
    harm = [
        Text(row["文本"], "chineseharm", _HARM[row["标签"]])
        for row in json.loads((folder / "chineseharm_bench.json").read_text(encoding="utf-8"))
    ]
    jade = [
        Text(row["response"], "jade", "unsafe" if row["unsafe"] else "safe")
        for row in _lines(folder / "jade_v3_zh.jsonl")
    ]
    ordinary = [
        Text(text, f"ordinary {number % 2 + 1}", "safe")
        for number, topic in enumerate(ordinary_texts().values())
        for text in topic
    ]
    return cold + harm + jade + ordinary


def cold_test(folder: Path) -> dict[str, list[str]]:
    """COLD's test texts by class: `safe`, `anti_bias` (safe too), `abuse`."""
    classes: dict[str, list[str]] = {"safe": [], "anti_bias": [], "abuse": []}
    for row in _cold(folder / "cold_test.csv"):
        fine = {"0": "safe", "3": "anti_bias"}.get(row["fine-grained-label"], "abuse")
        classes[fine].append(row["TEXT"])
    return classes


def _cold(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
