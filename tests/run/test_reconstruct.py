"""Reconstructions, and how good they are."""

from __future__ import annotations

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
from dimecli.run.reconstruct import Reconstructed, exact_match, reconstruct, save_comparison, squared_error

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
def test_the_picture_has_originals_above_reconstructions(run: Run, n: int, size: tuple[int, int]) -> None:
    from PIL import Image

    found = reconstruct(run, n=n)
    black, white = torch.zeros_like(found.originals), torch.ones_like(found.originals)
    file = save_comparison(run, Reconstructed("test", found.indices, white, black))
    assert file == run.path / "figures" / "reconstruction-test.png"
    with Image.open(file) as image:
        assert image.size == (66 * size[0] + 2, 66 * size[1] + 2)
        rows = [image.convert("L").getpixel((30, 66 * row + 30)) for row in range(size[1])]
        last = [image.convert("L").getpixel((66 * (size[0] - 1) + 30, 66 * row + 30)) for row in range(size[1])]
    assert rows == last == [255, 0] * (size[1] // 2)


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
