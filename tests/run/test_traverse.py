"""Codes of which one dimension changes."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image

from dimecli.errors import UserError
from dimecli.run.sentences import texts
from dimecli.run.traverse import moved_to, save_traversal, traverse, traversed_sentences
from dimecli.testing.runs import TinyRun, tiny_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyRun]:
    return dict(tiny_runs(tmp_path_factory.mktemp("runs")))


@pytest.mark.parametrize("start", [None, 5])
@pytest.mark.parametrize("name", ["deterministic codes of vectors", "variational codes of images"])
def test_one_dimension_changes_and_the_others_stay(runs: dict[str, TinyRun], name: str, start: int | None) -> None:
    run = runs[name]
    found = traverse(run, start, dimensions=2, steps=5, span=2)
    codes = run.codes("test")
    origin = codes.mean(0) if start is None else codes[start]
    torch.testing.assert_close(found.origin, origin)
    assert found.dimensions.tolist() == codes.var(0).argsort(descending=True)[:2].tolist()
    torch.testing.assert_close(found.std, codes.double().std(0, correction=0 + 1)[found.dimensions].float())
    assert found.offsets.tolist() == [-2, -1, 0, 1, 2]
    for row, dimension in enumerate(found.dimensions.tolist()):
        others = [other for other in range(codes.shape[1]) if other != dimension]
        assert torch.equal(found.codes[row][:, others], origin[others].expand(5, -1))
        expected = codes[:, dimension].mean() + found.offsets * codes[:, dimension].std()
        torch.testing.assert_close(found.codes[row][:, dimension], expected)
        torch.testing.assert_close(found.x[row], run.decode(found.codes[row]))
    torch.testing.assert_close(found.source, run.decode(origin[None]))


@pytest.mark.parametrize("start", [None, 5])
def test_on_the_sphere_it_turns_along_a_great_circle(runs: dict[str, TinyRun], start: int | None) -> None:
    run = runs["spherical codes of images"]
    found = traverse(run, start, dimensions=9, steps=7)
    codes = run.codes("test")
    assert found.codes.shape == (3, 7, 3)  # no more dimensions than there are
    torch.testing.assert_close(found.codes.norm(dim=2), torch.ones(3, 7))
    latitudes = codes.double().asin()
    origin = torch.nn.functional.normalize(codes.mean(0) if start is None else codes[start], dim=0)
    torch.testing.assert_close(found.origin, origin)
    for row, dimension in enumerate(found.dimensions.tolist()):
        wanted = latitudes[:, dimension].mean() + found.offsets.double() * latitudes[:, dimension].std()
        wanted = wanted.clamp(-math.pi / 2, math.pi / 2)
        torch.testing.assert_close(found.codes[row][:, dimension].double(), wanted.sin(), atol=1e-6, rtol=1e-5)
        pole = torch.eye(3)[dimension]
        for code in found.codes[row]:  # in the plane of the start and the pole
            volume = torch.linalg.det(torch.stack([origin, pole, code]))
            assert volume.abs() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [2, 3, 16])
def test_moving_a_code_to_where_it_is_leaves_it_there(size: int, dtype: torch.dtype) -> None:
    code = torch.nn.functional.normalize(torch.randn(size, generator=torch.Generator().manual_seed(1)), dim=0).to(dtype)
    for dimension in range(size):
        flat = moved_to(code, dimension, code[dimension : dimension + 1].double(), sphere=False)
        assert torch.equal(flat, code[None])
        turned = moved_to(code, dimension, code[dimension : dimension + 1].double().asin(), sphere=True)
        torch.testing.assert_close(turned, code[None])


def test_no_latitude_is_beyond_a_pole() -> None:
    code = torch.tensor([0.6, 0.8, 0.0])
    moved = moved_to(code, 1, torch.tensor([-9.0, 9.0], dtype=torch.float64), sphere=True)
    torch.testing.assert_close(moved, torch.tensor([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("modality", ["images", "vectors"])
@pytest.mark.parametrize(("start", "name"), [(None, "traversal-mean.png"), (3, "traversal-test-3.png")])
def test_pictures(runs: dict[str, TinyRun], modality: str, start: int | None, name: str) -> None:
    run = runs[f"spherical codes of {modality}"]
    file = save_traversal(run, traverse(run, start, steps=3))
    assert file == run.path / "figures" / name
    with Image.open(file) as image:
        assert min(image.size) > 100


@pytest.mark.parametrize(("name", "unit"), [("deterministic", ""), ("spherical", "°")])
def test_sentences(runs: dict[str, TinyRun], name: str, unit: str) -> None:
    run = runs[f"{name} codes of sentences"]
    found = traverse(run, 2, dimensions=2, steps=5, span=4)
    lines = save_traversal(run, found).read_text().splitlines()
    assert lines == list(traversed_sentences(run, found))
    for row, block in enumerate("\n".join(lines).split("\n\n")):
        head, *rows = block.splitlines()
        std = found.std[row].item()
        shown = f"{math.degrees(std):.0f}°" if unit else f"{std:.2g}"
        assert head == f"z[{found.dimensions[row]}], std {shown}"
        sentences = texts(run, found.x[row])
        expected = [
            f"{mark}  {text}"
            for mark, text, before in zip(("-4", "-2", "0", "+2", "+4"), sentences, ["", *sentences], strict=False)
            if text != before
        ]
        assert rows == expected


def test_bad_starts(runs: dict[str, TinyRun]) -> None:
    run = runs["deterministic codes of vectors"]
    for start in (99999, 60, -1):
        with pytest.raises(UserError, match=f"^--start {start}: should be a sample of the test split, from 0 to 59$"):
            traverse(run, start)
    assert traverse(run, 59).start == 59


def test_one_sample_has_no_standard_deviation(runs: dict[str, TinyRun], monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs["deterministic codes of vectors"]
    monkeypatch.setattr(run, "codes", lambda split: torch.zeros(1, 3))
    with pytest.raises(UserError, match=r"^--split test: it has 1 sample; a standard deviation needs 2$"):
        traverse(run)


@pytest.mark.parametrize("steps", [3, 5, 7, 9, 41])
@pytest.mark.parametrize("span", [0.1, 3.0, 4.0])
def test_the_middle_of_an_odd_number_of_steps_is_the_mean(runs: dict[str, TinyRun], steps: int, span: float) -> None:
    found = traverse(runs["deterministic codes of vectors"], dimensions=1, steps=steps, span=span)
    assert found.offsets[steps // 2] == 0
    assert found.offsets.tolist() == pytest.approx(torch.linspace(-span, span, steps).tolist(), abs=1e-6)
