"""Parquet, batch by batch. Needs pyarrow, which the `parquet` extra installs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from judge.errors import InputError
from judge.readers.table import column_names
from judge.records import UnreadableRowError
from judge.rows import Row

_BATCH = 1024
_DAMAGED = UnreadableRowError("the rest of the file is damaged", "write the file again")
_ODD_TEXT = UnreadableRowError("holds a value that can't be read", "is its text UTF-8?")


def open_parquet(file: str, name: str) -> Any:
    """The opened file, with its schema read; `name` is what an error calls it.

    Raises:
        InputError: pyarrow is missing, or the file can't be read.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        mend = "pip install 'flames-judge[parquet]'"
        raise InputError("Parquet needs pyarrow", file=name, mend=mend) from None
    try:
        return parquet.ParquetFile(file)
    except (pa.ArrowException, OSError, ValueError):
        mend = "write it again, uncompressed as a whole"
        raise InputError("is not a whole Parquet file", file=name, mend=mend) from None


def parquet_columns(table: Any) -> list[str]:
    """The columns by the names that rows know."""
    return column_names(table.schema_arrow.names)


def parquet_rows(file: str, wanted: Collection[str] | None) -> Iterator[tuple[int, Row]]:
    """The rows of a file, numbered from 1; of its columns those that are wanted, or all."""
    table = open_parquet(file, file)
    names = zip(table.schema_arrow.names, parquet_columns(table), strict=True)
    columns = {name: known for name, known in names if wanted is None or known in wanted}
    number = 0
    try:
        with table:
            for batch in table.iter_batches(_BATCH, columns=list(columns), use_threads=False):
                for row in _batch_rows(batch, columns):
                    number += 1
                    yield number, row
    except (OSError, ValueError, ArithmeticError, LookupError, NotImplementedError, TypeError):
        yield number + 1, _DAMAGED


def _batch_rows(batch: Any, columns: dict[str, str]) -> Iterator[Row]:
    """A batch's rows; where one can't be turned into Python values, the others still are."""
    batch = batch.rename_columns([columns[name] for name in batch.schema.names])
    try:
        yield from batch.to_pylist()
    except (ValueError, ArithmeticError):
        for place in range(batch.num_rows):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except (ValueError, ArithmeticError):
                yield _ODD_TEXT
