"""The nearest class mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Classifier, FittedClassifier, Labelled


class Example(Classifier):
    """The class whose mean code is nearest: `argmin_k |z - c_k|`.

    The centres are drawn to the mean m of all codes: `c_k = (1 - s) m_k + s m`, with the mean m_k of class k.
    """

    shrinkage: float = Field(0.0, ge=0, lt=1, description="Share s by which the centres are drawn together.")

    random = False

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        """The centres of the classes that are in the training codes."""
        classes = train.labels.unique()  # (K,)
        means = torch.stack([train.codes[train.labels == k].mean(0) for k in classes])  # (K, l)
        return _Centres(classes, torch.lerp(means, train.codes.mean(0), self.shrinkage))

    def restore(self, state: Mapping[str, torch.Tensor]) -> FittedClassifier:
        """The classifier of that state."""
        return _Centres(**state)


@dataclass(frozen=True)
class _Centres:
    """What was fitted: `(K,)` classes and their `(K, l)` centres."""

    classes: torch.Tensor
    centres: torch.Tensor

    def predict(self, codes: torch.Tensor) -> torch.Tensor:
        """`(N,)` classes of `(N, l)` codes."""
        return self.classes[torch.cdist(codes, self.centres).argmin(1)]

    def state(self) -> dict[str, torch.Tensor]:
        """The classes and centres."""
        return dict(vars(self))
