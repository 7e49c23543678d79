"""Batches by Thompson sampling, beside the probabilities that points are the best."""

from __future__ import annotations

import math

import numpy as np
import torch

from dimecli.search.candidates import Pool
from dimecli.search.gp import ExactGP
from dimecli.search.thompson import choose, propose

DRAWS = 2_000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def process() -> ExactGP:
    """Two noisy values on a circle, in a scale of 3 around 10."""
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    targets = torch.tensor([0.4, -0.6], dtype=torch.float64)
    return ExactGP(codes, targets, 10.0, 3.0, torch.tensor([0.9], dtype=torch.float64), 1.5, 0.2)


def circle(*angles: float) -> torch.Tensor:
    return torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles], dtype=torch.float64)


def moments(gp: ExactGP, z: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the latent function at points, by the textbook formula."""

    def kernel(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
        return (gp.outputscale * torch.exp(-torch.cdist(a, b).square() / (2 * gp.lengthscale**2))).numpy()

    inverse = np.linalg.inv(kernel(gp.codes, gp.codes) + gp.noise_ratio * np.eye(len(gp.codes)))
    constant = (inverse @ gp.targets.numpy()).sum() / inverse.sum()
    cross = kernel(z, gp.codes)
    mean = gp.location + gp.scale * (constant + cross @ inverse @ (gp.targets.numpy() - constant))
    return mean, gp.scale**2 * (kernel(z, z) - cross @ inverse @ cross.T)


def frequencies(gp: ExactGP, z: torch.Tensor) -> np.ndarray:
    generator, joint = rng(), gp.posterior(z)
    first = [int(choose(joint, 1, generator)) for _ in range(DRAWS)]
    return np.bincount(first, minlength=len(z)) / DRAWS


def test_of_two_points_each_is_chosen_as_often_as_it_is_the_better() -> None:
    gp, z = process(), circle(0.5, 1.2)
    mean, covariance = moments(gp, z)
    spread = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    expected = 0.5 * (1 + math.erf((mean[0] - mean[1]) / spread / math.sqrt(2)))
    assert 0.55 < expected < 0.95
    independent = 0.5 * (1 + math.erf((mean[0] - mean[1]) / math.sqrt(covariance.trace()) / math.sqrt(2)))
    error = 4 * math.sqrt(expected * (1 - expected) / DRAWS)
    assert abs(frequencies(gp, z)[0] - expected) < error < abs(independent - expected)


def test_of_three_points_each_is_chosen_as_often_as_it_is_the_best() -> None:
    gp, z = process(), circle(0.3, 1.8, 3.5)
    mean, covariance = moments(gp, z)
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, 400_000)
    expected = np.bincount(draws.argmax(1), minlength=3) / len(draws)
    assert expected.min() > 0.05
    assert np.abs(frequencies(gp, z) - expected).max() < 4 * math.sqrt(0.25 / DRAWS)


def test_later_choices_leave_out_earlier_ones() -> None:
    """The second is the best of the others with the probability of that, whatever the first draw was."""
    gp, z = process(), circle(0.3, 1.8, 3.5)
    mean, covariance = moments(gp, z)
    generator, joint = rng(1), gp.posterior(z)
    pairs = [tuple(choose(joint, 2, generator).tolist()) for _ in range(DRAWS)]
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, 400_000)
    after_the_first = [pair[1] for pair in pairs if pair[0] == 0]
    expected = (draws[:, 1] > draws[:, 2]).mean()
    share = np.mean(np.array(after_the_first) == 1)
    assert abs(share - expected) < 4 * math.sqrt(0.25 / len(after_the_first))
    assert sorted(choose(joint, 9, generator).tolist()) == [0, 1, 2]


def test_points_that_coincide_can_be_drawn_at() -> None:
    z = torch.cat([circle(*[0.7] * 50), process().codes.repeat(20, 1)])
    chosen = choose(process().posterior(z), 30, rng())
    assert len(set(chosen.tolist())) == 30


def test_candidates_are_the_chosen_ones_of_the_pool_with_what_the_process_expects() -> None:
    gp, points = process(), circle(0.1, 0.9, 2.0, 4.0)
    codes = circle(0.2, 1.0, 2.1, 4.1)
    asked = propose(gp, Pool(["a", "b", "c", "d"], codes, points), 2, rng())
    chosen = choose(gp.posterior(points), 2, rng()).tolist()
    mean, covariance = moments(gp, points)
    assert asked.sentences == ["abcd"[index] for index in chosen]
    assert asked.codes is not None
    assert asked.mean is not None
    assert asked.std is not None
    torch.testing.assert_close(asked.codes, codes[chosen])
    np.testing.assert_allclose(asked.mean.numpy(), mean[chosen])
    np.testing.assert_allclose(asked.std.numpy(), np.sqrt(covariance.diagonal()[chosen] + gp.noise))
