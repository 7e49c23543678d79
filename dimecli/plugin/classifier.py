"""What classifiers of codes keep to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from dimecli.lazy import torch
from dimecli.plugin.base import Plugin


@dataclass(frozen=True)
class Labelled:
    """Codes and the classes of what they are of.

    Args:
        codes: `(N, l)` float32, on the CPU.
        labels: `(N,)` int64, from 0 to `classes - 1`.
        classes: How many there are.
    """

    codes: torch.Tensor
    labels: torch.Tensor
    classes: int


class FittedClassifier(Protocol):
    """A classifier that has seen its training codes."""

    def predict(self, codes: torch.Tensor) -> torch.Tensor:
        """`(N,)` int64 classes of `(N, l)` codes."""

    def state(self) -> dict[str, torch.Tensor]:
        """What was learned, for `Classifier.restore`."""


class Classifier(Plugin):
    """What tells the classes of samples from their codes alone, to see what a latent space knows of them."""

    kind = "classifier"
    group = "dimecli.classifiers"

    random: ClassVar[bool] = True
    """False where the seed has no say, so that one repeat says all."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named settings, each laid out as a TOML file for `dime classify`: `{"classifier": {...}}`."""

    @abstractmethod
    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        """Fit the training codes; the validation codes choose, such as when to stop. Test codes are never seen."""

    @abstractmethod
    def restore(self, state: Mapping[str, torch.Tensor]) -> FittedClassifier:
        """What `fit` returned, from its `state()`."""
