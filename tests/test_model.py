"""The parts that models are made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.model import UnitNorm, VariationalAutoencoder


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_unit_norm_is_exact_in_every_precision(dtype: torch.dtype) -> None:
    z = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    z[0] = 0
    unit = UnitNorm()(z)
    assert unit.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    lengths = torch.linalg.vector_norm(unit, dim=1)
    torch.testing.assert_close(lengths, (torch.arange(50) > 0).to(unit.dtype))


def linear_gaussian(dtype: torch.dtype, variance: float) -> tuple[VariationalAutoencoder, torch.Tensor]:
    """x = W z + b + noise with 4 numbers and 2 dimensions, and data; its posterior is not the exact one."""
    rng = torch.Generator().manual_seed(0)
    spec = Spec(modality="vector", shape=(4,), likelihood=Gaussian(variance=variance))
    model = VariationalAutoencoder(spec, nn.Linear(4, 4), nn.Linear(2, 4), 2).to(dtype)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=rng, dtype=dtype))
        for weight in model.encoder.parameters():
            weight.mul_(0.1)  # near the prior: wider than the exact posterior, so that weights are bounded
    return model, 0.5 * torch.randn(6, 4, generator=rng, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("variance", [0.5, 2.0])
def test_log_prob_is_exact_on_a_linear_gaussian_model(dtype: torch.dtype, variance: float) -> None:
    """There p(x) = N(b, W W^T + variance I)."""
    model, x = linear_gaussian(dtype, variance)
    weight, bias = (tensor.detach().double() for tensor in model.decoder.parameters())
    covariance = weight @ weight.T + variance * torch.eye(4, dtype=torch.float64)
    exact = MultivariateNormal(bias, covariance).log_prob(x.double())
    found = model.log_prob(x, torch.Generator().manual_seed(1), draws=4000)
    assert found.tolist() == pytest.approx(exact.tolist(), abs=0.1)
    bound = torch.stack([model.log_weight(x, torch.Generator().manual_seed(seed)) for seed in range(200)]).mean(0)
    assert (bound < exact).all(), "the evidence lower bound"


def test_log_prob_draws_from_its_generator_and_survives_what_float32_cannot_hold() -> None:
    model, x = linear_gaussian(torch.float32, 1e-4)
    far = 200 * x  # log-weights of about -1e8
    first, again = (model.log_prob(far, torch.Generator().manual_seed(2), draws=3) for _ in range(2))
    assert first.isfinite().all()
    assert torch.equal(first, again)
