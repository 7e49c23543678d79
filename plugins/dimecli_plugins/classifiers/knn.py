"""The k nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Classifier, FittedClassifier, Labelled


class KNN(Classifier):
    """The most frequent class among the k nearest training codes (MIM, Table 2, with k = 5).

    Distances are Euclidean; of classes that are equally frequent the first one is told.
    """

    neighbors: int = Field(5, ge=1, description="Neighbours k.")

    random = False

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        """All training codes.

        Raises:
            UserError: there are fewer than k.
        """
        if len(train.codes) < self.neighbors:
            raise UserError(f"--neighbors {self.neighbors}: there are only {len(train.codes)} training codes")
        return Neighbors(self.neighbors, train.codes, train.labels)

    def restore(self, state: Mapping[str, torch.Tensor]) -> FittedClassifier:
        """The classifier of that state."""
        return Neighbors(self.neighbors, **state)


@dataclass(frozen=True)
class Neighbors:
    """Training codes whose classes are known.

    Args:
        k: How many of them vote.
        codes: `(N, l)`.
        labels: `(N,)`.
    """

    k: int
    codes: torch.Tensor
    labels: torch.Tensor

    def predict(self, codes: torch.Tensor) -> torch.Tensor:
        """The class that most of the k nearest have."""
        return torch.from_numpy(self._index.predict(codes.numpy()))

    def state(self) -> dict[str, torch.Tensor]:
        """Codes and labels."""
        return {"codes": self.codes, "labels": self.labels}

    @cached_property
    def _index(self) -> Any:
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(self.k).fit(self.codes.numpy(), self.labels.numpy())
