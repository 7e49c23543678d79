"""The objectives with planar and inverse autoregressive posteriors against references of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal
from torch.func import jacrev, vmap

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.spec import Spec
from dimecli.nn.flow_posterior import FlowPosterior
from dimecli.plugin import Objective
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.vae_iaf import VAEIAF
from dimecli_plugins.objectives.vae_planar import VAEPlanar

DTYPES = [torch.float32, torch.float64]
VECTOR = Spec(modality="vector", shape=(3,), likelihood=Gaussian())
NETWORK = MLP(widths=())
OBJECTIVES: dict[str, Objective] = {
    "planar": VAEPlanar(latent_size=2),
    "planar-shared": VAEPlanar(latent_size=2, shared_flow=True, beta=0.7),
    "iaf": VAEIAF(latent_size=2, hidden=(8, 8), context_size=3),
    "iaf-beta": VAEIAF(latent_size=2, hidden=(8,), flows=2, beta=0.7),
}


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, 3, generator=rng(0), dtype=dtype)


def build(objective: Objective, dtype: torch.dtype = torch.float64) -> FlowPosterior[Any]:
    torch.manual_seed(0)
    model: Any = objective.build(VECTOR, NETWORK)
    bent: FlowPosterior[Any] = model.to(dtype)
    return bent


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_posterior_is_the_change_of_variables(name: str, dtype: torch.dtype) -> None:
    """log q(z|x) from torch's Gaussian and the Jacobian that autograd gives."""
    model, x = build(OBJECTIVES[name], dtype), batch(5, dtype)
    normal, context = model.start(x)
    start = normal.sample(rng())
    z, log_posterior = model.infer(x, rng())
    torch.testing.assert_close(z, model.flow(start, context)[0])
    jacobian = vmap(jacrev(lambda z, c: model.flow(z[None], c[None])[0][0]))(start, context)
    gaussian = Independent(Normal(normal.mean, (normal.log_variance / 2).exp()), 1)
    expected = gaussian.log_prob(start) - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(log_posterior, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_is_the_bound_at_one_draw(name: str, dtype: torch.dtype) -> None:
    objective = OBJECTIVES[name]
    model, x = build(objective, dtype), batch(5, dtype)
    z, log_posterior = model.infer(x, rng())
    kl = (log_posterior - Normal(0.0, 1.0).log_prob(z).sum(1)).mean().item()
    beta = objective.beta or 0.1  # type: ignore[attr-defined]
    terms = {name: term.item() for name, term in objective.loss(model, x, rng()).terms.items()}
    reconstruction = (model.decoder(z) - x).square().sum(1).mean().item()
    assert terms == pytest.approx({"reconstruction": reconstruction, "kl": beta * kl}, rel=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_log_prob_reaches_the_exact_likelihood_of_a_linear_model(name: str) -> None:
    """Which it does for any posterior, if its density is right; a broad one has weights of small variance."""
    model, x = build(OBJECTIVES[name]), batch(4)
    features: Any = model.encoder[1]  # type: ignore[index]
    features.weight.data *= 0.2
    features.bias.data[:4] = torch.tensor([0.0, 0.0, 1.5, 1.5]).double()
    layer: Any = model.decoder[0]  # type: ignore[index]
    weight, bias = layer.weight.detach(), layer.bias.detach()
    exact = MultivariateNormal(bias, weight @ weight.T + 0.5 * torch.eye(3).double()).log_prob(x)
    with torch.no_grad():
        ratios = (model.log_weight(x.repeat_interleave(10000, 0), rng()).view(4, 10000) - exact[:, None]).exp()
    errors = ratios.std(1) / 100
    assert errors.max() < 0.06
    assert ((ratios.mean(1) - 1).abs() < 4 * errors).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_code_is_where_the_flow_takes_the_mean(name: str) -> None:
    model, x = build(OBJECTIVES[name]), batch(5)
    mean, context = model.encoder(x)[:, :2], model.encoder(x)[:, 4:]
    torch.testing.assert_close(model.encode(x), model.flow(mean, context)[0])
    assert not torch.allclose(model.encode(x), mean, atol=1e-3)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_weight_is_trained(name: str) -> None:
    objective = OBJECTIVES[name]
    model = build(objective)
    objective.loss(model, batch(8), rng()).total.backward()
    for weight_name, weight in model.named_parameters():
        assert weight.grad is not None, weight_name
        assert weight.grad.any(), weight_name


def test_flow_parameters_come_from_the_encoder_unless_they_are_shared() -> None:
    x = batch(2)
    for shared in (False, True):
        objective = VAEPlanar(latent_size=2, shared_flow=shared)
        model = build(objective)
        _, context = model.start(x)
        z = torch.ones(2, 2).double()
        first, second = model.flow(z, context)[0]
        assert torch.equal(first, second) is shared


def test_free_bits_count_no_less_than_their_share_in_every_dimension() -> None:
    model, x = build(VAEIAF(latent_size=2)), batch(50)
    normal, context = model.start(x)
    start = normal.sample(rng())
    z, log_diagonal = model.flow.scaled(start, context)
    log_posterior = Normal(normal.mean, (normal.log_variance / 2).exp()).log_prob(start) - log_diagonal
    shares = (log_posterior - Normal(0.0, 1.0).log_prob(z)).mean(0)
    low, high = sorted(shares.tolist())
    between = (max(low, 0) + high) / 2
    for free, expected in {between: between + high, high + 1: 2 * high + 2, 0.0: low + high}.items():
        kl = VAEIAF(latent_size=2, free_bits=free, beta=1.0).loss(model, x, rng()).terms["kl"]
        assert kl.item() == pytest.approx(expected)


def test_beta_is_1_for_bernoulli_pixels() -> None:
    spec = Spec(modality="image", shape=(1, 2, 2), likelihood=Bernoulli())
    x = torch.rand(6, 1, 2, 2, generator=rng(0))
    for plain, one in ((VAEPlanar(), VAEPlanar(beta=1.0)), (VAEIAF(), VAEIAF(beta=1.0))):
        torch.manual_seed(0)
        model: Any = plain.build(spec, NETWORK)
        assert plain.loss(model, x, rng()).total.item() == one.loss(model, x, rng()).total.item()
