"""Precision, recall, density and coverage against double loops and torch-fidelity."""

from __future__ import annotations

import math

import pytest
import torch

from dimecli.errors import UserError
from dimecli.evaluation.subject import Subject
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.precision_recall import PrecisionRecall, by_neighbours

PARTS = ("precision", "recall", "density", "coverage")


@pytest.fixture
def run(tiny: dict[str, TinyRun]) -> TinyRun:
    return tiny["deterministic codes of vectors"]


def two_sets(n: int, m: int, d: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(n * m * d)
    a, b = torch.randn(n, d, generator=rng, dtype=dtype), torch.randn(m, d, generator=rng, dtype=dtype)
    return a, 0.7 * b + 0.3


def by_loops(data: list[list[float]], samples: list[list[float]], k: int) -> list[float]:
    """The four definitions, point by point."""

    def radii(points: list[list[float]]) -> list[float]:
        return [sorted(math.dist(x, y) for j, y in enumerate(points) if j != i)[k - 1] for i, x in enumerate(points)]

    of_data, of_samples = radii(data), radii(samples)
    inside = [[math.dist(y, x) <= radius for x, radius in zip(data, of_data, strict=True)] for y in samples]
    recalled = [any(math.dist(y, x) <= radius for y, radius in zip(samples, of_samples, strict=True)) for x in data]
    return [
        sum(map(any, inside)) / len(samples),
        sum(recalled) / len(data),
        sum(map(sum, inside)) / k / len(samples),
        sum(map(any, zip(*inside, strict=True))) / len(data),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(12, 12, 1), (60, 60, 3), (30, 50, 16)])
def test_against_loops(n: int, m: int, d: int, k: int, dtype: torch.dtype) -> None:
    data, samples = two_sets(n, m, d, dtype)
    found = by_neighbours(data, samples, k)
    assert [found[part] for part in PARTS] == pytest.approx(by_loops(data.tolist(), samples.tolist(), k))
    moved = by_neighbours(data + 1000, samples + 1000, k) if dtype == torch.float64 else found
    assert moved == found  # distances do not know where zero is


@pytest.mark.parametrize("k", [1, 3])
def test_against_torch_fidelity_in_several_blocks(k: int) -> None:
    fidelity = pytest.importorskip("torch_fidelity.metric_prc")
    data, samples = two_sets(700, 600, 4)
    expected = fidelity.calculate_precision_recall_full(samples, data, k)
    found = by_neighbours(data, samples, k)
    assert (found["precision"], found["recall"]) == pytest.approx(expected)


def test_equal_sets() -> None:
    data, _ = two_sets(40, 1, 3)
    found = by_neighbours(data, data.flip(0), 5)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert 1 <= found["density"] <= 6 / 5  # a ball has its centre too; rounding decides of points on its surface


def test_sets_apart() -> None:
    data, samples = two_sets(40, 40, 3)
    assert by_neighbours(data, samples + 1000, 5) == dict.fromkeys(PARTS, 0)


def test_one_mode_of_two_is_precise_but_half_recalled() -> None:
    data, _ = two_sets(80, 1, 2)
    data[40:] += 1000
    found = by_neighbours(data, data[:40] + 1e-9, 5)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 0.5, 0.5)
    invented = by_neighbours(data[:40] + 1e-9, data, 5)
    assert (invented["precision"], invented["recall"], invented["coverage"]) == (0.5, 1, 1)


def test_as_a_metric(run: TinyRun) -> None:
    subject = Subject(run, "", 100)  # the test split has 60
    found = list(PrecisionRecall(neighbours=3).measure(subject))
    assert [one.name for one in found] == [f"precision-recall[values]/{part}" for part in PARTS]
    expected = by_loops(subject.data.tolist(), subject.samples.x[:60].tolist(), 3)
    assert [one.value for one in found] == pytest.approx(expected)
    conditions = {"n": 60, "density": {"name": "tiny"}, "fitted_on": "train", "neighbours": 3}
    assert all(one.conditions == conditions and one.direction == "higher" for one in found)


@pytest.mark.parametrize("n", [1, 5])
def test_too_few_samples(run: TinyRun, n: int) -> None:
    with pytest.raises(UserError, match=rf"^--neighbours 5: should be less than the number of samples, {n}$"):
        list(PrecisionRecall().measure(Subject(run, "", n)))
    if n == 5:
        assert len(list(PrecisionRecall(neighbours=4).measure(Subject(run, "", n)))) == 4
