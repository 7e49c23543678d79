"""Columns of Parquet files, a group of rows at a time, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dimecli.errors import UserError, did_you_mean

CHUNK = 65_536
"""Rows at a time, or as many as a row group of a file has."""


def numeric(file: Path, label: str | None) -> tuple[str, ...]:
    """Names of the columns with numbers, without that of the labels.

    Raises:
        UserError: there are none, or the file is no Parquet.
    """
    with _opened(file) as parquet:
        names = tuple(field.name for field in parquet.schema_arrow if _is_number(field.type) and field.name != label)
    if not names:
        raise UserError(f"{file} has no column with numbers{f' but {label!r}' * (label is not None)}")
    return names


def batches(
    files: Sequence[Path], names: Sequence[str], label: str | None
) -> Iterator[tuple[Path, int, pa.RecordBatch]]:
    """The rows of all files in order: the file, the number of the first row in it, and at most `CHUNK` rows.

    Raises:
        UserError: a file is no Parquet or is damaged, or lacks a column; names both.
    """
    wanted = [*names, *([] if label is None else [label])]
    for file in files:
        with _opened(file) as parquet:
            known = parquet.schema_arrow.names
            for name in wanted:
                option = "--label-column" if name == label else "--columns"
                if name not in known:
                    raise UserError(f"{option} {name}: {file} has no such column.{did_you_mean(name, known)}")
            first = 0
            try:
                for batch in parquet.iter_batches(CHUNK, columns=wanted):
                    yield file, first, batch
                    first += len(batch)
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{file} is damaged ({error})") from error


def numbers(column: pa.Array, where: str, first: int) -> NDArray[np.float32]:
    """`(n,)` finite values.

    Args:
        column: The values.
        where: File and column, for messages.
        first: Number of the first row.

    Raises:
        UserError: they are no numbers, or one is missing or not finite; names its row.
    """
    if not _is_number(column.type):
        raise UserError(f"{where} has the type {column.type}; allowed: integers, floats and booleans")
    values: NDArray[np.float32] = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype("<f4")
    wrong = ~np.isfinite(values)  # a missing value has become NaN
    if wrong.any():
        row = int(wrong.argmax())
        value = column[row].as_py()
        raise UserError(f"{where}, row {first + row}: {value}; allowed: finite numbers that float32 can hold")
    return values


def labels(column: pa.Array, where: str, first: int) -> list[str | int]:
    """The labels of n rows.

    Raises:
        UserError: they are no labels, or one is missing; names its row.
    """
    values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind)):
        raise UserError(f"{where} has the type {kind}; allowed for labels: integers, booleans and strings")
    if values.null_count:
        row = values.is_null().to_numpy(zero_copy_only=False).argmax()
        raise UserError(f"{where}, row {first + int(row)}: there is no label; every row needs one")
    listed: list[str | int] = values.to_pylist()
    return listed


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, pre_buffer=False)  # which would hold the whole file
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as Parquet ({error})") from error


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
