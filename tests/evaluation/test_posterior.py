"""Draws from posteriors, and likelihoods, on models of which everything is known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.evaluation.information import population_bound
from dimecli.evaluation.posterior import elbo, infer, kl, nll, without_posterior
from dimecli.model import VariationalAutoencoder
from dimecli.nn.normal import DiagonalNormal
from dimecli.nn.spherical import SphericalAutoencoder
from dimecli.nn.vmf import VonMisesFisher
from dimecli.plugin import Fitted
from dimecli.testing.runs import TinyRun, tiny_runs

SCALES = torch.tensor([2.0, 0.5], dtype=torch.float64)
VARIANCE = 0.3
INFORMATION = 0.5 * torch.log(1 + SCALES**2 / VARIANCE).sum().item()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear_gaussian(
    path: Path, dtype: torch.dtype = torch.float64, wider: float = 0.0
) -> tuple[TinyRun, MultivariateNormal]:
    """x = W z + noise with orthogonal columns of W, so that the exact posterior is a diagonal Gaussian; and p(x).

    `wider` is added to the log-variances of the encoder's posterior, which is the exact one without.
    """
    columns = torch.linalg.qr(torch.randn(4, 2, generator=rng(1), dtype=torch.float64))[0]
    weight = columns * SCALES
    variances = 1 / (1 + SCALES**2 / VARIANCE)
    bound = VariationalAutoencoder.LOG_VARIANCE
    encoder, decoder = nn.Linear(4, 4), nn.Linear(2, 4, bias=False)
    spec = Spec(modality="vector", shape=(4,), likelihood=Gaussian(variance=VARIANCE))
    model = VariationalAutoencoder(spec, encoder, decoder, 2).to(dtype)
    with torch.no_grad():
        decoder.weight.copy_(weight)
        encoder.weight.zero_()
        encoder.weight[:2] = variances[:, None] * weight.T / VARIANCE
        encoder.bias.zero_()
        encoder.bias[2:] = bound * torch.atanh((variances.log() + wider) / bound)
    covariance = weight @ weight.T + VARIANCE * torch.eye(4, dtype=torch.float64)
    return TinyRun(spec, model, path), MultivariateNormal(torch.zeros(4, dtype=torch.float64), covariance)


def draws(law: MultivariateNormal, n: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return (torch.randn(n, 4, generator=rng(2), dtype=torch.float64) @ law.scale_tril.T).to(dtype)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
def test_with_the_exact_posterior_every_weight_is_the_likelihood(
    tmp_path: Path, dtype: torch.dtype, error: float
) -> None:
    run, law = linear_gaussian(tmp_path, dtype)
    x = draws(law, 30, dtype)
    exact = law.log_prob(x.double())
    torch.testing.assert_close(elbo(run, x, rng()).double(), exact, rtol=0, atol=error)
    for number in (1, 7):
        torch.testing.assert_close(-nll(run, x, rng(), number), exact, rtol=0, atol=error)


def test_with_a_wrong_posterior_the_likelihood_comes_from_above(tmp_path: Path) -> None:
    run, law = linear_gaussian(tmp_path, wider=1.5)
    x = draws(law, 200)
    exact = -law.log_prob(x).mean().item()
    few, more, many = (nll(run, x, rng(), number).mean().item() for number in (1, 10, 2000))
    assert few > more > many
    assert few > exact + 0.5
    assert many == pytest.approx(exact, abs=0.01)
    assert -elbo(run, x, rng()).mean().item() == pytest.approx(few)


def test_kl_in_closed_form_and_by_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the exact posterior its mean over p(x) is the mutual information."""
    run, law = linear_gaussian(tmp_path)
    exact, closed = kl(run, draws(law, 20_000), rng())
    assert closed
    assert exact.mean().item() == pytest.approx(INFORMATION, abs=0.02)

    class Other:
        """N(0, I) that does not say so."""

        log_prob = staticmethod(Independent(Normal(torch.zeros(2), torch.ones(2)), 1).log_prob)

    monkeypatch.setattr(VariationalAutoencoder, "prior", lambda self: Other())
    drawn, closed = kl(run, draws(law, 20_000), rng())
    assert not closed
    assert drawn.mean().item() == pytest.approx(exact.mean().item(), abs=0.03)


