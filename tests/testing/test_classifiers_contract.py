"""The contract of classifiers: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch

from dimecli.plugin import Classifier, FittedClassifier, Labelled
from dimecli.testing import Contract
from dimecli.testing.classifiers import check_classifier

PREDICT = "predict(codes) gives (N,) classes, int64"
FAR = "it tells classes that are far apart"
SEED = "the same seed gives the same classifier"
RESTORE = "what restore gives is what fit gave"
ALONE = "the class of a code does not depend on the other codes"
UNCHANGED = "it leaves the codes that it is given as they were"


def broken(classifier: Classifier) -> dict[str, str]:
    """What is wrong, by the promise that is broken."""
    contract = Contract()
    with contract.section():
        check_classifier(contract, classifier)
    assert contract.findings
    return {finding.promise: finding.reason for finding in contract.findings if not finding.held}


class Means:
    """The nearest mean."""

    def __init__(self, means: torch.Tensor) -> None:
        self.means = means

    def predict(self, codes: torch.Tensor) -> torch.Tensor:
        return torch.cdist(codes, self.means).argmin(1)

    def state(self) -> dict[str, torch.Tensor]:
        return {"means": self.means}


class Good(Classifier):
    """The class with the nearest mean."""

    fitted: ClassVar[type[Means]] = Means

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        means = [train.codes[train.labels == label].mean(0) for label in range(train.classes)]
        return self.fitted(torch.stack(means))

    def restore(self, state: Mapping[str, torch.Tensor]) -> FittedClassifier:
        return self.fitted(state["means"])


class Noisy(Good):
    """Its means are anywhere."""

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        return Means(torch.randn(train.classes, 4, generator=torch.Generator().manual_seed(5)))


class Unseeded(Good):
    """Draws from a generator of its own."""

    drawn: ClassVar[list[int]] = []

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        self.drawn.append(0)
        return Means(super().fit(train, validation, rng).state()["means"].roll(len(self.drawn), 0))


class GlobalNoise(Good):
    """Draws from torch's global generator."""

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        torch.rand(())
        return super().fit(train, validation, rng)


class Writing(Good):
    """Scales the training codes where they are."""

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        train.codes.mul_(1.0 + 1e-4)
        return super().fit(train, validation, rng)


class Forgetful(Good):
    """Forgets what it learned."""

    def restore(self, state: Mapping[str, torch.Tensor]) -> FittedClassifier:
        return Means(torch.zeros_like(state["means"]))


def predicting(predict: Any) -> type[Classifier]:
    """`Good` with other predictions."""

    class Broken(Good):
        fitted = type("Fitted", (Means,), {"predict": predict})

    return Broken


def test_a_good_classifier_keeps_every_promise() -> None:
    assert not broken(Good())


@pytest.mark.parametrize(
    ("classifier", "promise", "reason"),
    [
        (
            predicting(lambda self, z: Means.predict(self, z).float()),
            PREDICT,
            "is (90,) torch.float32; return (N,) int64",
        ),
        (predicting(lambda self, z: Means.predict(self, z)[:1]), PREDICT, "is (1,) torch.int64"),
        (predicting(lambda self, z: 1 + Means.predict(self, z)), PREDICT, "it predicts classes [3] of 3"),
        (Noisy, FAR, "of far classes are told apart; fit until they are"),
        (Unseeded, SEED, "it gives another one; draw from `rng` only"),
        (GlobalNoise, "it fits labelled codes", "it draws from torch's global generator"),
        (predicting(lambda self, z: Means.predict(self, z - z.mean(0) + self.means.mean(0))), ALONE, "without them"),
        (Writing, UNCHANGED, "it changes them; clone tensors before you write to them"),
        (Forgetful, RESTORE, "it predicts otherwise; put all that is learned into state()"),
    ],
)
def test_a_breach_is_told_by_its_promise(classifier: type[Classifier], promise: str, reason: str) -> None:
    found = broken(classifier())
    assert reason in found[promise]
    assert found.keys() <= {promise, FAR}
