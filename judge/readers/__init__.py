"""Input files -> a stream of `Record | BadRow`: one module a format, rows read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from judge.dimensions import BY_FLAGS, Dimensions, Mends, load_category_map, shipped_prompts
from judge.readers.lines import MOST_BYTES
from judge.readers.source import Source, open_sources
from judge.records import BadRow, PromptRow, Record
from judge.rows import LABEL_FIELDS, Row, RowParser
from judge.rubric import Rubrics

__all__ = [
    "Mends",
    "PromptRow",
    "ReadOptions",
    "load_category_map",
    "read_prompts",
    "read_records",
]

_PROMPT = ("prompt", "question", "messages")


@dataclass(frozen=True)
class ReadOptions:
    """How rows are read.

    Args:
        rubrics: the rubrics in use.
        dimension: the dimension of rows that name none and aren't the benchmark's own prompts.
        categories: dimension by category, as `load_category_map` gives it, for what is left.
        labelled: rows are read for their label: one without a usable label is bad, while prompt
            and response may be missing.
        label_field: the field of the label; without it `label`, `human_label` or `predicted`.
        stdin: what `-` reads; standard input unless given.
        called: what the one file that is read is called in place of its path, also as the model of
            rows that name none.
        row_bytes: of a row of text; a longer one is bad.
        mends: what rows without a known dimension are told to do.
    """

    rubrics: Rubrics
    dimension: str | None = None
    categories: Mapping[str, str] | None = None
    labelled: bool = False
    label_field: str | None = None
    stdin: BinaryIO | None = None
    called: str | None = None
    row_bytes: int = MOST_BYTES
    mends: Mends = BY_FLAGS

    def parser(self) -> RowParser:
        """A parser with these options, and with no row seen yet."""
        dimensions = Dimensions(self.rubrics, self.dimension, self.categories, self.mends)
        return RowParser(dimensions, labelled=self.labelled, label_field=self.label_field)


def read_records(paths: Sequence[str | Path], options: ReadOptions) -> Iterator[Record | BadRow]:
    """Read files row by row, in their order, at flat memory.

    Every file is opened and its format told before this returns; rows are read as they are taken.

    Args:
        paths: JSONL, a JSON array, CSV or Parquet, the first three also gzipped; `-` is standard
            input.
        options: how rows are read.

    Raises:
        InputError: a file can't be read as a whole, or an option is wrong.
    """
    opened = open_sources(paths, options.stdin, _needed(options), options.called)
    sources = [replace(source, row_bytes=options.row_bytes) for source in opened]
    parser = options.parser()
    return (parser.record(line, row) for source in sources for line, row in _rows(source, parser))


def read_prompts(paths: Sequence[str | Path], options: ReadOptions) -> Iterator[PromptRow | BadRow]:
    """Read prompts for a model under test, like `read_records`; rows need no response.

    Args:
        paths: the files; without any, the benchmark's released prompts.
        options: how rows are read; `labelled` and `label_field` play no part.

    Raises:
        InputError: a file can't be read as a whole, or an option is wrong.
    """
    parser = options.parser()
    if not paths:
        parser.begin("flames_prompts.jsonl", "")
        shipped = enumerate(shipped_prompts(), 1)
        return (parser.prompt(line, prompt._asdict()) for line, prompt in shipped)
    sources = open_sources(paths, options.stdin, [_PROMPT])
    return (parser.prompt(line, row) for source in sources for line, row in _rows(source, parser))


def _needed(options: ReadOptions) -> Sequence[Sequence[str]]:
    if not options.labelled:
        return [_PROMPT, ("response", "messages")]
    return [LABEL_FIELDS if options.label_field is None else (options.label_field,)]


def _rows(source: Source, parser: RowParser) -> Iterator[tuple[int, Row]]:
    parser.begin(source.name, source.stem)
    return source.rows()