def spherical(path: Path) -> TinyRun:
    spec = Spec(modality="vector", shape=(4,), likelihood=Gaussian())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SphericalAutoencoder(spec, nn.Linear(4, 4), nn.Linear(3, 4), 3)
    return TinyRun(spec, model, path)


def test_kl_on_the_sphere_is_that_of_draws(tmp_path: Path) -> None:
    run, x = spherical(tmp_path), 3 * torch.randn(20_000, 4, generator=rng())
    exact, closed = kl(run, x, rng())
    assert closed
    inferred = infer(run, x, rng())
    prior: Fitted = run.model.prior()  # type: ignore[assignment]
    drawn = inferred.log_prob - prior.log_prob(inferred.z)
    assert drawn.mean().item() == pytest.approx(exact.mean().item(), abs=0.03)


def test_what_is_inferred(tmp_path: Path) -> None:
    """Over several batches: codes, their own densities, and posteriors in the order of the data."""
    run, law = linear_gaussian(tmp_path)
    x = draws(law, 1203)
    found = infer(run, x, rng())
    assert isinstance(found.posterior, DiagonalNormal)
    assert isinstance(run.model, VariationalAutoencoder)
    expected = run.model.posterior(x)
    torch.testing.assert_close(found.posterior.mean, expected.mean)
    torch.testing.assert_close(found.log_prob, expected.log_prob(found.z))
    assert torch.equal(found.features, x), "x has no more numbers than its posterior"
    on_sphere = infer(spherical(tmp_path), x.float()[:, :4], rng())
    assert isinstance(on_sphere.posterior, VonMisesFisher)
    torch.testing.assert_close(torch.linalg.vector_norm(on_sphere.z, dim=1), torch.ones(1203))


def test_noise_makes_a_posterior_of_a_deterministic_code(tmp_path: Path) -> None:
    runs = {name: run for name, run in tiny_runs(tmp_path) if "images" in name}
    run = runs["spherical codes of images"]
    assert without_posterior(run) == "the codes are deterministic: there is no q(z|x)"
    assert without_posterior(runs["variational codes of images"]) is None
    x = torch.rand(800, 1, 16, 16, generator=rng())
    found = infer(run, x, rng(), noise=0.2)
    codes = run.encode(x)
    assert torch.equal(found.features, codes)
    assert (found.z - codes).std().item() == pytest.approx(0.2, rel=0.05)
    expected = Independent(Normal(codes, 0.2), 1).log_prob(found.z)
    torch.testing.assert_close(found.log_prob, expected, rtol=1e-4, atol=1e-4)
    assert found.posterior is not None


def test_bounds_are_on_both_sides_of_the_truth(tmp_path: Path) -> None:
    """Below that of a population, above the one with N(0, I) in place of the codes' density: here it is exact."""
    run, law = linear_gaussian(tmp_path)
    found = infer(run, draws(law, 4000), rng())
    assert found.posterior is not None
    lower = population_bound(found.posterior, found.z)
    upper, loose = (
        (found.log_prob - Independent(Normal(torch.zeros(2), std * torch.ones(2)), 1).log_prob(found.z)).mean().item()
        for std in (1.0, 1.5)
    )
    error = 0.06  # of means over 4,000 draws
    assert lower < upper < loose
    assert lower == pytest.approx(INFORMATION, abs=error)
    assert upper == pytest.approx(INFORMATION, abs=error)
    divergence = 2 * (math.log(1.5) - (1 - 1.5**-2) / 2)  # of N(0, I) from N(0, 1.5^2 I)
    assert loose == pytest.approx(INFORMATION + divergence, abs=error)
