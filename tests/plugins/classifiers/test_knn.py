"""The nearest neighbours against brute force."""

from __future__ import annotations

import pytest
import torch

from dimecli.errors import UserError
from dimecli.plugin import Labelled
from dimecli_plugins.classifiers.knn import KNN


def drawn(count: int, size: int, seed: int) -> Labelled:
    rng = torch.Generator().manual_seed(seed)
    return Labelled(torch.randn(count, size, generator=rng), torch.randint(4, (count,), generator=rng), 4)


@pytest.mark.parametrize("size", [1, 3, 16, 40])  # trees below 16 dimensions, all distances from there on
@pytest.mark.parametrize("k", [1, 5, 8])
def test_votes_of_the_nearest(k: int, size: int) -> None:
    train, test = drawn(300, size, 0), drawn(100, size, 1)
    distances = (test.codes.double()[:, None] - train.codes.double()).square().sum(2)
    votes = train.labels[distances.argsort(1)[:, :k]]
    counts = torch.stack([(votes == label).sum(1) for label in range(4)], 1)
    found = KNN(neighbors=k).fit(train, train, torch.Generator()).predict(test.codes)
    assert torch.equal(found, counts.argmax(1))  # the first of equals
    assert found.dtype == torch.int64


def test_a_training_code_is_its_own_neighbour() -> None:
    train = drawn(50, 3, 0)
    assert torch.equal(KNN(neighbors=1).fit(train, train, torch.Generator()).predict(train.codes), train.labels)


def test_too_few_codes() -> None:
    few = drawn(4, 3, 0)
    with pytest.raises(UserError, match=r"^--neighbors 5: there are only 4 training codes$"):
        KNN().fit(few, few, torch.Generator())
    KNN(neighbors=4).fit(few, few, torch.Generator()).predict(few.codes)
