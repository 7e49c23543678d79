"""The losses of mim and a-mim against closed forms, exact enumeration and quadrature."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from dimecli.data.likelihood import Bernoulli, Gaussian, Laplace, Likelihood
from dimecli.data.logistic import Logistic
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.nn.mim import MutualInformationMachine
from dimecli.plugin import Objective
from dimecli_plugins.networks.grammar_transformer import GrammarTransformer
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.a_mim import AMIM
from dimecli_plugins.objectives.mim import MIM

DTYPES = [torch.float32, torch.float64]
BOTH = [MIM(latent_size=2), AMIM(latent_size=2)]
SENTENCES = Spec(
    modality="sentence",
    shape=(7,),
    likelihood=Productions(grammar="%start S\n%max_len 7\nS -> S '+' T | T\nT -> 'x' | 'y'"),
)


def vectors(size: int, likelihood: Likelihood) -> Spec:
    return Spec(modality="vector", shape=(size,), likelihood=likelihood)


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(size: int, dtype: torch.dtype, count: int = 6) -> torch.Tensor:
    return torch.randn(count, size, generator=rng(0), dtype=dtype)


def built(objective: Objective, spec: Spec, dtype: torch.dtype) -> MutualInformationMachine:
    torch.manual_seed(0)
    model = objective.build(spec, MLP(widths=(8,), activation="tanh")).to(dtype)
    assert isinstance(model, MutualInformationMachine)
    return model


class Affine(nn.Module):
    """`a x + b`, and, of an encoder, a constant log-variance behind it."""

    def __init__(self, slope: float, offset: float, log_variance: float | None = None) -> None:
        super().__init__()
        self.slope, self.offset = (nn.Parameter(torch.tensor(number)) for number in (slope, offset))
        self.log_variance = log_variance
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        mean = self.slope * x + self.offset
        return mean if self.log_variance is None else torch.cat([mean, torch.full_like(mean, self.log_variance)], 1)


def affine(likelihood: Likelihood, encoder: Affine, decoder: Affine, dtype: torch.dtype) -> MutualInformationMachine:
    return MutualInformationMachine(vectors(1, likelihood), encoder, decoder, 1).to(dtype)


def entropy(variance: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * variance)


def cross_entropy(mean_square: float, variance: float) -> float:
    """`E[-log N(a; b, variance)]` for `E[(a - b)^2]`."""
    return 0.5 * math.log(2 * math.pi * variance) + mean_square / (2 * variance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_mim_averages_its_halves_over_samples_of_encoder_and_decoder(dtype: torch.dtype) -> None:
    """Closed form of algorithm 2 where all is Gaussian: x ~ N(m, v), z|x ~ N(cx + d, e), x|z ~ N(az + b, s)."""
    m, v, a, b, s, c, d, e = 0.5, 1.3, 0.8, -0.2, 0.3, 0.6, 0.1, 0.4
    model = affine(Gaussian(variance=s), Affine(c, d, math.log(e)), Affine(a, b), dtype)
    n = 400_000
    x = m + math.sqrt(v) * torch.randn(n, 1, generator=rng(0), dtype=dtype)
    code = (c * m + d, c**2 * v + e)  # mean and variance of encoder samples of z
    slope, offset = 1 - a * c, -a * d - b  # x - (az + b) = slope x + offset - a sqrt(e) noise
    error = slope**2 * v + (slope * m + offset) ** 2 + a**2 * e
    encoded = (cross_entropy(error, s) + cross_entropy(code[0] ** 2 + code[1], 1)) / 2
    back, shift = 1 - c * a, -c * b - d  # z - (cx + d) for x of the decoder
    decoded = (entropy(s) + entropy(1)) / 2
    inverted = (cross_entropy(back**2 + shift**2 + c**2 * s, e) + entropy(s)) / 2
    terms = MIM().loss(model, x, rng()).terms
    assert terms["decoding"].item() == pytest.approx((encoded + decoded) / 2, abs=5e-3)
    assert terms["encoding"].item() == pytest.approx((encoded + inverted) / 2, abs=5e-3)
    terms = AMIM().loss(model, x, rng()).terms
    assert [term.item() for term in terms.values()] == pytest.approx([encoded, encoded], abs=5e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("likelihood", [Gaussian(variance=0.3), Gaussian(noise="predicted"), Laplace(noise="learned")])
def test_mim_has_the_gradient_of_draws_that_it_makes_by_hand(likelihood: Likelihood, dtype: torch.dtype) -> None:
    """The same draws through torch.distributions: values and gradients of every weight, constants included."""
    model, n = built(MIM(latent_size=2), vectors(3, likelihood), dtype), 6
    x = data(3, dtype)
    loss = MIM().loss(model, x, rng()).total
    gradients = torch.autograd.grad(loss, tuple(model.parameters()))

    draws = rng()
    first = torch.randn(n, 2, generator=draws, dtype=dtype)
    second = torch.randn(n, 2, generator=draws).to(dtype)
    prior = Independent(Normal(torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype)), 1)

    def posterior(x: torch.Tensor) -> Any:
        mean, free = model.encoder(x).chunk(2, 1)
        bound = 2 * math.log(1e6)
        return Independent(Normal(mean, (bound * torch.tanh(free / bound) / 2).exp()), 1)

    def log_p(x: torch.Tensor, z: torch.Tensor) -> Any:
        parameters = model.decoder(z)
        scale = parameters[:, 3:].exp() if parameters.shape[1] > 3 else math.sqrt(0.3)
        if isinstance(likelihood, Laplace):
            return torch.distributions.Laplace(parameters[:, :3], scale / math.sqrt(2)).log_prob(x).sum(1)
        return Normal(parameters[:, :3], scale).log_prob(x).sum(1)

    z = posterior(x).mean + posterior(x).stddev * first
    encoded = -(log_p(x, z) + prior.log_prob(z))
    drawn = likelihood.sample(model.decoder(second), draws)
    q, p = posterior(drawn).log_prob(second), log_p(drawn, second)
    decoded = -(q + 2 * p + prior.log_prob(second)) / 2
    expected = ((encoded + decoded) / 2).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, tuple(model.parameters())), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_both_estimators_of_log_q_of_x_are_unbiased_for_the_marginal_of_the_decoder() -> None:
    """One draw each, eq. 16: their exponentials average to p(x) of a linear Gaussian model."""
    a, b, s, n = 0.8, -0.2, 0.3, 400_000
    model = affine(Gaussian(variance=s), Affine(0.6, 0.1, math.log(0.4)), Affine(a, b), torch.float64)
    x = torch.full((n, 1), 0.7, dtype=torch.float64)
    exact = Normal(b, math.sqrt(a**2 + s)).log_prob(torch.tensor(0.7)).item()
    with torch.no_grad():
        z, log_posterior = model.infer(x, rng())
        of_encoder = model.log_joint(x, z) - log_posterior
        of_prior = model.log_likelihood(x, model.prior().sample(n, rng()).double())
    for estimate in (of_encoder, of_prior):
        assert estimate.exp().mean().log().item() == pytest.approx(exact, abs=5e-3)
        assert estimate.mean().item() < exact  # Jensen: a single draw is a lower bound in expectation


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mim_is_the_encoder_half_of_eq_15_and_beta_1_is_algorithm_2(dtype: torch.dtype) -> None:
    """`-1/2 (log p(x|z) p(z) + log q(z|x) q(x))` with the estimate of log q(x) written out."""
    model = built(AMIM(latent_size=2), vectors(3, Gaussian()), dtype)
    x = data(3, dtype)
    draws = rng()
    z, log_posterior = model.infer(x, draws)
    log_joint = model.log_joint(x, z)
    log_marginal = log_joint - log_posterior
    terms = AMIM().loss(model, x, rng()).terms
    assert terms["decoding"].item() == pytest.approx(-log_joint.mean().item() / 2, rel=1e-5)
    assert terms["encoding"].item() == pytest.approx(-(log_posterior + log_marginal).mean().item() / 2, rel=1e-4)
    assert sum(term.item() for term in terms.values()) == pytest.approx(-log_joint.mean().item(), rel=1e-5)
    z = model.prior().sample(len(x), draws).to(z)
    drawn = model.sample(z, draws)
    log_likelihood = model.log_likelihood(drawn, z)
    decoder_half = -(model.posterior(drawn).log_prob(z) + 2 * log_likelihood + model.prior().log_prob(z)) / 2
    both = MIM().loss(model, x, rng()).total.item()
    assert both == pytest.approx((-log_joint + decoder_half).mean().item() / 2, rel=1e-5)


def test_a_warm_up_raises_the_encoding_term_alone_as_eq_18_does() -> None:
    for objective in BOTH:
        model = built(objective, vectors(3, Gaussian()), torch.float32)
        terms = objective.loss(model, data(3, torch.float32), rng()).terms
        assert set(terms) - objective.fixed_terms == {"encoding"}


def test_reinforce_gradient_is_unbiased_on_one_pixel_against_enumeration() -> None:
    """All gradients of algorithm 2 with x in {0, 1}: quadrature over z, both x enumerated."""
    torch.manual_seed(0)
    encoder, decoder = Affine(0.9, -0.3, math.log(0.5)), Affine(1.2, 0.4)
    model = affine(Bernoulli(), encoder, decoder, torch.float64)
    weights = (encoder.slope, encoder.offset, decoder.slope, decoder.offset)
    x = torch.ones(20_000, 1, dtype=torch.float64)
    draws = rng()
    rows = torch.stack(
        [torch.stack(torch.autograd.grad(MIM().loss(model, x, draws).total, weights)) for _ in range(40)]
    )  # (40, 4)

    points, shares = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(60))
    shares = shares / math.sqrt(2 * math.pi)
    one = torch.ones_like(points)[:, None]
    z = model.posterior(one).mean + math.sqrt(0.5) * points[:, None]
    expected = -(shares * model.log_joint(one, z)).sum() / 2
    z = points[:, None]
    for pixel in (0 * one, one):
        log_p = model.log_likelihood(pixel, z)
        value = -(model.posterior(pixel).log_prob(z) + 2 * log_p + model.prior().log_prob(z)) / 2
        expected = expected + (shares * log_p.exp() * value).sum() / 2
    exact = torch.stack(torch.autograd.grad(expected, weights))
    error = rows.std(0) / math.sqrt(len(rows))
    assert (error < 2e-2).all()
    assert ((rows.mean(0) - exact).abs() < 4 * error).all()


@pytest.mark.parametrize("likelihood", [Bernoulli(), Logistic(levels=3, noise="fixed")])
def test_reinforce_leaves_the_value_of_the_loss_alone(likelihood: Likelihood) -> None:
    model = built(MIM(latent_size=2), vectors(3, likelihood), torch.float64)
    x = (data(3, torch.float64) > 0).double()
    draws = rng()
    z, _ = model.infer(x, draws)
    encoder_half = -model.log_joint(x, z)
    z = model.prior().sample(len(x), draws).to(z)
    drawn = model.sample(z, draws)
    log_likelihood = model.log_likelihood(drawn, z)
    decoder_half = -(model.posterior(drawn).log_prob(z) + 2 * log_likelihood + model.prior().log_prob(z)) / 2
    loss = MIM().loss(model, x, rng()).total
    assert loss.item() == pytest.approx((encoder_half + decoder_half).mean().item() / 2, rel=1e-9)
    single = MIM().loss(model, x[:1], rng()).total  # no others to take a baseline from
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(single, tuple(model.parameters())))


def test_x_of_the_decoder_are_samples_and_not_mean_probabilities() -> None:
    encoder = Affine(1.0, 0.0, 0.0)
    model = affine(Bernoulli(), encoder, Affine(0.3, 0.2), torch.float32)
    MIM().loss(model, torch.full((500, 1), 0.25), rng())
    of_data, of_decoder = encoder.seen
    assert of_data.unique().tolist() == [0.25]
    assert of_decoder.unique().tolist() == [0, 1]
    encoder, noise = Affine(1.0, 0.0, 0.0), 4.0
    model = affine(Gaussian(variance=noise), encoder, Affine(0.0, 2.0), torch.float32)
    MIM().loss(model, torch.zeros(50_000, 1), rng())
    assert encoder.seen[1].var().item() == pytest.approx(noise, rel=0.05)


@pytest.mark.parametrize("objective", BOTH)
def test_posteriors_may_narrow_to_1e_6_and_no_further(objective: Objective) -> None:
    model = built(objective, vectors(3, Gaussian()), torch.float64)
    model.encoder = Affine(1.0, 0.0, -1e4)
    posterior = model.posterior(torch.zeros(1, 2, dtype=torch.float64))
    assert (posterior.log_variance / 2).exp().tolist() == [pytest.approx([1e-6, 1e-6])]
    model.encoder = Affine(1.0, 0.0, -14.0)
    posterior = model.posterior(torch.zeros(1, 2, dtype=torch.float64))
    assert posterior.log_variance.max() < -10  # narrower than the bound of a VAE


def test_mim_refuses_an_autoregressive_decoder_and_a_mim_takes_it() -> None:
    network = GrammarTransformer(width=16, autoregressive=True)
    with pytest.raises(UserError, match="a-mim"):
        MIM().build(SENTENCES, network)
    AMIM().build(SENTENCES, network)


@pytest.mark.parametrize("objective", [MIM, AMIM])
def test_nats_per_element_are_refused(objective: type[Objective]) -> None:
    with pytest.raises(ValueError, match="should be 'sum'"):
        objective.model_validate({"reduction": "mean"})
