"""The participation ratio on planted spectra."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dimecli.errors import DimeError, UserError
from dimecli.evaluation.subject import Subject
from dimecli.registry import make

OfCodes = Callable[..., Subject]


def ratio(subject: Subject) -> float:
    (found,) = make("metric", "participation-ratio").measure(subject)
    assert found.unit == f"of {subject.codes.shape[1]}"
    assert found.conditions == {"n": len(subject.codes)}
    return float(found.value)


def planted(spectrum: list[float], dtype: torch.dtype) -> torch.Tensor:
    """Codes whose covariance has exactly these eigenvalues, turned and moved anywhere."""
    rng = torch.Generator().manual_seed(len(spectrum))
    noise = torch.randn(60, len(spectrum), generator=rng, dtype=torch.float64)
    white, _ = torch.linalg.qr(noise - noise.mean(0))
    turn, _ = torch.linalg.qr(torch.randn(len(spectrum), len(spectrum), generator=rng, dtype=torch.float64))
    codes: torch.Tensor = white * torch.tensor(spectrum).double().sqrt() @ turn + torch.arange(len(spectrum))
    return codes.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("spectrum", "expected"),
    [
        ([1.0] * 16, 16),
        ([4.0], 1),
        ([1.0, 0.0, 0.0], 1),
        ([1.0] * 4 + [0.0] * 4, 4),
        ([3.0, 1.0], 1.6),
        ([1.0, 0.5, 0.25], 1.75**2 / 1.3125),
    ],
)
def test_planted_spectra(of_codes: OfCodes, dtype: torch.dtype, spectrum: list[float], expected: float) -> None:
    assert ratio(of_codes(planted(spectrum, dtype))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("count", "size"), [(2, 5), (10, 3), (500, 64)])
def test_equals_the_formula_of_numpys_eigenvalues(of_codes: OfCodes, count: int, size: int) -> None:
    codes = torch.randn(count, size, generator=torch.Generator().manual_seed(0)) * torch.arange(1, size + 1)
    eigenvalues = np.linalg.eigvalsh(np.cov(codes.double().numpy(), rowvar=False))
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert ratio(of_codes(codes)) == pytest.approx(expected, rel=1e-9)


def test_too_few_codes_and_codes_that_are_all_the_same(of_codes: OfCodes) -> None:
    with pytest.raises(UserError) as few:
        ratio(of_codes(torch.ones(1, 3)))
    assert str(few.value) == "-n 1: a covariance needs 2 samples of test, got 1"
    with pytest.raises(DimeError) as same:
        ratio(of_codes(torch.ones(7, 3)))
    assert str(same.value) == "all 7 codes are the same"
