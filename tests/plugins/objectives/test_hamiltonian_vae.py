"""The Hamiltonian autoencoder against a model whose likelihood is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.spec import Spec
from dimecli.nn.hamiltonian import HamiltonianModel
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.hamiltonian_vae import HamiltonianVAE

DTYPES = [torch.float32, torch.float64]
VECTOR = Spec(modality="vector", shape=(3,), likelihood=Gaussian())
LINEAR = MLP(widths=())


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, 3, generator=rng(0), dtype=dtype)


def linear_model(dtype: torch.dtype = torch.float64, **options: Any) -> HamiltonianModel:
    """With a posterior that starts broad, so that its weights have a small variance."""
    torch.manual_seed(0)
    model = HamiltonianVAE(latent_size=2, **options).build(VECTOR, LINEAR).to(dtype)
    features: Any = model.encoder[1]  # type: ignore[index]
    features.weight.data *= 0.2
    features.bias.data.zero_()
    return model


def exact_log_prob(model: HamiltonianModel, x: torch.Tensor) -> torch.Tensor:
    """Of `x = W z + b + noise` with noise of variance 1/2."""
    layer: Any = model.decoder[0]  # type: ignore[index]
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    covariance = weight @ weight.T + 0.5 * torch.eye(3, dtype=torch.float64)
    log_prob: torch.Tensor = MultivariateNormal(bias, covariance).log_prob(x.double())
    return log_prob


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tempering", ["fixed", "free", "none"])
@pytest.mark.parametrize("beta", [1.0, 0.6])
def test_log_prob_reaches_the_exact_likelihood(tempering: str, beta: float, dtype: torch.dtype) -> None:
    """Whatever the dynamics: they only choose where the weights are taken."""
    model, x = linear_model(dtype, tempering=tempering, beta=beta), batch(4, dtype)
    exact = exact_log_prob(model, x)
    many = x.repeat_interleave(4000, 0)
    with torch.no_grad():
        weights = model.log_weight(many, rng()).double().view(4, 4000)
    ratios = (weights - exact[:, None]).exp()
    errors = ratios.std(1) / 4000**0.5
    assert errors.max() < 0.04
    assert ((ratios.mean(1) - 1).abs() < 4 * errors).all()
    assert (weights.mean(1) < exact).all()
    few = model.log_prob(x, rng(), draws=300)
    torch.testing.assert_close(few, exact, atol=0.3, rtol=0)


def test_the_dynamics_tighten_the_bound() -> None:
    """From the same poor Gaussian, leapfrog steps end nearer to the posterior."""
    x, bounds = batch(1), []
    for steps in (1, 4):
        model = linear_model(steps=steps, beta=1.0, tempering="none")
        with torch.no_grad():
            bounds.append(model.log_weight(x.expand(4000, -1), rng()).mean().item())
    assert bounds[0] < bounds[1] < exact_log_prob(model, x).item()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("beta", "reduction"), [(1.0, "sum"), (0.3, "sum"), (0.3, "mean")])
def test_loss_is_the_bound_in_expectation(beta: float, reduction: Any, dtype: torch.dtype) -> None:
    """`sum of terms = beta (bound of a decoder whose log-likelihood is divided by beta) + constants`."""
    objective = HamiltonianVAE(latent_size=2, beta=beta, reduction=reduction)
    torch.manual_seed(0)
    model, x = objective.build(VECTOR, LINEAR).to(dtype), batch(1, dtype).expand(20000, -1)
    terms = {name: term.item() for name, term in objective.loss(model, x, rng()).terms.items()}
    with torch.no_grad():
        z, log_posterior = model.infer(x, rng(2))
        reconstruction = model.nll(x, z).mean().item() / (3 if reduction == "mean" else 1)
        kl = (log_posterior - Normal(0.0, 1.0).log_prob(z).sum(1)).mean().item()
    assert terms["reconstruction"] == pytest.approx(reconstruction, rel=0.03)
    assert terms["kl"] == pytest.approx(beta * kl, rel=0.05)


def test_dynamics_follow_the_potential_that_the_loss_weights() -> None:
    """At a stationary point of `nll / beta + |z|^2 / 2` from rest nothing moves, so a linear model's MAP stays."""
    for beta in (1.0, 0.3):
        model, x = linear_model(beta=beta), batch(4)
        layer: Any = model.decoder[0]  # type: ignore[index]
        weight, bias = layer.weight.detach(), layer.bias.detach()
        precision = torch.eye(2).double() + 2 / beta * weight.T @ weight
        best = torch.linalg.solve(precision, 2 / beta * weight.T @ (x - bias).T).T
        moved, momentum = model.move(x, best, torch.zeros_like(best))
        torch.testing.assert_close(moved, best)
        assert momentum.abs().max() < 1e-12


@pytest.mark.parametrize("tempering", ["fixed", "free", "none"])
def test_the_gradient_reaches_everything_that_is_learned(tempering: str) -> None:
    objective = HamiltonianVAE(latent_size=2, tempering=tempering)
    model = linear_model(tempering=tempering)
    objective.loss(model, batch(6), rng()).total.backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def test_the_gradient_of_the_loss_is_that_of_finite_differences() -> None:
    """It passes through the dynamics: of an encoder weight, a decoder weight and a step size."""
    objective, x = HamiltonianVAE(latent_size=2), batch(6)
    model = linear_model()
    objective.loss(model, x, rng()).total.backward()
    for weight in (model.encoder[1].weight, model.decoder[0].bias, model.schedule.raw_step):  # type: ignore[index]
        assert isinstance(weight, torch.nn.Parameter)
        assert weight.grad is not None
        flat, around = weight.data.view(-1), []
        for change in (1e-6, -2e-6):
            flat[0] += change
            around.append(objective.loss(model, x, rng()).total.item())
        flat[0] += 1e-6
        assert weight.grad.view(-1)[0].item() == pytest.approx((around[0] - around[1]) / 2e-6, rel=1e-5)


def test_evaluating_without_gradients_changes_no_value_and_keeps_no_graph() -> None:
    objective, x, model = HamiltonianVAE(latent_size=2), batch(6), linear_model()
    trained = objective.loss(model, x, rng())
    with torch.no_grad():
        validated = objective.loss(model, x, rng())
        assert not model.encode(x).requires_grad
    assert validated.total.item() == trained.total.item()
    assert not validated.total.requires_grad
    model.requires_grad_(False)
    assert torch.equal(model.encode(x), linear_model().encode(x))  # as a loaded run has it


def test_beta_is_1_for_bernoulli_pixels() -> None:
    spec = Spec(modality="image", shape=(1, 2, 2), likelihood=Bernoulli())
    assert HamiltonianVAE().build(spec, LINEAR).weight == 1
    assert HamiltonianVAE().build(VECTOR, LINEAR).weight == 0.1
