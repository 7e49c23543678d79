"""The dataset: its options, its splits, and what is done to its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from dimecli.data.options import NoisyDataset
from dimecli.data.samples import Samples, split_off
from dimecli.data.spec import Spec
from dimecli.lazy import torch


class Parquet(NoisyDataset):
    """Your own tables, from Parquet files: every row is a vector of the numbers in its columns.

    Parquet compresses rows in groups, so that one cannot be read alone. The files are decoded once, a group
    at a time, into a flat file of float32 in the cache ($DIME_CACHE); rows are read from there when they are
    needed, with `--stream always`, or where the table does not fit into memory, a batch at a time. The flat
    file is made anew when the Parquet files change, and may be deleted at any time.
    """

    path: Path = Field(Path("data.parquet"), description="A Parquet file, or a folder of them, taken by their names.")
    columns: tuple[str, ...] = Field((), description="Columns to take; default: all numbers but --label-column.")
    label_column: str | None = Field(None, description="Column with the classes, integers or strings; default: none.")
    standardise: bool = Field(
        True, description="Subtract the mean of each column and divide by its standard deviation, those of training."
    )
    test: float = Field(0.2, gt=0, lt=1, description="Share of the rows kept for testing.")
    likelihood: Literal["gaussian", "laplace"] = Field("gaussian", description="p(x|z), the distribution of x.")

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(D,)` float32 each, read from the flat file, and the classes if there are any.

        Raises:
            UserError: a file or a column is missing or is not as it has to be, or a value is missing or not finite.
        """
        from .flat import flat_table
        from .rows import Rows, moments

        table = flat_table(self.path.expanduser(), self.columns, self.label_column)
        spec = Spec(
            modality="vector",
            shape=(len(table.columns),),
            likelihood=self.p_x_given_z(bounded=False),
            classes=table.classes,
        )
        labels = torch.from_numpy(table.labels()) if table.classes else None
        train, test = split_off(Samples(spec, torch.arange(table.count), labels), self.test, "--test")
        chosen = train if split == "train" else test
        assert isinstance(train.x, torch.Tensor)
        assert isinstance(chosen.x, torch.Tensor)
        mean, std = moments(table, train.x) if self.standardise else (torch.zeros(1), torch.ones(1))
        return Samples(spec, Rows(table, chosen.x, mean, std), chosen.y)
