"""Rows of a flat table that are read one by one. Importing this module imports torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from .decode import CHUNK
from .flat import FlatTable


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a table, `(D,)` float32 each; what dime calls a `Source`.

    Args:
        table: Where they are read from.
        numbers: `(N,)` int64: which rows, in which order.
        mean: `(D,)`, or one number for all columns: subtracted from each row.
        std: The same: what it is divided by then.
    """

    table: FlatTable
    numbers: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> torch.Tensor:
        return (torch.from_numpy(self.table.rows()[int(self.numbers[index])].copy()) - self.mean) / self.std

    def fingerprint(self) -> str:
        """SHA-256 over the values of the table, over which rows these are and how they are scaled."""
        digest = hashlib.sha256(self.table.fingerprint.encode())
        for part in (self.numbers, self.mean, self.std):
            digest.update(part.numpy().tobytes())
        return digest.hexdigest()


def moments(table: FlatTable, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(D,)` float32 means and standard deviations of some rows; 1 for the deviation of a constant column."""
    total = torch.zeros(2, len(table.columns), dtype=torch.float64)
    first = torch.from_numpy(table.rows()[int(numbers[0])].copy()).double()  # squares of differences keep their digits
    for chunk in numbers.split(CHUNK):
        x = torch.from_numpy(table.rows()[chunk.numpy()]).double() - first  # (n, D)
        total += torch.stack([x.sum(0), x.square().sum(0)])
    mean, square = total / len(numbers)
    std = (square - mean.square()).clamp(min=0).sqrt().float()
    return (first + mean).float(), torch.where(std > 0, std, 1.0)
