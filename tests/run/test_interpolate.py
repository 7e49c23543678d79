"""Arcs and lines between codes, and their pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dimecli.errors import UserError
from dimecli.run.interpolate import interpolate, interpolated_sentences, lerp, save_interpolation, slerp
from dimecli.run.sentences import texts
from dimecli.testing.runs import TinyRun, tiny_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path_factory.mktemp("runs")))


def points(size: int, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    rng = torch.Generator().manual_seed(size)
    for _ in range(2):
        yield torch.randn(7, size, generator=rng, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [2, 3, 16])
def test_arcs_of_unit_codes_have_one_speed_and_stay_on_the_sphere(size: int, dtype: torch.dtype) -> None:
    a, b = (torch.nn.functional.normalize(codes, dim=1) for codes in points(size, dtype))
    way = torch.stack([slerp(a, b, step / 10) for step in range(11)], 1).double()  # (7, 11, size)
    torch.testing.assert_close(way.norm(dim=2), torch.ones(7, 11, dtype=torch.float64), atol=1e-5, rtol=0)
    turns = (way[:, 1:] * way[:, :-1]).sum(2).clamp(-1, 1).acos()
    whole = (a.double() * b.double()).sum(1).acos()
    torch.testing.assert_close(turns, (whole / 10)[:, None].expand(7, 10), atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(way[:, 0], a.double(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(way[:, -1], b.double(), atol=1e-6, rtol=1e-5)


def test_arcs_lie_in_the_plane_of_their_ends_and_their_lengths_change_evenly() -> None:
    a, b = points(5, torch.float64)
    for t in (0.0, 0.25, 0.5, 1.0):
        way = slerp(a, b, t)
        torch.testing.assert_close(way.norm(dim=1), torch.lerp(a.norm(dim=1), b.norm(dim=1), t))
        for row in range(len(a)):
            assert torch.linalg.matrix_rank(torch.stack([a[row], b[row], way[row]]), rtol=1e-9) == 2
        torch.testing.assert_close(lerp(a, b, t), (1 - t) * a + t * b)


@pytest.mark.parametrize("b", [[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_where_there_is_no_arc_to_choose_it_is_the_line(b: list[float]) -> None:
    start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([b])
    torch.testing.assert_close(slerp(start, end, 0.25), torch.lerp(start, end, 0.25))


@pytest.mark.parametrize("angle", [1e-3, 0.1, 1.0, 3.0, 3.14])
@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 1.0])
def test_arcs_that_are_nearly_straight_or_nearly_a_half_turn(angle: float, t: float) -> None:
    """In the plane the arc is known; codes of float32 may be off by their own rounding, over the sine."""
    ends = torch.tensor([0.4, 0.4 + angle], dtype=torch.float64)
    a, b = torch.stack([ends.cos(), ends.sin()], 1).mul(torch.tensor([[2.0], [5.0]])).split(1)
    place = ends[:1] + t * angle
    expected = torch.stack([place.cos(), place.sin()], 1) * (2 + 3 * t)
    torch.testing.assert_close(slerp(a, b, t), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(slerp(a.float(), b.float(), t).double(), expected, rtol=0, atol=3e-6 / math.sin(angle))


@pytest.mark.parametrize("path", ["spherical", "linear", None])
def test_every_run(runs: dict[str, TinyRun], path: Any) -> None:
    for name, run in runs.items():
        found = interpolate(run, pairs=3, steps=4, path=path, seed=1)
        assert found.path == (path or "spherical")
        assert len(found.indices.flatten().unique()) == 6
        assert torch.equal(found.ends, run.samples("test").take(found.indices.flatten().tolist()).x.view_as(found.ends))  # type: ignore[union-attr]
        codes = run.codes("test")
        torch.testing.assert_close(found.codes[:, 0], codes[found.indices[:, 0]])
        torch.testing.assert_close(found.codes[:, -1], codes[found.indices[:, 1]])
        torch.testing.assert_close(found.x[:, 0], run.decode(codes[found.indices[:, 0]]))
        torch.testing.assert_close(found.x[:, -1], run.decode(codes[found.indices[:, 1]]))
        if path == "linear":
            torch.testing.assert_close(found.codes[:, 1], (2 * found.codes[:, 0] + found.codes[:, 3]) / 3)
        elif name.startswith("spherical"):
            torch.testing.assert_close(found.codes.norm(dim=2), torch.ones(3, 4))


def test_the_seed_decides(runs: dict[str, TinyRun]) -> None:
    run = runs["deterministic codes of vectors"]
    first, again, other = (interpolate(run, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.indices, other.indices)
    assert first.shares == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])


@pytest.mark.parametrize("modality", ["images", "vectors"])
def test_pictures(runs: dict[str, TinyRun], modality: str) -> None:
    run = runs[f"spherical codes of {modality}"]
    file = save_interpolation(run, interpolate(run, pairs=2, steps=3))
    assert file == run.path / "figures" / "interpolation-spherical-test.png"
    with Image.open(file) as image:
        assert min(image.size) > 100


def test_sentences_are_written_where_they_change(runs: dict[str, TinyRun]) -> None:
    run = runs["deterministic codes of sentences"]
    found = interpolate(run, pairs=2, steps=5)
    file = save_interpolation(run, found)
    assert file.name == "interpolation-spherical-test.txt"
    lines = file.read_text().splitlines()
    assert lines == list(interpolated_sentences(run, found))
    first, second = "\n".join(lines).split("\n\n")
    for pair, block in enumerate((first, second)):
        rows = [line.split("  ") for line in block.splitlines()]
        ends = texts(run, found.ends[pair])
        assert (rows[0], rows[-1]) == (["data", str(ends[0])], ["data", str(ends[1])])
        expected, before = [], None
        for mark, text in zip(("0.00", "0.25", "0.50", "0.75", "1.00"), texts(run, found.x[pair]), strict=True):
            if text != before:
                expected.append([mark, str(text)])
            before = text
        assert rows[1:-1] == expected


def test_more_pairs_than_samples(runs: dict[str, TinyRun]) -> None:
    run = runs["deterministic codes of vectors"]
    with pytest.raises(UserError, match=r"^--pairs 31: should be at most 30, as the test split has 60 samples$"):
        interpolate(run, pairs=31)
    assert len(interpolate(run, pairs=30, steps=2).indices) == 30


def test_a_way_for_runs_without_classes(runs: dict[str, TinyRun], tmp_path: Path, monkeypatch: Any) -> None:
    from dimecli.run import interpolate as module

    run = runs["deterministic codes of images"]
    samples = run.samples("test")
    monkeypatch.setattr(run, "samples", lambda split: type(samples)(samples.spec, samples.x))
    found = interpolate(run, pairs=1, steps=2)
    a, b = found.indices[0].tolist()
    assert module._names(run, found) == [f"{a} to {b}"]
