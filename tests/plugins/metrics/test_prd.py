"""Precision and recall of distributions, against histograms worked by hand and laws known in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from dimecli.errors import UserError
from dimecli.evaluation.subject import Subject
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.prd import PRD, f_score, precision, shares


def closed_form(precision: float, recall: float, beta: float) -> float:
    """The F-score of a curve that is a rectangle with this corner."""
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def best_on_a_grid(p: list[list[float]], q: list[list[float]], beta: float) -> float:
    """The definition, word for word: curves over angles, averaged over the clusterings, then the largest F-score."""
    best = 0.0
    for step in range(1, 5000):
        slope = math.tan(step / 5000 * math.pi / 2)
        precisions = [sum(min(slope * a, b) for a, b in zip(*rows, strict=True)) for rows in zip(p, q, strict=True)]
        recalls = [sum(min(a, b / slope) for a, b in zip(*rows, strict=True)) for rows in zip(p, q, strict=True)]
        mean_precision, mean_recall = sum(precisions) / len(p), sum(recalls) / len(p)
        if mean_precision and mean_recall:
            best = max(best, closed_form(mean_precision, mean_recall, beta))
    return best


@pytest.mark.parametrize("beta", [8.0, 1.0, 1 / 8])
@pytest.mark.parametrize(("clusterings", "clusters"), [(1, 2), (1, 7), (3, 5)])
def test_the_largest_score_of_the_curve(beta: float, clusterings: int, clusters: int) -> None:
    rng = torch.Generator().manual_seed(clusters)
    p, q = torch.rand(2, clusterings, clusters, generator=rng, dtype=torch.float64) + 0.01
    q[0, 0] = 0  # a cluster without samples
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    expected = best_on_a_grid(p.tolist(), q.tolist(), beta)
    found = f_score(p, q, beta)
    assert expected <= found + 1e-12  # the grid misses the very best
    assert found == pytest.approx(expected, rel=1e-3)


def test_the_curve() -> None:
    p, q = torch.tensor([[0.5, 0.5, 0.0]]).double(), torch.tensor([[0.2, 0.3, 0.5]]).double()
    slopes = torch.tensor([0.1, 0.5, 2.0]).double()
    torch.testing.assert_close(precision(p, q, slopes), torch.tensor([0.1, 0.45, 0.5]).double())


def modes(which: list[int], each: int, seed: int) -> torch.Tensor:
    """Points in narrow heaps far apart, as many in each."""
    centers = 100.0 * torch.tensor([[0, 0], [1, 0], [0, 1], [3, 3], [3, 0], [0, 3]])
    noise = torch.randn(len(which), each, 2, generator=torch.Generator().manual_seed(seed))
    return (centers[which][:, None] + noise).flatten(0, 1)


@pytest.mark.parametrize(("dropped", "recall"), [([0, 1, 2], 1 / 2), ([3], 1 / 6), ([0, 1, 2, 3, 4, 5], 1.0)])
def test_modes_that_are_dropped_cost_recall_and_such_that_are_invented_precision(
    dropped: list[int], recall: float
) -> None:
    all_modes, some = modes([0, 1, 2, 3, 4, 5], 60 // 6, 0), modes(dropped, 60 // len(dropped), 1)
    p, q = shares(all_modes, some, 6, 3, torch.Generator().manual_seed(0))
    for beta in (8.0, 1 / 8):
        assert f_score(p, q, beta) == pytest.approx(closed_form(1, recall, beta))
        assert f_score(q, p, beta) == pytest.approx(closed_form(recall, 1, beta))


@pytest.mark.parametrize("clusters", [2, 20])
def test_equal_sets_and_sets_apart(clusters: int) -> None:
    x = modes([0, 1, 2], 20, 0)
    rng = torch.Generator().manual_seed(0)
    for beta in (8.0, 1 / 8):
        assert f_score(*shares(x, x, clusters, 2, rng), beta) == pytest.approx(1)
        assert f_score(*shares(x, x + 1e4, clusters, 2, rng), beta) == 0


def test_points_that_are_all_the_same_make_one_cluster() -> None:
    x = torch.zeros(30, 4)
    assert f_score(*shares(x, x, 20, 2, torch.Generator().manual_seed(0)), 8.0) == pytest.approx(1)


def test_of_as_many_samples_as_data(tiny: dict[str, TinyRun]) -> None:
    run = tiny["spherical codes of vectors"]
    subject = Subject(run, "", 100)  # the test split has 60
    metric = PRD(clusters=7, runs=2)
    recall, precise = metric.measure(subject)
    assert (recall.name, precise.name) == ("prd[values]/f8", "prd[values]/f0.125")
    assert recall.conditions == precise.conditions
    expected = {"n": 60, "density": {"name": "tiny"}, "fitted_on": "train", "clusters": 7, "runs": 2}
    assert recall.conditions == expected
    p, q = shares(subject.data, subject.samples.x[:60], 7, 2, subject.rng("prd"))
    assert recall.value == pytest.approx(best_on_a_grid(p.tolist(), q.tolist(), 8), rel=1e-3)
    assert precise.value == pytest.approx(best_on_a_grid(p.tolist(), q.tolist(), 1 / 8), rel=1e-3)
    (picture,) = subject.files
    assert picture == run.path / "figures" / "prd-tiny.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_fewer_samples_than_clusters(tiny: dict[str, TinyRun]) -> None:
    with pytest.raises(UserError, match=r"^--clusters 20: should be at most the number of samples, 19$"):
        list(PRD().measure(Subject(tiny["deterministic codes of vectors"], "", 19)))


def test_sentences_have_no_features(tiny: dict[str, TinyRun]) -> None:
    refusal = PRD().refusal(tiny["deterministic codes of sentences"])
    assert refusal == "it is of images and vectors; this run is of sentences"
