from __future__ import annotations

import math

import pytest
import torch

from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples
from dimecli_plugins.datasets.gaussian_mixture import GaussianMixture


def parts(samples: Samples) -> tuple[torch.Tensor, torch.Tensor]:
    assert isinstance(samples.x, torch.Tensor)
    assert samples.y is not None
    return samples.x, samples.y


@pytest.mark.parametrize("dimension", [2, 3, 20])
def test_every_component_has_its_mean_and_deviation(dimension: int) -> None:
    dataset = GaussianMixture(dimension=dimension)
    samples = dataset.read("train")
    x, y = parts(samples)
    assert x.shape == (10_000, dimension)
    assert x.dtype == torch.float32
    assert samples.spec.shape == (dimension,)
    assert samples.spec.modality == "vector"
    assert samples.spec.likelihood == Gaussian()
    assert samples.spec.classes == tuple("01234")
    torch.testing.assert_close(dataset.means().norm(dim=1), torch.ones(5))
    for component, mean in enumerate(dataset.means()):
        own = x[y == component]
        assert abs(len(own) - 2000) < 5 * math.sqrt(10_000 * 0.2 * 0.8)
        assert (own.mean(0) - mean).abs().max() < 5.5 * 0.25 / math.sqrt(len(own))
        correlation = 5.5 * 0.25**2 * math.sqrt(2 / len(own))
        assert (torch.cov(own.T) - 0.25**2 * torch.eye(dimension)).abs().max() < correlation


def test_the_means_in_two_dimensions_are_a_pentagon() -> None:
    means = GaussianMixture(dimension=2).means().double()
    chord, diagonal = 2 * math.sin(math.pi / 5), 2 * math.sin(2 * math.pi / 5)
    expected = torch.tensor([chord] * 5 + [diagonal] * 5, dtype=torch.float64)
    torch.testing.assert_close(torch.pdist(means).sort().values, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dimension", [2, 20])
def test_splits_and_seeds_give_other_draws_of_the_same_mixture(dimension: int) -> None:
    dataset = GaussianMixture(dimension=dimension, samples=50)
    other = GaussianMixture(dimension=dimension, samples=50, data_seed=1)
    draws = [dataset.read("train"), dataset.read("test"), other.read("train"), other.read("test")]
    assert len({draw.fingerprint() for draw in draws}) == 4
    assert len(torch.unique(torch.cat([parts(draw)[0] for draw in draws]), dim=0)) == 200
    assert dataset.read("train").fingerprint() == draws[0].fingerprint()
    assert torch.equal(dataset.means(), other.means())


def test_validation_is_taken_from_the_training_samples() -> None:
    dataset = GaussianMixture(samples=100, validation=0.25)
    assert len(dataset.load("train")) == 75
    assert len(dataset.load("validation")) == 25
    assert len(dataset.load("test")) == 100
