"""Codes in the plane."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.distributions import GaussianMixture, StandardNormal
from dimecli.errors import UserError
from dimecli.model import Autoencoder, UnitNorm, VariationalAutoencoder
from dimecli.run.embed import MASSES, contour_levels, embed, save_embedding
from dimecli.testing.runs import TinyRun, tiny_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path_factory.mktemp("runs")))


def flat_run(path: Path, size: int, variational: bool = False) -> TinyRun:
    """A run of vectors with codes of so many dimensions."""
    spec = Spec(modality="vector", shape=(5,), likelihood=Gaussian(), classes=("a", "b", "c"))
    kind = VariationalAutoencoder if variational else Autoencoder
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TinyRun(spec, kind(spec, nn.Linear(5, (1 + variational) * size), nn.Linear(size, 5), size), path)


@pytest.mark.parametrize("method", ["auto", "codes"])
def test_two_dimensional_codes_are_drawn_as_they_are(tmp_path: Path, method: Any) -> None:
    run = flat_run(tmp_path, 2)
    found = embed(run, method)
    assert (found.method, found.axes, found.globe) == ("codes", ("z[0]", "z[1]"), False)
    assert torch.equal(found.points, run.codes("test"))
    assert found.values is not None
    assert torch.equal(found.values, run.samples("test").y)  # type: ignore[arg-type]


def test_three_dimensions_on_the_sphere_are_a_map(runs: dict[str, TinyRun]) -> None:
    run = runs["spherical codes of images"]
    found = embed(run)
    assert (found.method, found.axes, found.globe) == ("codes", ("longitude", "latitude"), True)
    longitude, latitude = found.points.T
    back = torch.stack([latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()], 1)
    torch.testing.assert_close(back, run.codes("test"), atol=1e-5, rtol=1e-4)


def test_principal_components(tmp_path: Path) -> None:
    run = flat_run(tmp_path, 4)
    found = embed(run, "pca", n=40, seed=3)
    codes = run.codes("test")[found.indices].double().numpy()
    centred = codes - codes.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    projected = np.abs(centred @ axes[:2].T)
    np.testing.assert_allclose(np.abs(found.points.numpy()), projected, rtol=1e-4, atol=1e-5)
    share = singular**2 / (singular**2).sum()
    assert found.axes == tuple(f"component {k + 1} ({share[k]:.1%} of the variance)" for k in range(2))


def test_tsne_is_the_same_for_the_same_seed_and_keeps_clusters(tmp_path: Path) -> None:
    run = flat_run(tmp_path, 4)
    rng = torch.Generator().manual_seed(0)
    centres = 20 * torch.eye(4)[torch.arange(40) % 2]
    run.codes = lambda split: centres + torch.randn(40, 4, generator=rng.manual_seed(0))  # type: ignore[method-assign]
    first, again, other = (embed(run, "tsne", n=39, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.points, again.points)
    assert not torch.equal(first.indices, other.indices)
    assert first.axes == ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)")
    nearest = torch.cdist(first.points, first.points).fill_diagonal_(math.inf).argmin(1)
    assert torch.equal(first.indices[nearest] % 2, first.indices % 2)


def test_umap_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    says = r"^--method umap: umap-learn is not installed: pip install 'dimecli\[umap\]'$"
    with pytest.raises(UserError, match=says):
        embed(flat_run(tmp_path, 4), "umap")


def test_umap_gets_the_codes_and_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    class UMAP:
        def __init__(self, random_state: int, **options: Any) -> None:
            seeds.append(random_state)

        def fit_transform(self, codes: Any) -> Any:
            return codes[:, :2]

    module: Any = ModuleType("umap")
    module.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", module)
    run = flat_run(tmp_path, 4)
    found = [embed(run, "umap", seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(found[0].points, run.codes("test")[:, :2])
    assert seeds[0] == seeds[1] != seeds[2]
    assert found[0].axes == ("UMAP 1 (no unit)", "UMAP 2 (no unit)")


@pytest.mark.parametrize(
    ("size", "method", "n", "says"),
    [
        (4, "codes", 10, "--method codes: the codes have 4 dimensions; it draws 2, or 3 on the sphere"),
        (1, "auto", 10, "--method auto: the codes have 1 dimension; at least 2 are drawn"),
        (1, "codes", 10, "--method codes: the codes have 1 dimension; at least 2 are drawn"),
        (4, "tsne", 1, "--method tsne: needs at least 4 codes, got 1"),
        (4, "pca", 3, "--method pca: needs at least 4 codes, got 3"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, size: int, method: Any, n: int, says: str) -> None:
    with pytest.raises(UserError) as error:
        embed(flat_run(tmp_path, size), method, n=n)
    assert str(error.value) == says


def test_codes_that_are_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = flat_run(tmp_path, 4)
    monkeypatch.setattr(run, "codes", lambda split: torch.ones(60, 4))
    with pytest.raises(UserError, match=r"^--method tsne: all codes that it got are the same; the encoder has"):
        embed(run)


def test_levels_of_a_normal_prior_are_those_of_its_radii() -> None:
    _, levels = contour_levels(StandardNormal(2), torch.device("cpu"))
    expected = [-math.log(2 * math.pi) + math.log(1 - mass) for mass in sorted(MASSES, reverse=True)]
    np.testing.assert_allclose(levels, expected, atol=0.15)
    assert levels.tolist() == sorted(levels.tolist())


@pytest.mark.parametrize("narrow", [0.2, 1.0])
def test_the_density_within_a_contour_integrates_to_its_share(narrow: float) -> None:
    weights, means = torch.tensor([0.3, 0.7]), torch.tensor([[-2.0, 0.0], [2.0, 1.0]])
    mixture = GaussianMixture(weights, means, torch.stack([torch.eye(2), narrow * torch.eye(2)]))
    _, levels = contour_levels(mixture, torch.device("cpu"))
    axis = torch.linspace(-8, 8, 1001)
    density = mixture.log_prob(torch.cartesian_prod(axis, axis)).double()
    cell = (axis[1] - axis[0]).item() ** 2
    for level, mass in zip(levels, sorted(MASSES, reverse=True), strict=True):
        assert density[density >= level].exp().sum().item() * cell == pytest.approx(mass, abs=0.01)


@pytest.mark.parametrize(
    ("size", "variational", "method"), [(2, False, "codes"), (2, True, "codes"), (4, True, "pca"), (4, False, "tsne")]
)
def test_pictures(tmp_path: Path, size: int, variational: bool, method: Any) -> None:
    run = flat_run(tmp_path, size, variational)
    file = save_embedding(run, embed(run, method, n=30))
    assert file == run.path / "figures" / f"embedding-{method}-test.png"
    with Image.open(file) as image:
        assert min(image.size) > 100


def test_a_prior_is_drawn_over_its_codes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("dimecli.run.embed._draw_prior", lambda axes, prior, *of: drawn.append(prior))
    run = flat_run(tmp_path, 2, variational=True)
    save_embedding(run, embed(run, "pca"))
    assert not drawn
    save_embedding(run, embed(run, "codes"))
    assert drawn == [StandardNormal(2)]


def test_codes_on_the_circle(tmp_path: Path) -> None:
    spec = Spec(modality="vector", shape=(5,), likelihood=Gaussian())
    run = TinyRun(spec, Autoencoder(spec, nn.Sequential(nn.Linear(5, 2), UnitNorm()), nn.Linear(2, 5), 2), tmp_path)
    found = embed(run)
    assert not found.globe
    torch.testing.assert_close(found.points.norm(dim=1), torch.ones(60))
    assert save_embedding(run, found).read_bytes()[:4] == b"\x89PNG"


def test_a_flat_prior_has_no_contours(tmp_path: Path) -> None:
    class Flat(StandardNormal):
        def log_prob(self, z: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(z))

    run = flat_run(tmp_path, 2)
    found = embed(run)
    without = save_embedding(run, found).read_bytes()
    run.__dict__["prior"] = Flat(2)
    assert save_embedding(run, found).read_bytes() == without
    run.__dict__["prior"] = StandardNormal(2)
    assert save_embedding(run, found).read_bytes() != without


def test_a_map_of_the_sphere_and_lengths_of_sentences(runs: dict[str, TinyRun]) -> None:
    sentences = runs["spherical codes of sentences"]
    found = embed(sentences, n=25)
    pad = sentences.model.spec.likelihood.parameters(sentences.model.spec.shape)[-1] - 1
    ids = sentences.samples("test").x
    assert isinstance(ids, torch.Tensor)
    assert found.values is not None
    assert found.values.tolist() == (ids[found.indices] != pad).sum(1).tolist()
    for run, points in ((sentences, found), (runs["spherical codes of vectors"], None)):
        assert save_embedding(run, points or embed(run)).read_bytes()[:4] == b"\x89PNG"


def test_no_classes_and_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = flat_run(tmp_path, 2)
    samples = run.samples("test")
    spec = run.model.spec.model_copy(update={"classes": tuple(map(str, range(100)))})
    monkeypatch.setattr(run.model, "spec", spec)
    many = save_embedding(run, embed(run)).read_bytes()
    monkeypatch.setattr(run, "samples", lambda split: type(samples)(samples.spec, samples.x))
    found = embed(run)
    assert found.values is None
    assert save_embedding(run, found).read_bytes() != many
