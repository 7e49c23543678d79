"""The dataset keeps the contract, gives the bits of an array in memory, and never holds the whole table."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from dime_parquet import decode
from dime_parquet.dataset import Parquet
from numpy.typing import NDArray

from dimecli import train
from dimecli.data.batches import Batches
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli.registry import make
from dimecli.testing import check_plugin

ROWS, COLUMNS = 1000, 3


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIME_CACHE", str(tmp_path / "cache"))


def numbers(rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(5, 3, (rows, columns)).astype(np.float32)


def write(folder: Path, x: NDArray[np.float32], files: int = 2) -> Path:
    """Parquet files of a table with columns c0, c1, ... and labels in `kind`."""
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(x)), files)):
        columns = {f"c{i}": x[part, i] for i in range(x.shape[1])}
        kinds = np.array(["b", "a", "c"])[part % 3]
        pq.write_table(pa.table({**columns, "kind": kinds}), folder / f"{number}.parquet", row_group_size=100)
    return folder


def rows(samples: Samples) -> torch.Tensor:
    return torch.stack([samples.x[index] for index in range(len(samples))])


def test_contract() -> None:
    untried = check_plugin("dataset", "parquet")
    assert untried is not None
    assert "data.parquet: no such file" in untried


@pytest.mark.parametrize("stream", ["always", "never"])
def test_the_same_bits_as_from_memory(tmp_path: Path, stream: str) -> None:
    np.savez(tmp_path / "data.npz", x=numbers())
    own = Parquet(path=write(tmp_path / "table", numbers()), standardise=False)
    arrays = make("dataset", "arrays", path=tmp_path / "data.npz")
    weights = [
        train("ae", data, runs=tmp_path, epochs=1, batch_size=50, stream=how).record["weights"]
        for data, how in ((own, stream), (arrays, "never"))
    ]
    assert weights[0] == weights[1]


def test_columns_are_standardised_by_the_rows_to_train_on(tmp_path: Path) -> None:
    table = write(tmp_path / "table", numbers())
    x = rows(Parquet(path=table).read("train"))
    assert x.mean(0).abs().max() < 1e-5
    assert (x.std(0, correction=0) - 1).abs().max() < 1e-5
    raw = rows(Parquet(path=table, standardise=False).read("train"))
    torch.testing.assert_close(x, (raw - raw.mean(0)) / raw.std(0, correction=0))


def test_labels_are_those_of_their_rows(tmp_path: Path) -> None:
    samples = Parquet(path=write(tmp_path / "table", numbers()), label_column="kind", standardise=False).read("test")
    assert samples.spec.classes == ("a", "b", "c")
    assert samples.spec.shape == (COLUMNS,)
    places = [int(np.flatnonzero((numbers() == row.numpy()).all(1))[0]) for row in rows(samples)]
    assert samples.y is not None
    assert samples.y.tolist() == [(1, 0, 2)[place % 3] for place in places]


def test_a_large_table_is_never_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of 6 MB is decoded a row group of 6 kB at a time, and batched with little more than its row numbers."""
    table = write(tmp_path / "table", numbers(50_000, 30))
    held, read = [], decode.numbers

    def watched(column: pa.Array, where: str, first: int) -> NDArray[np.float32]:
        held.append(pa.total_allocated_bytes() - before)
        return read(column, where, first)

    monkeypatch.setattr(decode, "numbers", watched)
    monkeypatch.setattr(decode, "CHUNK", 1000)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    samples = Parquet(path=table, standardise=False).read("train")
    batches = Batches(samples, torch.device("cpu"), stream="always")
    total = sum(batch.double().sum().item() for batch in batches.shuffled(1000, seed=1, epoch=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(held) < 5e5
    assert peak < 5e6
    assert total == pytest.approx(5 * 40_000 * 30, rel=0.01)


def test_the_cache_follows_the_files(tmp_path: Path) -> None:
    table = write(tmp_path / "table", numbers())
    before = Parquet(path=table).read("train").fingerprint()
    assert Parquet(path=table).read("train").fingerprint() == before
    write(table, numbers() + 1)
    assert Parquet(path=table).read("train").fingerprint() != before
    write(table, numbers(), files=1)  # the second file is still that of numbers() + 1
    assert len(Parquet(path=table).read("train")) == 1200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ("c0", "c7")}, "--columns c7: .*0.parquet has no such column"),
        ({"columns": ("kind",)}, "'kind' has the type string; allowed: integers, floats and booleans"),
        ({"label_column": "kin"}, "--label-column kin: .* Did you mean"),
        ({"label_column": "c0", "columns": ("c0",)}, "'c0' has the type float; allowed for labels"),
        ({"columns": ("hole",)}, "'hole', row 2: None; allowed: finite numbers"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, options: dict[str, object], said: str) -> None:
    columns = {"c0": np.ones(3, np.float32), "kind": ["a", "b", "c"], "hole": [1.0, 2.0, None]}
    pq.write_table(pa.table(columns), tmp_path / "0.parquet")
    with pytest.raises(UserError, match=said):
        Parquet(path=tmp_path, **options).read("train")
    assert not list((tmp_path / "cache").glob("*parquet*"))


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"a\.parquet cannot be read as Parquet"):
        Parquet(path=tmp_path).read("train")
    with pytest.raises(UserError, match="no such file"):
        Parquet(path=tmp_path / "b.parquet").read("train")
