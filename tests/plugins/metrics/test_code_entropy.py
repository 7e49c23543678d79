"""The entropy of the codes of a run; its estimators are tested with the evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from dimecli.errors import UserError
from dimecli.evaluation.subject import Subject
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.code_entropy import CodeEntropy

OfCodes = Callable[..., Subject]


def draws(count: int, size: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0))


def test_on_the_sphere_beside_the_uniform_law(of_codes: OfCodes) -> None:
    subject = of_codes(F.normalize(draws(60, 3), dim=1))
    found, uniform = CodeEntropy().measure(subject)
    assert (found.name, uniform.name) == ("code-entropy", "code-entropy/uniform")
    assert found.unit == uniform.unit == "nats"
    assert uniform.value == pytest.approx(math.log(4 * math.pi))
    assert found.value == pytest.approx(uniform.value, abs=0.1)
    assert found.conditions == {"n": 60, "kernels": "von Mises-Fisher"}


def test_elsewhere_beside_a_gaussian(of_codes: OfCodes) -> None:
    codes = draws(60, 2) * torch.tensor([1.0, 5.0])
    found, gaussian = CodeEntropy().measure(of_codes(codes, sphere=False))
    assert gaussian.name == "code-entropy/gaussian"
    covariance = torch.cov(codes.double().T, correction=0)
    assert gaussian.value == pytest.approx(0.5 * torch.logdet(2 * math.pi * math.e * covariance).item(), rel=1e-6)
    assert found.conditions == {"n": 60, "kernels": "gaussian"}


def test_more_than_it_can_be_is_remarked(of_codes: OfCodes) -> None:
    found, gaussian = CodeEntropy().measure(of_codes(draws(60, 16), sphere=False))
    assert found.value > gaussian.value
    assert found.remark == "More than it can be: 60 codes are few for kernels in 16 dimensions."


def test_codes_in_heaps_are_remarked(of_codes: OfCodes) -> None:
    heaps = F.normalize(draws(6, 3), dim=1).repeat(10, 1)
    found, _ = CodeEntropy().measure(of_codes(heaps))
    assert found.remark == "The narrowest kernels that were tried are the best: it may be much less."


def test_samples_that_are_the_same_count_once(tiny: dict[str, TinyRun]) -> None:
    subject = Subject(tiny["spherical codes of sentences"])
    different = len({tuple(row) for row in subject.data.tolist()})
    assert different < 60
    found, _ = CodeEntropy().measure(subject)
    assert found.conditions["n"] == different


def test_one_sample_has_none(tiny: dict[str, TinyRun]) -> None:
    with pytest.raises(UserError, match=r"^-n 1: code-entropy needs 2 different samples of test$"):
        list(CodeEntropy().measure(Subject(tiny["spherical codes of images"], n=1)))
