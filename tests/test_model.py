"""The parts that models are made of."""

from __future__ import annotations

import pytest
import torch

from dimecli.model import UnitNorm


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_unit_norm_is_exact_in_every_precision(dtype: torch.dtype) -> None:
    z = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    z[0] = 0
    unit = UnitNorm()(z)
    assert unit.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    lengths = torch.linalg.vector_norm(unit, dim=1)
    torch.testing.assert_close(lengths, (torch.arange(50) > 0).to(unit.dtype))
