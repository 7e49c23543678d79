from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli_plugins.datasets.digits import Digits


def pixels(samples: Samples) -> torch.Tensor:
    assert isinstance(samples.x, torch.Tensor)
    return samples.x


def test_splits_are_all_digits_once_and_stay_the_same() -> None:
    dataset = Digits()
    train, validation, test = (dataset.load(name) for name in ("train", "validation", "test"))
    assert [len(part) for part in (train, validation, test)] == [1294, 144, 359]
    digits = load_digits()
    expected = sorted(zip((digits.data / 16).astype(np.float32).tolist(), digits.target.tolist(), strict=True))
    got = []
    for part in (train, validation, test):
        assert part.y is not None
        got += list(zip(pixels(part).flatten(1).tolist(), part.y.tolist(), strict=True))
        assert part.spec == train.spec
    assert sorted(got) == expected
    assert dataset.load("test").fingerprint() == Digits(validation=0.3).load("test").fingerprint()


def test_spec() -> None:
    samples = Digits().read("train")
    assert pixels(samples).shape[1:] == samples.spec.shape == (1, 8, 8)
    assert pixels(samples).dtype == torch.float32
    assert pixels(samples).min() == 0
    assert pixels(samples).max() == 1
    assert samples.spec.classes == tuple("0123456789")
    assert samples.spec.likelihood == Gaussian(bounded=True)
    assert Digits(likelihood="bernoulli").read("train").spec.likelihood == Bernoulli()


def test_the_test_share() -> None:
    assert len(Digits(test=0.5).read("test")) == 898
    with pytest.raises(UserError, match=r"--test 0\.0001: that share of 1797 samples"):
        Digits(test=1e-4).read("test")
