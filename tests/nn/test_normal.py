"""Diagonal Gaussians against torch.distributions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from dimecli.nn.normal import DiagonalNormal

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
SHAPES = pytest.mark.parametrize("shape", [(1, 1), (5, 3), (2, 16)])


def pair(shape: tuple[int, int], dtype: torch.dtype) -> tuple[DiagonalNormal, Any]:
    rng = torch.Generator().manual_seed(0)
    mean, log_variance = (torch.randn(shape, generator=rng, dtype=dtype).requires_grad_() for _ in range(2))
    return DiagonalNormal(mean, log_variance), Independent(Normal(mean, log_variance.exp().sqrt()), 1)


@DTYPES
@SHAPES
def test_log_prob_and_kl(shape: tuple[int, int], dtype: torch.dtype) -> None:
    ours, theirs = pair(shape, dtype)
    z = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z))
    standard = Independent(Normal(torch.zeros(shape, dtype=dtype), torch.ones(shape, dtype=dtype)), 1)
    torch.testing.assert_close(ours.kl(), kl_divergence(theirs, standard))


@DTYPES
def test_draws_are_reparametrised_and_of_the_generator(dtype: torch.dtype) -> None:
    ours, _ = pair((4, 2), dtype)
    z = ours.sample(torch.Generator().manual_seed(3))
    noise = torch.randn((4, 2), generator=torch.Generator().manual_seed(3), dtype=dtype)
    torch.testing.assert_close(z, ours.mean + noise * (ours.log_variance / 2).exp())
    mean, log_variance = torch.autograd.grad(z.sum(), (ours.mean, ours.log_variance))
    torch.testing.assert_close(mean, torch.ones_like(mean))
    torch.testing.assert_close(log_variance, noise * (ours.log_variance / 2).exp() / 2)


@DTYPES
@SHAPES
def test_log_probs_are_those_of_every_pair(shape: tuple[int, int], dtype: torch.dtype) -> None:
    ours, _ = pair(shape, dtype)
    z = torch.randn(4, shape[1], generator=torch.Generator().manual_seed(1), dtype=dtype)
    narrow = DiagonalNormal(ours.mean + 3, ours.log_variance - 20)  # squares of some 1e10 cancel there
    for normals in (ours, narrow):
        mean, log_variance = (part.double() for part in normals)
        each = Independent(Normal(mean, (log_variance / 2).exp()), 1).log_prob(z.double()[:, None])
        assert normals.log_probs(z).dtype == torch.float64
        torch.testing.assert_close(normals.log_probs(z), each)
