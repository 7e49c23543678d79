"""The training samples that are nearest to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dimecli.api import train
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli.registry import make
from dimecli.run.nearest import nearest, nearest_training, save_nearest
from dimecli.testing.runs import TinyRun, tiny_runs


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path))


def training(run: Any) -> torch.Tensor:
    x = run.samples("train").x
    assert isinstance(x, torch.Tensor)
    return x


def by_differences(x: torch.Tensor, known: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k least distances of each x, and where they are."""
    differences = (x[:, None] - known).flatten(2).double()
    found = differences.square().sum(2).sqrt().topk(k, largest=False)
    return found.values.float(), found.indices


@pytest.mark.parametrize("k", [1, 5, 120])
@pytest.mark.parametrize("name", ["spherical codes of images", "deterministic codes of vectors"])
def test_against_all_pairs(tiny: dict[str, TinyRun], name: str, k: int) -> None:
    run = tiny[name]
    drawn = run.sample(40)
    found = nearest(run, drawn, k)
    distances, indices = by_differences(drawn.x, training(run), k)
    torch.testing.assert_close(found.distances, distances)
    assert torch.equal(found.indices, indices)
    assert torch.equal(found.neighbours(run), training(run)[indices])


def test_far_from_zero_products_of_matrices_are_still_exact(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of vectors"]
    far = training(run) + 10_000
    run._data["train"] = Samples(run.model.spec, far)
    distances, indices = nearest_training(run, far[[3, 17]] + 0.01, 1)
    assert indices.flatten().tolist() == [3, 17]
    torch.testing.assert_close(distances, by_differences(far[[3, 17]] + 0.01, far, 1)[0])


def test_a_copy_is_at_distance_0(tiny: dict[str, TinyRun]) -> None:
    for name in ("deterministic codes of images", "deterministic codes of sentences"):
        run = tiny[name]
        distances, indices = nearest_training(run, training(run)[[5, 60, 119]], 1)
        assert distances.tolist() == [[0], [0], [0]]
        assert torch.equal(training(run)[indices.flatten()], training(run)[[5, 60, 119]])


def test_more_than_a_batch_from_memory_and_streamed(tiny: dict[str, TinyRun], monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny["deterministic codes of vectors"]
    known = torch.randn(2345, 5, generator=torch.Generator().manual_seed(0))
    run._data["train"] = Samples(run.model.spec, known)
    x = torch.randn(70, 5, generator=torch.Generator().manual_seed(1))
    expected = by_differences(x, known, 3)
    for streamed in (False, True):
        monkeypatch.setattr("dimecli.data.batches._fits", lambda *sizes, streamed=streamed: not streamed)
        distances, indices = nearest_training(run, x, 3)
        assert torch.equal(indices, expected[1])
        torch.testing.assert_close(distances, expected[0])


def test_some_of_the_training_samples(tiny: dict[str, TinyRun]) -> None:
    run = tiny["spherical codes of vectors"]
    x = run.sample(30).x
    _, few = nearest_training(run, x, 10, most=10)
    chosen = few[0].sort().values
    assert len(chosen.unique()) == 10
    distances, indices = by_differences(x, training(run)[chosen], 10)
    found, places = nearest_training(run, x, 10, most=10)
    torch.testing.assert_close(found, distances)
    assert torch.equal(places, chosen[indices])
    assert not torch.equal(nearest_training(run, x, 10, most=10, seed=1)[1][0].sort().values, chosen)


def test_sentences(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of sentences"]
    likelihood: Any = run.model.spec.likelihood
    x = torch.from_numpy(likelihood.compiled.parse_all(["x", "(x+y)"])[0]).short()
    run._data["train"] = Samples(run.model.spec, x)
    sums = torch.from_numpy(likelihood.compiled.parse_all(["x+y", "(x+x)"])[0]).short()
    found = nearest_training(run, sums, 2)
    # S -> S+T | T and T -> (S) | x | y: "x+y" is S+T, T, x, y; "x" is T, x; "(x+y)" is T, (S), S+T, T, x, y
    assert found[0].tolist() == [[2, 2], [1, 4]]
    assert found[1][1].tolist() == [1, 0]


def test_grey_pixels_that_a_model_sees_as_draws_are_compared_as_they_are(tmp_path: Path) -> None:
    digits = make("dataset", "digits", likelihood="bernoulli", binarize="dynamic")
    run = train("ae", digits, make("network", "mlp", widths=(16,)), runs=tmp_path, epochs=1)
    pixels = training(run)[[1, 2]]
    grey = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    assert len(grey.unique()) > 2
    distances, indices = nearest_training(run, grey, 1)
    assert distances.tolist() == [[0], [0]]
    assert indices.flatten().tolist() == [1, 2]


def test_more_neighbours_than_training_samples(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of images"]
    with pytest.raises(UserError, match=r"^--neighbours 121: should be at most the number of training samples, 120$"):
        nearest(run, run.sample(2), 121)


@pytest.mark.parametrize("modality", ["image", "vector"])
@pytest.mark.parametrize("n", [1, 40])
def test_the_picture(tiny: dict[str, TinyRun], modality: str, n: int) -> None:
    from PIL import Image

    run = tiny[f"spherical codes of {modality}s"]
    file = save_nearest(run, nearest(run, run.sample(n), 3))
    assert file == run.path / "figures" / "nearest-tiny.png"
    with Image.open(file) as image:
        width, height = image.size
    if modality == "image":
        assert width > 4 * 64
        assert 64 * min(n, 32) < height < 64 * min(n, 32) + 200
