"""Bounds of divergences against closed forms on correlated Gaussians."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.nn.critic import Critic
from dimecli.nn.divergence import Divergence, lower_bound, shuffled

DIVERGENCES: tuple[Divergence, ...] = get_args(Divergence)
CORRELATIONS = [0.2, 0.5]


def log_ratio(x: torch.Tensor, z: torch.Tensor, rho: float) -> torch.Tensor:
    """log p(x, z) / p(x) p(z) of a bivariate normal with unit variances and the correlation rho."""
    exponent = (rho**2 * (x**2 + z**2) - 2 * rho * x * z) / (2 * (1 - rho**2))
    return -0.5 * math.log(1 - rho**2) - exponent


def log_ratios(rho: float, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Of samples of the joint and of the product: a lattice of quantiles, no random draws."""
    levels = torch.special.ndtri((torch.arange(700, dtype=torch.float64) + 0.5) / 700)
    x, noise = (part.flatten() for part in torch.meshgrid(levels, levels, indexing="ij"))
    joint = log_ratio(x, rho * x + math.sqrt(1 - rho**2) * noise, rho)
    return joint.to(dtype), log_ratio(x, noise, rho).to(dtype)


def best(divergence: Divergence, log_ratio: torch.Tensor) -> torch.Tensor:
    """The scores at which the bound is the divergence."""
    return {
        "kl-f": 1 + log_ratio,
        "kl-dv": log_ratio,
        "js": log_ratio,
        "chi2": 2 * torch.expm1(log_ratio),
        "hellinger": log_ratio / 2,
    }[divergence]


def exact(divergence: Divergence, rho: float) -> float:
    """The divergence of the joint from the product."""
    if divergence in ("kl-f", "kl-dv"):
        return -0.5 * math.log(1 - rho**2)
    if divergence == "chi2":
        return rho**2 / (1 - rho**2)
    if divergence == "hellinger":
        return 2 - 2 * math.sqrt(math.sqrt(1 - rho**2) / (1 - rho**2 / 4))

    axis = torch.linspace(-7, 7, 281, dtype=torch.float64)
    x, z = torch.meshgrid(axis, axis, indexing="ij")
    product = torch.exp(-(x**2 + z**2) / 2) / (2 * math.pi)
    joint = product * log_ratio(x, z, rho).exp()
    middle = (joint + product) / 2
    integrand = 0.5 * (joint * (joint / middle).log() + product * (product / middle).log())
    return float(torch.trapezoid(torch.trapezoid(integrand, axis), axis).item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rho", CORRELATIONS)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_best_critic_attains_the_divergence(divergence: Divergence, rho: float, dtype: torch.dtype) -> None:
    joint, product = log_ratios(rho, dtype)
    bound = lower_bound(divergence, best(divergence, joint), best(divergence, product))
    assert bound.dtype == dtype
    assert bound.item() == pytest.approx(exact(divergence, rho), rel=1e-2)


@pytest.mark.parametrize("rho", CORRELATIONS)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_no_critic_exceeds_the_divergence(divergence: Divergence, rho: float) -> None:
    joint, product = log_ratios(rho)
    attained = lower_bound(divergence, best(divergence, joint), best(divergence, product))
    for factor, shift in [(0.5, 0.0), (1.3, 0.0), (1.0, 0.4), (1.0, -0.4), (-1.0, 0.1)]:
        if divergence == "kl-dv" and factor == 1:
            continue  # a shift changes nothing there
        scores = (factor * best(divergence, part) + shift for part in (joint, product))
        assert lower_bound(divergence, *scores) < attained - 1e-4


@pytest.mark.parametrize("rho", CORRELATIONS)
def test_f_dual_is_at_most_donsker_varadhan_is_at_most_the_mutual_information(rho: float) -> None:
    joint, product = log_ratios(rho)
    information = exact("kl-f", rho)
    for factor, shift in [(1.0, 1.0), (1.0, 0.0), (0.7, 0.5), (1.2, -1.0), (0.0, 2.0)]:
        scores = (factor * joint + shift, factor * product + shift)
        f_dual, donsker_varadhan = lower_bound("kl-f", *scores), lower_bound("kl-dv", *scores)
        assert f_dual <= donsker_varadhan + 1e-9
        assert donsker_varadhan <= information + 1e-3


def test_donsker_varadhan_gradient_is_a_weighted_mean() -> None:
    """Of any scores: those of the product have weights that sum to 1, so no sample's gradient explodes."""
    product = torch.tensor([-300.0, 0.0, 80.0], requires_grad=True)
    lower_bound("kl-dv", torch.zeros(3), product).backward()
    assert product.grad is not None
    assert product.grad.sum().item() == pytest.approx(-1)
    assert (product.grad <= 0).all()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_exponentials_of_clipped_scores_do_not_overflow(divergence: Divergence) -> None:
    torch.manual_seed(0)
    spec = Spec(modality="vector", shape=(3,), likelihood=Gaussian())
    critic = Critic(spec, 2, (8,), clip=50)
    x, z = 1e6 * torch.randn(64, 3), 1e6 * torch.randn(64, 2)
    scores = critic(x, z)
    assert scores.max() > 49
    assert scores.min() < -49
    bound = lower_bound(divergence, -scores, scores)
    bound.backward()
    assert bound.isfinite()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in critic.parameters())


