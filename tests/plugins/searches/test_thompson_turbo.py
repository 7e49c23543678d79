"""The searches `thompson` and `turbo`: words of three numbers, whose codes are known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dimecli.grammar import Grammar
from dimecli.plugin import Candidates, History, LatentSpace, Search
from dimecli.registry import make
from dimecli.search.candidates import pool
from dimecli.search.region import LENGTH

STEPS, BATCH = 40, 10
GRAMMAR = Grammar.compile("%start S\nS -> D D D\nD -> " + " | ".join(f"'<{step}>'" for step in range(STEPS)))
SPACES: tuple[LatentSpace, ...] = ("sphere", "euclidean")


class Cube:
    """Codes in a cube, or beside its centre on the sphere; the decoder takes the nearest word."""

    grammar = GRAMMAR

    def __init__(self, latent_space: LatentSpace) -> None:
        self.latent_space = latent_space
        self.codes = self.encode([str(text) for text in self.decode(self.sample(300, rng(99)))])

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        steps = torch.tensor([[int(part) for part in text[1:-1].split("><")] for text in sentences]).double()
        return self._placed((2 * steps + 1) / STEPS - 1)

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        steps = ((self.cube(codes) + 1) / 2 * STEPS).floor().clamp(0, STEPS - 1).int().tolist()
        return ["".join(f"<{step}>" for step in row) for row in steps]

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self._placed(2 * torch.rand(n, 3, generator=generator, dtype=torch.float64) - 1)

    def worth(self, sentences: Sequence[str]) -> torch.Tensor:
        return -(self.cube(self.encode(sentences)) - torch.tensor([0.5, -0.3, 0.1])).square().sum(1)

    def cube(self, codes: torch.Tensor) -> torch.Tensor:
        return codes[:, :3] / codes[:, 3:].clamp(min=1e-3) if self.latent_space == "sphere" else codes

    def _placed(self, cube: torch.Tensor) -> torch.Tensor:
        return F.normalize(F.pad(cube, (0, 1), value=1.0), dim=1) if self.latent_space == "sphere" else cube


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def start(space: Cube, n: int = 30, seed: int = 7) -> History:
    words = list(dict.fromkeys(str(text) for text in space.decode(space.sample(n, rng(seed)))))
    none = History(
        [], space.codes[:0], torch.zeros(0).double(), torch.ones(0).bool(), torch.zeros(0).long(), frozenset()
    )
    return grown(space, none, Candidates(words), 0)


def grown(space: Cube, history: History, asked: Candidates, number: int) -> History:
    new = [word for word in asked.sentences if word is not None]
    codes = space.encode(new) if asked.codes is None else asked.codes
    return History(
        [*history.sentences, *new],
        torch.cat([history.codes, codes]),
        torch.cat([history.values, space.worth(new)]),
        torch.cat([history.valid, torch.ones(len(new)).bool()]),
        torch.cat([history.rounds, torch.full((len(new),), number)]),
        history.seen | set(new),
    )


def searched(strategy: Search, space: Cube, seed: int) -> float:
    history = start(space, seed=seed)
    for number in range(1, 6):
        asked = strategy.ask(BATCH, history, space, rng(10 * seed + number))
        assert len(asked.sentences) == len(set(asked.sentences) - history.seen) == BATCH
        history = grown(space, history, asked, number)
    return history.values.max().item()


@pytest.mark.parametrize("latent_space", SPACES)
@pytest.mark.parametrize("name", ["thompson", "turbo"])
def test_it_is_much_better_than_draws(name: str, latent_space: LatentSpace) -> None:
    space = Cube(latent_space)
    strategy = make("search", name, pool=500)
    found = [searched(strategy, space, seed) for seed in range(2)]
    draws = space.worth([str(text) for text in space.decode(space.sample(10 * (30 + 5 * BATCH), rng(5)))])
    assert min(found) > draws.max()


@pytest.mark.parametrize("kernel", ["rbf", "ard"])
def test_thompson_draws_at_the_pool(kernel: str) -> None:
    space = Cube("sphere")
    history = start(space)
    asked = make("search", "thompson", pool=200, kernel=kernel).ask(BATCH, history, space, rng())
    found = pool(space, history, 200, rng())
    assert set(asked.sentences) <= set(found.sentences)
    assert asked.mean is not None
    assert asked.mean.isfinite().all()
    assert torch.equal(
        make("search", "thompson", pool=200, kernel=kernel).ask(BATCH, history, space, rng()).codes, asked.codes
    )


def test_thompson_varies_where_the_process_is_uncertain() -> None:
    """Of two evaluations nothing can be known: other draws, other words."""
    space = Cube("sphere")
    history = start(space, 2)
    first, second = (make("search", "thompson", pool=500).ask(BATCH, history, space, rng(seed)) for seed in (0, 1))
    spread = space.cube(space.encode([str(text) for text in first.sentences])).std(0).mean()
    assert spread > 0.3
    assert len(set(first.sentences) & set(second.sentences)) < BATCH


@pytest.mark.parametrize("name", ["thompson", "turbo"])
def test_neither_asks_the_process_where_there_is_no_history(name: str) -> None:
    space = Cube("sphere")
    history = start(space)
    nothing = {key: getattr(history, key)[:0] for key in ("codes", "values", "valid", "rounds")}
    asked = make("search", name, pool=50).ask(3, replace(history, sentences=[], **nothing), space, rng())
    assert len(set(asked.sentences) - history.seen) >= 3
    assert asked.mean is None


@pytest.mark.parametrize("latent_space", SPACES)
def test_turbo_stays_near_the_best_while_it_fails(latent_space: LatentSpace) -> None:
    """Six rounds of ten failures: the length is 0.0125, where there is no word; so a ring around it is taken."""
    space = Cube(latent_space)
    history = start(space)
    best = space.cube(history.codes[history.values.argmax()][None])
    rounds = torch.arange(len(history.values)) // 4
    failed = replace(history, values=torch.where(history.values == history.values.max(), 0.0, -5.0))
    failed = replace(failed, rounds=torch.where(failed.values == 0, 0, 1 + rounds % 6))
    asked = make("search", "turbo", pool=500).ask(BATCH, failed, space, rng())
    wide = make("search", "turbo", pool=500).ask(BATCH, replace(failed, rounds=rounds * 0), space, rng())
    assert asked.codes is not None
    assert wide.codes is not None
    assert len(asked.sentences) == BATCH
    near, far = (((space.cube(codes) - best).norm(dim=1)).max() for codes in (asked.codes, wide.codes))
    assert near < 0.5 * far


def test_turbo_on_the_sphere_keeps_within_the_ball() -> None:
    space = Cube("sphere")
    history = start(space)
    asked = make("search", "turbo").ask(BATCH, history, space, rng())
    centre = history.codes[history.values.argmax()]
    assert asked.codes is not None
    half_a_word = 0.05  # words are where the encoder puts them, and not where they were decoded from
    assert (asked.codes @ centre).clamp(max=1).acos().max() <= LENGTH + half_a_word


def test_turbo_starts_a_new_region_from_the_density() -> None:
    """Seven rounds of four failures end the first region."""
    space = Cube("sphere")
    history, strategy = start(space, 29), make("search", "turbo")
    rounds = torch.arange(3, 32) // 4
    ended = replace(history, values=-torch.arange(29.0).double(), rounds=rounds)
    drawn = strategy.ask(BATCH, ended, space, rng())
    assert drawn.mean is None
    assert drawn.codes is not None
    assert torch.equal(drawn.codes, space.sample(BATCH, rng()))
    going_on = replace(history, values=-torch.arange(29.0).double(), rounds=rounds.clamp(max=6))
    assert strategy.ask(BATCH, going_on, space, rng()).mean is not None
