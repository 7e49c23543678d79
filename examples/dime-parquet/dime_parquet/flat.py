"""Parquet files as one flat file of float32, which rows can be read from in any order."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dimecli.data.cache import cache_folder
from dimecli.errors import DimeError, UserError

from . import decode

_FORMAT = 1  # of the cache; another number where the same files give another table


@dataclass(frozen=True)
class FlatTable:
    """A table in a folder of the cache.

    Args:
        folder: Has `x`, the rows one after the other, and `y.npy`, the labels, if there are any.
        columns: Names of the D columns.
        count: Number of rows, N.
        classes: Names of the labels 0, 1, ...; empty if there are none.
        fingerprint: SHA-256 of the names of the columns and of all values.
    """

    folder: Path
    columns: tuple[str, ...]
    count: int
    classes: tuple[str, ...]
    fingerprint: str

    def rows(self) -> NDArray[np.float32]:
        """`(N, D)`, mapped into memory: what is not looked at is not read."""
        return _mapped(self.folder / "x", self.count, len(self.columns))

    def labels(self) -> NDArray[np.int64]:
        """`(N,)`."""
        labels: NDArray[np.int64] = np.load(self.folder / "y.npy", allow_pickle=False)
        return labels


def flat_table(path: Path, columns: Sequence[str], label: str | None) -> FlatTable:
    """The table of a Parquet file or of a folder of them, decoded now unless it is in the cache.

    Raises:
        UserError: a file or a column is not there or is not as it has to be.
        DimeError: the cache cannot be written.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise UserError(f"--path {path}: no such file, or a folder without files named *.parquet")
    seen = [(str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(json.dumps([_FORMAT, seen, columns, label]).encode()).hexdigest()[:32]
    folder = cache_folder() / f"parquet-{key}"
    if not folder.is_dir():
        try:
            _write(folder, files, columns, label)
        except OSError as error:
            raise DimeError(f"{folder} cannot be written ({error.strerror}); $DIME_CACHE moves the cache") from error
    about = json.loads((folder / "table.json").read_text())
    return FlatTable(folder, tuple(about["columns"]), about["count"], tuple(about["classes"]), about["fingerprint"])


@lru_cache(maxsize=4)
def _mapped(file: Path, count: int, columns: int) -> NDArray[np.float32]:
    """One mapping for a process, whoever asks."""
    return np.memmap(file, dtype="<f4", mode="r", shape=(count, columns))


def _write(folder: Path, files: Sequence[Path], columns: Sequence[str], label: str | None) -> None:
    """The folder, complete from the moment that it is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        about = _decode(work, files, columns, label)
        (work / "table.json").write_text(json.dumps(about))
        if not folder.is_dir():  # another process may have been faster
            os.rename(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _decode(work: Path, files: Sequence[Path], columns: Sequence[str], label: str | None) -> dict[str, Any]:
    """Writes `x` and `y.npy`, and says what they are."""
    names = tuple(columns) or decode.numeric(files[0], label)
    digest, count = hashlib.sha256(json.dumps(names).encode()), 0
    met: dict[str | int, int] = {}  # labels, numbered in the order in which they are met
    labels: list[NDArray[np.int64]] = []
    with (work / "x").open("wb") as out:
        for file, first, batch in decode.batches(files, names, label):
            block = np.stack([decode.numbers(batch[name], f"{file}: '{name}'", first) for name in names], axis=1)
            out.write(block.data)
            digest.update(block.data)
            count += len(block)
            if label is not None:
                values = decode.labels(batch[label], f"{file}: '{label}'", first)
                labels.append(np.array([met.setdefault(value, len(met)) for value in values], np.int64))
    if not count:
        raise UserError(f"{files[0].parent if len(files) > 1 else files[0]} has no rows")
    classes = sorted(met, key=lambda value: (isinstance(value, str), value))
    if label is not None:
        sorted_place = np.argsort([met[value] for value in classes])  # by the number that a label got when it was met
        np.save(work / "y.npy", sorted_place[np.concatenate(labels)])
    return {"columns": names, "count": count, "classes": list(map(str, classes)), "fingerprint": digest.hexdigest()}
