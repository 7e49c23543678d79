"""Likelihoods against torch.distributions, integrals, arithmetic of many digits, and their own draws."""

import math
from decimal import Decimal, localcontext
from typing import Any

import pytest
import torch
from torch import distributions, nn

from dimecli.data.likelihood import Bernoulli, Gaussian, Laplace, Likelihood, LocationScale
from dimecli.data.logistic import Logistic
from dimecli.data.sentences import Characters, Productions
from dimecli.data.spec import Spec

FAMILIES: dict[str, Any] = {"gaussian": Gaussian, "laplace": Laplace, "logistic": Logistic}
NOISES: list[Any] = ["fixed", "learned", "predicted"]
SHAPES = [(5, 3), (4, 1, 6, 6), (2, 3, 4, 5)]


def data(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("variance", [0.5, 1.0, 0.01])
def test_gaussian_nll_and_constant(shape: tuple[int, ...], dtype: torch.dtype, variance: float) -> None:
    x, mean = data(shape, dtype, 0), data(shape, dtype, 1)
    likelihood = Gaussian(variance=variance)
    exact = -distributions.Normal(mean, variance**0.5).log_prob(x).flatten(1).sum(1)
    found = likelihood.nll(mean, x) + likelihood.constant * x[0].numel()
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-4)


