"""The flow and the second stage against densities that are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch.distributions import MultivariateNormal

from dimecli.distributions import GaussianMixture, HypersphereUniform, StandardNormal
from dimecli.errors import DimeError
from dimecli.plugin import Context, Density
from dimecli_plugins.densities.flow import Flow
from dimecli_plugins.densities.two_stage import TwoStage

DTYPES = [torch.float32, torch.float64]
TRANSFORMS: list[Any] = ["realnvp", "maf", "nsf"]
QUICK = {"steps": 30, "batch_size": 64}
DENSITIES: dict[str, Density] = {
    **{name: Flow(transform=name, layers=2, hidden=(8,), **QUICK) for name in TRANSFORMS},
    "two-stage": TwoStage(widths=(8, 8), **QUICK),
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlated(n: int, size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """`(n, size)` Gaussian codes of very different scales, far from 0."""
    g = rng(7)
    mix = torch.randn(size, size, generator=g) * torch.logspace(-1, 1, size)[:, None]
    return (20 + torch.randn(n, size, generator=g) @ mix.T).to(dtype)


def grid(low: float, high: float, count: int) -> tuple[torch.Tensor, float]:
    """Points of a square grid and the area of a cell."""
    line = torch.linspace(low, high, count, dtype=torch.float64)
    return torch.cartesian_prod(line, line), ((high - low) / (count - 1)) ** 2


def two_moons(n: int) -> torch.Tensor:
    g = rng(3)
    angle = math.pi * torch.rand(n, generator=g, dtype=torch.float64)
    upper = torch.stack((angle.cos(), angle.sin()), 1)
    moons = torch.where((torch.arange(n) % 2 == 0)[:, None], upper, torch.tensor([1.0, 0.5]) - upper)
    return 2 * moons + 0.2 * torch.randn(n, 2, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("dtype", DTYPES)
def test_survives_a_file_and_keeps_its_dtype(name: str, size: int, dtype: torch.dtype) -> None:
    density, codes = DENSITIES[name], correlated(100, size, dtype)
    fitted = density.fit(codes, rng(), Context())
    restored = density.restore(load(save(fitted.state())), Context())
    samples = fitted.sample(30, rng(1))
    assert (samples.shape, samples.dtype) == ((30, size), dtype)
    assert torch.equal(restored.sample(30, rng(1)), samples)
    log_prob = fitted.log_prob(samples)
    assert log_prob.shape == (30,)
    assert log_prob.isfinite().all()
    assert torch.equal(restored.log_prob(samples), log_prob)
    torch.testing.assert_close(fitted.log_prob(samples[:3]), log_prob[:3])  # no matter what else is asked
    assert not log_prob.requires_grad


@pytest.mark.parametrize("name", DENSITIES)
def test_depends_on_the_generator_alone(name: str) -> None:
    density, codes = DENSITIES[name], correlated(100, 3)
    torch.manual_seed(0)
    first = density.fit(codes, rng(1), Context()).state()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    second = density.fit(codes, rng(1), Context()).state()
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())
    assert torch.equal(torch.random.get_rng_state(), before)
    other = density.fit(codes, rng(2), Context()).state()
    assert not all(torch.equal(tensor, other[key]) for key, tensor in first.items())


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("degenerate", ["constant column", "repeated column", "two codes"])
def test_codes_on_a_subspace(name: str, degenerate: str) -> None:
    codes = correlated(100, 4)
    if degenerate == "constant column":
        codes[:, 3] = 0.1
    elif degenerate == "repeated column":
        codes[:, 3] = codes[:, 2]
    else:
        codes = codes[:2]
    fitted = DENSITIES[name].fit(codes, rng(), Context())
    assert fitted.sample(50, rng(1)).isfinite().all()
    assert fitted.log_prob(codes).isfinite().all()
    if degenerate == "constant column":
        assert (fitted.sample(50, rng(1))[:, 3] - 0.1).abs().max() < 0.01 * codes.std()


@pytest.mark.parametrize("name", DENSITIES)
def test_useless_codes_are_refused(name: str) -> None:
    with pytest.raises(DimeError, match="all the same"):
        DENSITIES[name].fit(torch.full((50, 3), 0.1), rng(), Context())
    with pytest.raises(DimeError, match="NaN or infinite"):
        DENSITIES[name].fit(torch.full((50, 3), math.nan), rng(), Context())


@pytest.mark.parametrize("density", [Flow(lr=1e30, steps=20), TwoStage(lr=1e30, steps=20, widths=(8,))])
def test_a_fit_that_diverges_says_so_or_keeps_what_was_finite(density: Density) -> None:
    with pytest.raises(DimeError, match="lower its --lr"):
        density.fit(correlated(100, 3), rng(), Context())


@pytest.mark.parametrize("name", DENSITIES)
def test_state_tells_how_the_fit_went(name: str) -> None:
    state = DENSITIES[name].fit(correlated(100, 3), rng(), Context()).state()
    assert 1 <= state["steps"].item() <= 30
    assert state["held_out"].isfinite()


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_flow_integrates_to_one(transform: Any) -> None:
    """So the Jacobian of the whitening is in log_prob: the codes have standard deviations of 0.1 and 10."""
    codes = two_moons(400)
    flow = Flow(transform=transform, layers=2, hidden=(16,), steps=40).fit(codes, rng(), Context())
    points, area = grid(-6, 8, 200)
    assert flow.log_prob(points).exp().sum().item() * area == pytest.approx(1, abs=5e-3)
    scale = torch.tensor([10.0, 0.1])
    scaled = Flow(transform=transform, layers=2, hidden=(16,), steps=40).fit(codes * scale, rng(), Context())
    assert scaled.log_prob(points * scale).exp().sum().item() * area == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_flow_begins_at_the_gaussian_of_the_codes_and_stays_for_gaussian_codes(
    transform: Any, dtype: torch.dtype
) -> None:
    codes = correlated(2000, 3, dtype)
    exact = MultivariateNormal(codes.double().mean(0), torch.cov(codes.double().T, correction=0))
    for lr, tolerance in ((1e-30, 1e-3), (2e-3, 0.2)):
        flow = Flow(transform=transform, layers=2, hidden=(16,), steps=30, lr=lr).fit(codes, rng(), Context())
        difference = flow.log_prob(codes).double() - exact.log_prob(codes.double())
        assert difference.abs().mean() < tolerance


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_flow_beats_a_gaussian_where_codes_are_none(transform: Any) -> None:
    codes, test = two_moons(2000), two_moons(3000)[2000:]
    fitted = Flow(transform=transform, layers=3, hidden=(32,), steps=120, batch_size=256, lr=1e-2).fit(
        codes, rng(), Context()
    )
    gaussian = MultivariateNormal(codes.mean(0), torch.cov(codes.T)).log_prob(test).mean()
    assert fitted.log_prob(test).mean() > gaussian + 0.15
    samples = fitted.sample(2000, rng(1))  # what is drawn has the density that is told
    assert fitted.log_prob(samples).mean().item() == pytest.approx(fitted.log_prob(test).mean().item(), abs=0.25)


@pytest.mark.parametrize("size", [2, 3, 16])
@pytest.mark.parametrize("dtype", DTYPES)
def test_flow_of_uniform_codes_on_the_sphere(size: int, dtype: torch.dtype) -> None:
    """Nats per surface area, as the uniform distribution gives them, and draws on the sphere."""
    uniform = HypersphereUniform(size)
    codes = uniform.sample(3000, rng()).to(dtype)
    flow = Flow(layers=2, hidden=(16,), steps=30).fit(codes, rng(), Context())
    assert flow.state()["spherical"]
    lengths = torch.linalg.vector_norm(flow.sample(100, rng(1)), dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    difference = flow.log_prob(codes) - uniform.log_prob(codes)
    assert difference.mean().abs() < 0.03
    assert difference.std() < 0.3


def test_flow_on_the_circle_integrates_to_one_and_finds_where_codes_are() -> None:
    angle = 0.5 * torch.randn(2000, generator=rng(), dtype=torch.float64)
    angle[::2] += 2.5
    codes = torch.stack((angle.cos(), angle.sin()), 1)
    flow = Flow(layers=4, hidden=(32,), steps=200, batch_size=256, lr=5e-3).fit(codes, rng(), Context())
    around = torch.arange(2000, dtype=torch.float64) * (2 * math.pi / 2000)
    density = flow.log_prob(torch.stack((around.cos(), around.sin()), 1)).exp()
    assert density.sum().item() * 2 * math.pi / 2000 == pytest.approx(1, abs=2e-3)
    exact = torch.stack(
        [torch.exp(-2 * ((around - centre + 2 * math.pi * turn) ** 2)) for centre in (0, 2.5) for turn in (-1, 0, 1)]
    ).sum(0) / (2 * 0.5 * math.sqrt(2 * math.pi))
    assert (density - exact).abs().mean() * 2 * math.pi < 0.3
    drawn = flow.sample(4000, rng(1))
    near = (torch.atan2(drawn[:, 1], drawn[:, 0]).abs() < 1).double().mean().item()
    told = (density * ((around < 1) | (around > 2 * math.pi - 1))).sum().item() * 2 * math.pi / 2000
    assert near == pytest.approx(told, abs=0.04)


def test_flow_takes_codes_near_the_sphere_for_flat_ones() -> None:
    codes = 1.01 * HypersphereUniform(3).sample(100, rng())
    assert not Flow(layers=1, hidden=(8,), steps=5).fit(codes, rng(), Context()).state()["spherical"]


def test_second_stage_learns_the_noise_of_codes_on_a_line() -> None:
    """Codes on a line in 3 dimensions, with noise: gamma is its size, and draws have it."""
    g = rng(5)
    line = torch.randn(4000, 1, generator=g) @ torch.tensor([[1.0, -1.0, 1.0]])
    codes = line + 0.1 * torch.randn(4000, 3, generator=g)
    stage: Any = TwoStage(widths=(32, 32), steps=400, lr=5e-3).fit(codes, rng(), Context())
    gamma = stage.log_gamma.exp() * stage.scale
    normal = torch.tensor([1.0, 1.0, 0.0]) / math.sqrt(2)
    assert gamma.mean().item() == pytest.approx(0.1, rel=0.35)
    drawn = stage.sample(4000, rng(1))
    assert (drawn @ normal).std().item() == pytest.approx(0.1, rel=0.35)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(codes.T), atol=0.12, rtol=0)


def test_second_stage_without_its_noise_collapses_to_the_mean_of_the_manifold() -> None:
    stage: Any = TwoStage(widths=(32,), steps=150, lr=5e-3).fit(torch.randn(2000, 4, generator=rng()), rng(), Context())
    u = torch.randn(2000, 4, generator=rng(1))
    smooth = stage.loc + stage.scale * stage.decoder(u)
    drawn = stage.sample(2000, rng(1))
    assert (drawn.var(0) > smooth.var(0)).all()
    assert drawn.var(0).mean().item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_second_stage_log_prob_is_exact_for_a_linear_decoder(dtype: torch.dtype) -> None:
    """With the hidden layers cut off it is factor analysis, whose posterior is known; importance sampling is exact."""
    torch.manual_seed(0)
    stage: Any = TwoStage(widths=(4,), steps=1).fit(correlated(50, 2, dtype), rng(), Context())
    factor = torch.diag(torch.tensor([0.8, 0.5], dtype=dtype))
    variance = 0.3
    noise = factor.diagonal().square() / variance + 1  # precisions of the posterior
    stage.raw_gamma.data.fill_(0.05 * math.log(variance))  # a tenth of the logarithm of gamma
    stage.decoder.last.weight.data = torch.cat((factor, torch.zeros(2, 4, dtype=dtype)), 1)
    stage.decoder.last.bias.data.zero_()
    mean = torch.cat((torch.diag(factor.diagonal() / variance / noise), torch.zeros(2, 4, dtype=dtype)), 1)
    stage.encoder.last.weight.data = torch.cat((mean, torch.zeros(2, 6, dtype=dtype)), 0)
    free = 10 * torch.atanh(-noise.log() / 10)
    stage.encoder.last.bias.data = torch.cat((torch.zeros(2, dtype=dtype), free))
    covariance = (factor @ factor.T + variance * torch.eye(2, dtype=dtype)) * stage.scale[:, None] * stage.scale
    z = correlated(20, 2, dtype)
    exact = MultivariateNormal(stage.loc.double(), covariance.double()).log_prob(z.double())
    torch.testing.assert_close(stage.log_prob(z).double(), exact, atol=1e-3 if dtype == torch.float32 else 1e-9, rtol=0)


def test_second_stage_draws_a_new_code_from_each_posterior_every_time() -> None:
    """Of codes that are all but the same, with wide posteriors, it learns the posteriors' width."""
    codes = 0.01 * torch.randn(1000, 2, generator=rng())
    stage = TwoStage(widths=(16,), steps=200, lr=5e-3).fit(codes, rng(), Context(std=torch.full((1000, 2), 2.0)))
    assert stage.sample(4000, rng(1)).std(0).tolist() == pytest.approx([2.0, 2.0], rel=0.1)
    point = TwoStage(widths=(16,), steps=200, lr=5e-3).fit(codes, rng(), Context())
    assert point.sample(4000, rng(1)).std(0).tolist() == pytest.approx([0.01, 0.01], rel=0.2)


def test_second_stage_log_prob_is_deterministic_and_near_a_mixture() -> None:
    g = rng(3)
    mixture = GaussianMixture(torch.ones(2) / 2, 3 * torch.eye(2), torch.eye(2).expand(2, 2, 2).contiguous())
    codes, test = mixture.sample(4000, g), mixture.sample(500, g)
    stage = TwoStage(widths=(32, 32), steps=500, lr=5e-3).fit(codes, rng(), Context())
    torch.manual_seed(0)
    first = stage.log_prob(test)
    torch.manual_seed(1)
    assert torch.equal(stage.log_prob(test), first)
    assert first.mean().item() == pytest.approx(mixture.log_prob(test).mean().item(), abs=0.15)
    assert StandardNormal(2).log_prob(test).mean() < first.mean() - 1
