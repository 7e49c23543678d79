"""Reconstructions, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dimecli.api import Run, train
from dimecli.data.samples import Split
from dimecli.data.sentences import Characters, Productions
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.grammar import Grammar
from dimecli.registry import make
from dimecli.run import pictures
from dimecli.run.reconstruct import Reconstructed, exact_match, reconstruct, save_comparison, squared_error
from dimecli.testing.runs import tiny_runs

GRAMMAR = Grammar.compile("%start S\n%max_len 4\nS -> 'a' S | 'b' S | 'c'")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train("ae", "digits", make("network", "mlp", widths=(16,)), runs=tmp_path_factory.mktemp("runs"), epochs=2)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_all_of_a_split_by_default(run: Run, split: Split) -> None:
    found = reconstruct(run, split)
    x = run.samples(split).x
    assert isinstance(x, torch.Tensor)
    assert torch.equal(found.originals, x)
    assert found.indices.tolist() == list(range(len(x)))
    with torch.no_grad():
        expected = run.model.generate(run.model.encode(x))
    torch.testing.assert_close(found.reconstructions, expected)
    assert squared_error(found) == pytest.approx(((x - expected) ** 2).sum().item() / len(x), rel=1e-4)


def test_some_of_a_split_are_chosen_by_the_seed(run: Run) -> None:
    first, again, other = (reconstruct(run, "test", 20, seed) for seed in (0, 0, 1))
    assert torch.equal(first.indices, again.indices)
    assert not torch.equal(first.indices, other.indices)
    x = run.samples("test").x
    assert isinstance(x, torch.Tensor)
    assert torch.equal(first.originals, x[first.indices])


def test_pixels_that_are_binarised_anew_are_shown_as_the_model_sees_them(tmp_path: Path) -> None:
    digits = make("dataset", "digits", likelihood="bernoulli", binarize="dynamic")
    run = train("ae", digits, make("network", "mlp", widths=(16,)), runs=tmp_path, epochs=1)
    found, again, other = (reconstruct(run, "test", 20, seed) for seed in (0, 0, 1))
    assert set(found.originals.unique().tolist()) == {0, 1}
    assert torch.equal(found.originals, again.originals)
    assert not torch.equal(found.originals, other.originals)
    torch.testing.assert_close(found.reconstructions, run.decode(run.encode(found.originals)))


@pytest.mark.parametrize(("n", "size"), [(3, (3, 2)), (20, (16, 2)), (100, (16, 8))])
def test_the_picture_has_originals_above_reconstructions(
    run: Run, n: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables: list[tuple[torch.Tensor, Sequence[str]]] = []

    def image_table(images: torch.Tensor, rows: Sequence[str], *labels: Any) -> Any:
        tables.append((images, rows))
        return pictures.image_table(images, rows, *labels)

    monkeypatch.setattr("dimecli.run.reconstruct.image_table", image_table)
    found = reconstruct(run, n=n)
    file = save_comparison(run, found)
    assert file == run.path / "figures" / "reconstruction-test.png"
    assert file.read_bytes()[:4] == b"\x89PNG"
    [(images, rows)] = tables
    assert (images.shape[1], images.shape[0]) == size
    assert torch.equal(images[::2].flatten(0, 1), found.originals[: images[::2].shape[0] * size[0]])
    assert torch.equal(images[1::2].flatten(0, 1), found.reconstructions[: images[::2].shape[0] * size[0]])
    assert list(rows) == ["data", "decoded"] * (size[1] // 2)


def test_vectors_are_joined_to_their_reconstructions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []

    def paths(data: torch.Tensor, points: torch.Tensor, *labels: Any) -> Any:
        drawn.append(points)
        return pictures.paths(data, points, *labels)

    monkeypatch.setattr("dimecli.run.reconstruct.paths", paths)
    run = next(run for name, run in tiny_runs(tmp_path) if name == "deterministic codes of vectors")
    found = reconstruct(run, n=20)
    assert save_comparison(run, found).read_bytes()[:4] == b"\x89PNG"
    assert torch.equal(drawn[0], torch.stack([found.originals, found.reconstructions], 1))


def sentences(likelihood: Any, rows: torch.Tensor) -> Any:
    """What `exact_match` needs of a run; no data, which may have changed since the reconstruction."""
    spec = Spec(modality="sentence", shape=tuple(rows.shape[1:]), likelihood=likelihood)
    return SimpleNamespace(model=SimpleNamespace(spec=spec))


def test_exact_match_of_derivations() -> None:
    before = torch.tensor([[2, 3, 3, 3], [0, 1, 2, 3], [1, 1, 2, 3], [0, 0, 0, 2]], dtype=torch.int16)
    after = torch.tensor([[2, 3, 3, 3], [0, 1, 2, 3], [1, 0, 2, 3], [0, 0, 0, 0]], dtype=torch.int16)
    run = sentences(Productions(grammar=GRAMMAR.text), before)
    found = exact_match(run, Reconstructed("test", torch.arange(4), before, after))
    assert found.exact == 0.5
    assert found.symbols == pytest.approx(9 / 11)
    assert found.by_length == {1: (1, 1.0), 3: (2, 0.5), 4: (1, 0.0)}
    assert found.wrong == [("bbc", "bac"), ("aaac", None)]


def test_exact_match_of_characters_is_by_productions_too() -> None:
    likelihood = Characters(grammar=GRAMMAR.text)
    texts = ["c", "abc", "bbc"]
    before, after = likelihood.encode(texts), likelihood.encode(["c", "abca", "ac"])
    found = exact_match(sentences(likelihood, before), Reconstructed("test", torch.arange(3), before, after))
    assert found.exact == pytest.approx(1 / 3)
    assert found.by_length == {1: (1, 1.0), 3: (2, 0.0)}
    assert found.wrong == [("abc", "abca"), ("bbc", "ac")]
    assert found.symbols == pytest.approx((1 + 3 + 0) / 7)


def test_data_that_is_gone_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*arguments: object) -> None:
        raise UserError("the data are gone")

    monkeypatch.setattr(Run, "_samples", gone)
    with pytest.raises(UserError, match="the data are gone"):
        reconstruct(run)