def test_gaussian_of_variance_one_half_is_the_squared_error() -> None:
    x, mean = data((4, 1, 3, 3), torch.float32, 0), data((4, 1, 3, 3), torch.float32, 1)
    torch.testing.assert_close(Gaussian().nll(mean, x), (x - mean).square().flatten(1).sum(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_nll(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, logits = data(shape, dtype, 0).round(), 4 * data(shape, dtype, 1) - 2
    exact = -distributions.Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().nll(logits, x) + Bernoulli().constant, exact)


def test_samples_have_the_moments_of_the_law() -> None:
    rng = torch.Generator().manual_seed(0)
    mean = torch.tensor([[0.2, 0.9]]).expand(40000, -1)
    gaussian = Gaussian(variance=0.25).sample(mean, rng)
    torch.testing.assert_close(gaussian.mean(0), mean[0], atol=0.0125, rtol=0)  # 5 standard errors
    torch.testing.assert_close(gaussian.var(0), torch.full((2,), 0.25), atol=0.009, rtol=0)
    coins = Bernoulli().sample(mean.logit(), rng)
    assert set(coins.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(coins.mean(0), mean[0], atol=0.0125, rtol=0)


def test_bounded_means_stay_in_the_range_of_pixels() -> None:
    bounded = Gaussian(bounded=True)
    assert bounded.estimate(torch.tensor([-0.5, 0.5, 1.5])).tolist() == [0, 0.5, 1]
    assert bounded.output()(torch.tensor([-100.0, 100.0])).tolist() == [0, 1]
    assert Gaussian().estimate(torch.tensor([-0.5, 1.5])).tolist() == [-0.5, 1.5]


def law(likelihood: LocationScale, parameters: torch.Tensor) -> distributions.Distribution:
    """The distribution that torch has under the same parameters."""
    mean, std = parameters, torch.full_like(parameters, likelihood.variance**0.5)
    if likelihood.noise != "fixed":
        channels = parameters.shape[1] // 2
        mean, std = parameters[:, :channels], parameters[:, channels:].exp()
    if isinstance(likelihood, Laplace):
        return distributions.Laplace(mean, std / 2**0.5)
    return distributions.Normal(mean, std)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_nll_and_constant_are_the_exact_density(
    family: Any, noise: Any, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    likelihood = family(variance=0.07, noise=noise)
    free = torch.randn(shape[0], *likelihood.parameters(shape[1:]), generator=torch.Generator().manual_seed(2))
    parameters = likelihood.output().to(dtype)(free.to(dtype))
    assert parameters.dtype == dtype
    x = data(shape, dtype, 0)
    exact = -law(likelihood, parameters).log_prob(x).flatten(1).sum(1)
    found = likelihood.nll(parameters, x) + likelihood.constant * x[0].numel()
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_the_density_integrates_to_one_and_has_the_variance(family: Any, noise: Any) -> None:
    likelihood = family(variance=0.09, noise=noise)
    parameters = likelihood.output().double()(torch.zeros(1, *likelihood.parameters((1,)), dtype=torch.float64))
    x = torch.linspace(-9, 9, 180_001, dtype=torch.float64)[:, None]
    density = torch.exp(-likelihood.nll(parameters.detach().expand(len(x), -1), x) - likelihood.constant)
    assert torch.trapezoid(density, x[:, 0]).item() == pytest.approx(1, abs=1e-6)
    assert torch.trapezoid(density * x[:, 0] ** 2, x[:, 0]).item() == pytest.approx(0.09, rel=1e-6)


@pytest.mark.parametrize("noise", ["learned", "predicted"])
@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
def test_noise_starts_at_the_variance_and_stays_in_its_range(noise: Any, shape: tuple[int, ...]) -> None:
    likelihood = Gaussian(variance=0.02, bounded=True, noise=noise)
    output = likelihood.output()
    free = torch.zeros(2, *likelihood.parameters(shape))
    mean, log_std = likelihood.split(output(free))
    assert log_std is not None
    assert mean.shape == log_std.shape == (2, *shape)
    torch.testing.assert_close(mean, torch.full_like(mean, 0.5))
    torch.testing.assert_close(log_std.exp().square(), torch.full_like(mean, 0.02))
    for extreme in (-1e6, 1e6):
        for weight in output.parameters():
            nn.init.constant_(weight, extreme)
        mean, log_std = likelihood.split(output(free + extreme))
        assert log_std is not None
        assert log_std.abs().max() <= 7
        x = torch.ones(2, *shape)
        assert likelihood.nll(output(free + extreme), x).isfinite().all()


@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_a_learned_noise_is_best_where_it_is_that_of_the_data(family: Any) -> None:
    # the most likely standard deviation: of a Gaussian the root mean square, of a Laplace sqrt(2) times the mean size
    x = 0.3 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    best = x.square().mean().sqrt() if family is Gaussian else math.sqrt(2) * x.abs().mean()
    for factor, slope in ((0.9, -1), (1, 0), (1.1, 1)):
        output = family(variance=(factor * best.item()) ** 2, noise="learned").output().double()
        family(noise="learned").nll(output(torch.zeros_like(x)), x).mean().backward()
        (weight,) = output.parameters()
        assert weight.grad is not None
        assert weight.grad.item() == pytest.approx(0, abs=1e-5) if slope == 0 else slope * weight.grad > 0.1


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_draws_carry_their_own_gradients(family: Any, noise: Any) -> None:
    # x = mean + std e: dx / dmean = 1, dx / dlog std = std e = x - mean
    likelihood = family(variance=0.2, noise=noise)
    shape = likelihood.output()(torch.zeros(50, *likelihood.parameters((3,)))).shape
    parameters = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    x = likelihood.sample(parameters, torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(x.sum(), parameters)
    assert likelihood.reparametrised
    assert x.dtype == torch.float64
    torch.testing.assert_close(gradient[:, :3], torch.ones_like(x))
    torch.testing.assert_close(gradient[:, 3:], (x - parameters[:, :3]).detach()[:, : gradient.shape[1] - 3])


LEVELS = [2, 17, 256]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("noise", NOISES)
def test_the_levels_of_a_logistic_have_all_of_the_probability(levels: int, noise: Any, dtype: torch.dtype) -> None:
    x = torch.linspace(0, 1, levels, dtype=dtype)[:, None]
    for variance in (2e-6, 1e-3, 0.5, 100):
        likelihood = Logistic(variance=variance, noise=noise, levels=levels)
        output = likelihood.output().to(dtype)
        for free in (-30, -1, 0, 0.3, 30):
            numbers = torch.full((1, *likelihood.parameters((1,))), free, dtype=dtype)
            parameters = output(numbers).detach().expand(levels, -1)
            total = torch.exp(-likelihood.nll(parameters, x)).sum()
            assert total.item() == pytest.approx(1, abs=2e-4 if dtype == torch.float32 else 1e-10)
            assert likelihood.constant == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("std", [0.002, 0.05, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.31, 1.0])
def test_the_logistic_is_a_difference_of_distribution_functions_far_into_the_tails(
    mean: float, std: float, dtype: torch.dtype
) -> None:
    likelihood = Logistic(variance=std**2)
    scale = Decimal(std * math.sqrt(3) / math.pi)

    def below(level: Decimal) -> Decimal:
        return 1 / (1 + (-(level - Decimal(mean)) / scale).exp())

    with localcontext(prec=1000):  # digits enough for 1 - exp(-900)
        for k in (0, 1, 78, 79, 80, 200, 254, 255):
            low, high = Decimal(2 * k - 1) / 510, Decimal(2 * k + 1) / 510
            exact = ((below(high) if k < 255 else Decimal(1)) - (below(low) if k else Decimal(0))).ln()
            parameter = torch.full((1, 1), mean, dtype=dtype, requires_grad=True)
            nll = likelihood.nll(parameter, torch.full((1, 1), k, dtype=dtype) / 255)
            nll.backward()
            assert nll.item() == pytest.approx(-float(exact), rel=1e-4 if dtype == torch.float32 else 1e-9, abs=1e-6)
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("levels", LEVELS)
def test_draws_of_a_logistic_are_levels_with_their_probabilities(levels: int) -> None:
    likelihood = Logistic(variance=0.04, noise="predicted", levels=levels)
    parameters = torch.tensor([[0.1, math.log(0.2)]]).expand(50_000, -1)
    x = likelihood.sample(parameters, torch.Generator().manual_seed(0))
    all_levels = torch.arange(levels).float() / (levels - 1)
    assert torch.isin(x, all_levels).all()
    assert not likelihood.reparametrised
    share = (x == all_levels).float().mean(0)
    expected = torch.exp(-likelihood.nll(parameters[:levels], all_levels[:, None]))
    assert ((share - expected).abs() <= 5 * (expected / 50_000).sqrt() + 1e-4).all()


def test_dynamic_pixels_are_drawn_anew_with_their_values_as_probabilities() -> None:
    x = torch.tensor([[0.0, 0.25, 0.9, 1.0]], dtype=torch.float64).expand(40_000, -1)
    rng = torch.Generator().manual_seed(0)
    first, second = (Bernoulli(dynamic=True).observe(x, rng) for _ in range(2))
    assert first.dtype == x.dtype
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    torch.testing.assert_close(first.mean(0), x[0], atol=0.0125, rtol=0)  # 5 standard errors
    assert first[:, 0].sum() == 0
    assert first[:, 3].sum() == len(x)
    assert Bernoulli().observe(x, rng) is x


def test_records_of_runs_keep_the_form_they_always_had() -> None:
    # the fingerprint of data is over these options: another form would disown every run
    expected = [("name", "gaussian"), ("variance", 0.5), ("bounded", True)]
    assert list(Gaussian(bounded=True).options().items()) == expected
    assert Bernoulli().options() == {"name": "bernoulli"}
    old: Any = {"name": "gaussian", "variance": 0.5, "bounded": True}
    assert Spec(modality="image", shape=(1, 2, 2), likelihood=old).likelihood == Gaussian(bounded=True)


@pytest.mark.parametrize(
    "likelihood",
    [
        Gaussian(noise="learned"),
        Laplace(variance=0.1),
        Logistic(noise="predicted", levels=17),
        Bernoulli(dynamic=True),
    ],
)
def test_likelihoods_are_read_back_from_a_record(likelihood: Any) -> None:
    spec = Spec(modality="vector", shape=(3,), likelihood=likelihood)
    assert Spec.model_validate_json(spec.model_dump_json()) == spec
    assert Spec.model_validate_json(spec.model_dump_json()).likelihood.options() == likelihood.options()


KINDS = ["bernoulli", "productions", "characters", *(f"{family} {noise}" for family in FAMILIES for noise in NOISES)]


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_of_the_law_that_nll_is_of(kind: str) -> None:
    # under its own law the score, the gradient of the log-likelihood, has mean 0: true of no other draws
    grammar = "%start S\n%max_len 3\nS -> 'a' S | 'b' S 'c' | S 'd' S | 'e'"
    family, _, noise = kind.partition(" ")
    likelihoods: dict[str, tuple[Likelihood, tuple[int, ...]]] = {
        "bernoulli": (Bernoulli(), (3,)),
        "productions": (Productions(grammar=grammar), (3,)),
        "characters": (Characters(grammar=grammar), (4,)),
    }
    likelihood, shape = likelihoods.get(kind) or (FAMILIES[family](variance=0.2, noise=noise), (3,))
    rng = torch.Generator().manual_seed(0)
    free = 2 * torch.randn(1, *likelihood.parameters(shape), generator=rng, dtype=torch.float64)
    (point,) = likelihood.output().double()(free).detach()
    parameters = point.expand(20_000, *point.shape).clone().requires_grad_()
    likelihood.nll(parameters, likelihood.sample(parameters.detach(), rng)).sum().backward()
    scores = parameters.grad
    assert scores is not None
    error = scores.std(0) / math.sqrt(len(scores))
    assert (scores.mean(0).abs() <= 5 * error + 1e-12).all()
    assert error.max() > 0
