from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from dimecli.grammar import Grammar
from dimecli.plugin import History
from dimecli.registry import make
from dimecli.search.sparse import fit_sparse

STEPS = 40


class Square:
    """Sentences of two numbers, whose codes are the middles of the cells of a square."""

    grammar = Grammar.compile("%start S\nS -> D D\nD -> " + " | ".join(f"'<{step}>'" for step in range(STEPS)))
    latent_space = "euclidean"

    def __init__(self) -> None:
        self.codes = self.sample(200, rng(99))

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        steps = torch.tensor([[int(part) for part in text[1:-1].split("><")] for text in sentences]).double()
        return (2 * steps + 1) / STEPS - 1

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        steps = ((codes + 1) / 2 * STEPS).floor().clamp(0, STEPS - 1).int().tolist()
        return ["".join(f"<{step}>" for step in row) for row in steps]

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return 2 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 1

    def history(self, sentences: list[str]) -> History:
        n, codes = len(sentences), self.encode(sentences)
        return History(
            sentences, codes, value(codes), torch.ones(n).bool(), torch.zeros(n).long(), frozenset(sentences)
        )


def value(codes: torch.Tensor) -> torch.Tensor:
    return -(codes - torch.tensor([0.5, -0.3])).square().sum(1)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_finds_the_best_of_a_smooth_function() -> None:
    space, strategy = Square(), make("search", "bo-svgp", pool=400, inducing=15)
    codes = space.sample(60, rng(7))
    sentences = sorted({str(text) for text in space.decode(codes[value(codes) < -0.5])})  # none of the good ones
    assert len(sentences) > 30
    for number in range(4):
        sentences += strategy.ask(5, space.history(sentences), space, rng(number)).sentences
    assert len(set(sentences)) == len(sentences)
    assert value(space.encode(sentences)).max() > -0.01  # twelve cells of 1,600


def test_it_knows_all_evaluations_by_few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    import dimecli.search.sparse

    known: list[int] = []

    def watched(codes: torch.Tensor, values: torch.Tensor, *options: object) -> object:
        known.append(len(values))
        return fit_sparse(codes, values, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(dimecli.search.sparse, "fit_sparse", watched)
    space, strategy = Square(), make("search", "bo-svgp", pool=100, inducing=15, max_steps=20)
    history = space.history([f"<{i}><{j}>" for i in range(STEPS) for j in range(STEPS) if (i + j) % 3])
    asked = strategy.ask(5, history, space, rng())
    assert known == [len(history.sentences)]
    assert known[0] > 1000
    torch.testing.assert_close(asked.mean, value(space.encode(asked.sentences)), rtol=0, atol=0.1)