def test_clip_leaves_small_scores_as_they_are() -> None:
    torch.manual_seed(0)
    spec = Spec(modality="vector", shape=(3,), likelihood=Gaussian())
    critic = Critic(spec, 2, (), clip=50).double()
    pairs = torch.randn(5, 5, dtype=torch.float64)
    free = pairs @ critic.get_parameter("scores.0.0.weight")[0] + critic.get_parameter("scores.0.0.bias")
    assert torch.allclose(critic(pairs[:, :3], pairs[:, 3:]), free, rtol=1e-2)


def test_critic_of_sentences_sees_one_hot_weights() -> None:
    likelihood = Productions(grammar="%start S\n%max_len 4\nS -> 'x' S | 'y'")
    spec = Spec(modality="sentence", shape=(4,), likelihood=likelihood)
    critic = Critic(spec, 2, (8,), clip=20)
    ids, z = torch.tensor([[0, 1, 2, 2], [1, 2, 2, 2]], dtype=torch.int16), torch.randn(2, 2)
    weights = torch.nn.functional.one_hot(ids.long(), 3).float()
    assert torch.equal(critic(ids, z), critic(weights, z))
    assert not torch.allclose(*critic(ids, z[:1].expand(2, -1)))


def test_critic_takes_data_of_a_predicted_noise() -> None:
    """Its inputs are the data, which are half as many numbers as the decoder's parameters then."""
    likelihood = Gaussian(bounded=True, noise="predicted")
    spec = Spec(modality="image", shape=(1, 2, 2), likelihood=likelihood)
    assert Critic(spec, 2, (8,), clip=20)(torch.rand(5, 1, 2, 2), torch.randn(5, 2)).shape == (5,)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_shuffle_leaves_no_row_in_its_place_and_differs_from_step_to_step(count: int) -> None:
    rng = torch.Generator().manual_seed(0)
    rows = torch.arange(count)[:, None]
    orders = [shuffled(rows, rng)[:, 0] for _ in range(200)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(count))
        assert (order != rows[:, 0]).all()
    partners = torch.bincount(torch.stack(orders)[:, 0], minlength=count)  # of the first row
    assert partners[0] == 0
    assert (partners[1:] > 0).all()


def test_one_row_cannot_be_shuffled() -> None:
    with pytest.raises(ValueError, match="a batch of at least 2 samples, got 1"):
        shuffled(torch.ones(1, 3), torch.Generator())
