"""Multinomial logistic regression against sklearn, scipy and what is known of its optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from dimecli.plugin import Labelled
from dimecli_plugins.classifiers.linear import GRID, Linear


def clusters(count: int, seed: int, classes: int = 3, size: int = 4, noise: float = 1.0) -> Labelled:
    """Classes around the corners of a simplex."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=rng)
    codes = 2.0 * F.one_hot(labels, size).float() + noise * torch.randn(count, size, generator=rng)
    return Labelled(codes, labels, classes)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("c", [0.1, 1.0])
def test_the_optimum_is_that_of_a_general_minimiser(c: float) -> None:
    train = clusters(80, 0)
    x, y = train.codes.double(), train.labels

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = torch.from_numpy(flat).requires_grad_()
        weight, bias = w[:12].view(3, 4), w[12:]
        loss = weight.square().sum() / 2 + c * F.cross_entropy(x @ weight.T + bias, y, reduction="sum")
        loss.backward()
        assert w.grad is not None
        return loss.item(), w.grad.numpy()

    best = minimize(objective, np.zeros(15), jac=True, tol=1e-12)
    state = Linear(c=c).fit(train, clusters(20, 1), rng()).state()
    np.testing.assert_allclose(state["weight"].numpy().ravel(), best.x[:12], atol=2e-3)
    bias = best.x[12:] - best.x[12:].mean()  # a constant that is added to all has no effect
    np.testing.assert_allclose(state["bias"].numpy() - state["bias"].mean().item(), bias, atol=2e-3)


@pytest.mark.parametrize(("classes", "size"), [(2, 2), (2, 5), (3, 3), (7, 9)])
def test_it_predicts_what_sklearn_predicts(classes: int, size: int) -> None:
    train, test = (clusters(200, seed, classes, size) for seed in (0, 1))
    reference = LogisticRegression(C=0.5, max_iter=1000).fit(train.codes.double(), train.labels)
    found = Linear(c=0.5).fit(train, clusters(20, 2, classes, size), rng()).predict(test.codes)
    np.testing.assert_array_equal(found.numpy(), reference.predict(test.codes.double()))


def test_validation_chooses_the_penalty_and_among_equals_the_strongest() -> None:
    train, validation = clusters(30, 0, noise=1.5, size=20), clusters(300, 1, noise=1.5, size=20)
    fits = [Linear(c=c).fit(train, validation, rng()) for c in GRID]
    right = [int(fit.predict(validation.codes).eq(validation.labels).sum()) for fit in fits]
    chosen = Linear().fit(train, validation, rng()).state()["weight"]
    assert len(set(right)) > 1
    assert torch.equal(chosen, fits[right.index(max(right))].state()["weight"])
    far = clusters(60, 2, noise=0.01)
    assert torch.equal(
        Linear().fit(far, far, rng()).state()["weight"], Linear(c=GRID[0]).fit(far, far, rng()).state()["weight"]
    )


def test_classes_that_are_not_in_the_training_codes_are_never_told() -> None:
    train = clusters(100, 0, classes=2, size=3)
    gap = Labelled(train.codes, 2 * train.labels, 4)  # of the classes 0 to 3 only 0 and 2 are seen
    found = Linear().fit(gap, gap, rng()).predict(clusters(50, 1, size=3).codes)
    assert set(found.tolist()) == {0, 2}


def test_random_labels_are_told_by_chance() -> None:
    train, test = (
        Labelled(of.codes, of.labels[torch.randperm(2000, generator=rng())], 3)
        for of in (clusters(2000, 0), clusters(2000, 1))
    )
    found = Linear().fit(train, train, rng()).predict(test.codes)
    assert abs(found.eq(test.labels).float().mean().item() - 1 / 3) < 0.05
