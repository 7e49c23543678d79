"""Linear layers behind the encoder: IRMAE and LoRAE."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.plugin import Objective
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.ae import AE
from dimecli_plugins.objectives.irmae import IRMAE
from dimecli_plugins.objectives.lorae import LoRAE

DTYPES = [torch.float32, torch.float64]
NETWORK = MLP(widths=(8,))


def vector_spec(size: int) -> Spec:
    return Spec(modality="vector", shape=(size,), likelihood=Gaussian())


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def built(objective: Objective, size: int, dtype: torch.dtype = torch.float64) -> tuple[Any, torch.Tensor]:
    torch.manual_seed(0)
    model = objective.build(vector_spec(size), NETWORK).to(dtype)
    return model, torch.randn(6, size, generator=rng(), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [1, 4])
def test_irmae_codes_are_what_the_product_of_its_matrices_gives(layers: int, dtype: torch.dtype) -> None:
    objective = IRMAE(latent_size=5, layers=layers)
    model, x = built(objective, 7, dtype)
    encoder, *stack = model.encoder
    assert [tuple(layer.weight.shape) for layer in stack] == [(5, 5)] * layers
    assert all(layer.bias is None and layer.weight.abs().max() <= 1 / math.sqrt(5) for layer in stack)  # as torch draws
    product = torch.linalg.multi_dot([torch.eye(5, dtype=dtype), *(layer.weight.T for layer in stack)])
    z = encoder(x) @ product
    torch.testing.assert_close(model.encode(x), z)
    loss = objective.loss(model, x, rng())
    assert list(loss.terms) == ["reconstruction"]
    assert loss.total.item() == pytest.approx((model.decoder(z) - x).square().sum().item() / 6, rel=1e-5)


def spectrum(objective: Objective, steps: int = 300) -> list[float]:
    """Eigenvalues of the codes' covariance by the largest one, for data around 2 dimensions of 12."""
    draw = torch.Generator().manual_seed(0)
    basis = torch.randn(2, 12, generator=draw)
    x = torch.randn(256, 2, generator=draw) @ basis + 0.3 * torch.randn(256, 12, generator=draw)
    torch.manual_seed(0)
    model = objective.build(vector_spec(12), MLP(widths=()))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        objective.loss(model, x, rng()).total.backward()
        optimizer.step()
    eigenvalues = torch.linalg.eigvalsh(torch.cov(model.encode(x).T)).flip(0)
    values: list[float] = (eigenvalues / eigenvalues[0]).tolist()
    return values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5])
def test_lorae_adds_the_sum_of_the_singular_values_of_its_matrix(size: int, dtype: torch.dtype) -> None:
    objective = LoRAE(latent_size=size, lam=0.3)
    model, x = built(objective, 7, dtype)
    encoder, matrix = model.encoder
    assert isinstance(matrix, nn.Linear)
    assert matrix.bias is None
    z = encoder(x) @ matrix.weight.T
    expected = {
        "reconstruction": (model.decoder(z) - x).square().sum().item() / 6,
        "rank": 0.3 * sum(torch.linalg.svdvals(matrix.weight).tolist()),
    }
    loss = objective.loss(model, x, rng())
    assert {name: term.item() for name, term in loss.terms.items()} == pytest.approx(expected, rel=1e-5)


def test_lorae_trains_through_a_matrix_of_zeros_and_equal_singular_values() -> None:
    objective = LoRAE(latent_size=4, lam=0.3)
    model, x = built(objective, 7)
    matrix = model.encoder[1].weight
    for value in (torch.zeros_like(matrix), torch.eye(4, dtype=matrix.dtype)):
        matrix.data = value
        objective.loss(model, x, rng()).total.backward()
        assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)


@pytest.mark.parametrize("objective", [IRMAE(latent_size=12, layers=4), LoRAE(latent_size=12, lam=0.3)])
def test_codes_lose_the_dimensions_that_a_plain_autoencoder_keeps(objective: Objective) -> None:
    plain, low = spectrum(AE(latent_size=12)), spectrum(objective)
    assert min(plain[1], low[1]) > 0.3  # both dimensions of the data are there
    assert sum(low[2:]) < 0.2 * sum(plain[2:])
