"""The search `bo`, beside what it is put together from."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F

from dimecli.grammar import Grammar
from dimecli.plugin import History, LatentSpace
from dimecli.registry import make
from dimecli.search.bayesian import raised_to_median
from dimecli.search.believer import choose, log_ei
from dimecli.search.candidates import pool
from dimecli.search.gp import fit_gp
from dimecli.search.sphere import project

STEPS = 40
GRAMMAR = Grammar.compile("%start S\nS -> D D D\nD -> " + " | ".join(f"'<{step}>'" for step in range(STEPS)))


class Cube:
    """Sentences of three numbers: codes in a cube, or beside its centre on the sphere; a decoder that rounds."""

    grammar = GRAMMAR

    def __init__(self, latent_space: LatentSpace = "sphere") -> None:
        self.latent_space = latent_space
        self.codes = self.sample(300, rng(99))

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        steps = torch.tensor([[int(part) for part in text[1:-1].split("><")] for text in sentences]).double()
        return self._placed((2 * steps + 1) / STEPS - 1)

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        cube = codes[:, :3] / codes[:, 3:] if self.latent_space == "sphere" else codes
        steps = ((cube + 1) / 2 * STEPS).floor().clamp(0, STEPS - 1).int().tolist()
        return ["".join(f"<{step}>" for step in row) for row in steps]

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self._placed(2 * torch.rand(n, 3, generator=generator, dtype=torch.float64) - 1)

    def value(self, sentences: Sequence[str]) -> torch.Tensor:
        codes = self.encode(sentences)
        cube = codes[:, :3] / codes[:, 3:] if self.latent_space == "sphere" else codes
        return -(cube - torch.tensor([0.5, -0.3, 0.1])).square().sum(1)

    def _placed(self, cube: torch.Tensor) -> torch.Tensor:
        return F.normalize(F.pad(cube, (0, 1), value=1.0), dim=1) if self.latent_space == "sphere" else cube


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def told(space: Cube, sentences: Sequence[str]) -> History:
    n = len(sentences)
    codes = space.encode(sentences) if n else space.codes[:0]
    values = space.value(sentences) if n else torch.zeros(0, dtype=torch.float64)
    return History(sentences, codes, values, torch.ones(n).bool(), torch.zeros(n).long(), frozenset(sentences))


def start(space: Cube, n: int = 30) -> list[str]:
    return list(dict.fromkeys(str(text) for text in space.decode(space.sample(n, rng(7)))))


@pytest.mark.parametrize("latent_space", ["sphere", "euclidean"])
@pytest.mark.parametrize("options", [{}, {"kernel": "ard"}, {"refine": 10}, {"refine": 10, "reencode": False}], ids=str)
def test_it_finds_the_best_of_a_smooth_function(latent_space: LatentSpace, options: dict[str, object]) -> None:
    space = Cube(latent_space)
    strategy = make("search", "bo", pool=400, **options)
    sentences = start(space)
    for number in range(4):
        asked = strategy.ask(6, told(space, sentences), space, rng(number))
        sentences += asked.sentences
    assert len(set(sentences)) == len(sentences)
    random = start(space, 10 * len(sentences))
    assert space.value(sentences).max() > space.value(random).max()
    assert space.value(sentences).max() > -0.02


def test_it_is_the_believer_on_the_pool() -> None:
    space = Cube()
    history = told(space, start(space))
    asked = make("search", "bo", pool=300, refine=0, explore=0).ask(5, history, space, rng())
    found = pool(space, history, 300, rng())
    gp = fit_gp(history.codes, raised_to_median(history.values))
    joint = gp.posterior(found.points)
    chosen = choose(joint, gp.noise, history.values.max().item(), 5)
    assert asked.sentences == [found.sentences[index] for index in chosen.tolist()]
    torch.testing.assert_close(asked.mean, joint.mean[chosen])
    torch.testing.assert_close(asked.std, (joint.variance[chosen] + gp.noise).sqrt())
    torch.testing.assert_close(asked.codes, found.codes[chosen])
    assert space.decode(asked.codes) == asked.sentences


@pytest.mark.parametrize(("explore", "random"), [(0.0, 0), (0.2, 2), (0.5, 5)])
def test_a_share_is_drawn_from_the_density(explore: float, random: int) -> None:
    space = Cube()
    history = told(space, start(space))
    chosen = make("search", "bo", pool=300, refine=0, explore=0).ask(10 - random, history, space, rng()).sentences
    asked = make("search", "bo", pool=300, refine=0, explore=explore).ask(10, history, space, rng())
    assert asked.sentences[: 10 - random] == chosen
    assert len(set(asked.sentences) - history.seen) == 10
    assert asked.std is not None
    assert len(asked.std) == 10


@pytest.mark.parametrize(
    ("values", "raised"),
    [([1, 5, -1e9, 3, 2], [2, 5, 2, 3, 2]), ([4, 4, 4, 1, 2], [4, 4, 4, 1, 2])],
)
def test_the_model_knows_the_worse_half_at_the_median(values: list[float], raised: list[float]) -> None:
    assert raised_to_median(torch.tensor(values)).tolist() == raised


def test_values_far_below_do_not_spoil_the_model() -> None:
    space = Cube()
    history = told(space, start(space))
    history.values[3] = -1e6
    near = told(space, start(space))
    strategy = make("search", "bo", pool=300)
    expected = strategy.ask(5, near, space, rng())
    asked = strategy.ask(5, history, space, rng())
    assert space.value(asked.sentences).max() > space.value(expected.sentences).max() - 0.3
    assert asked.std is not None
    assert asked.std.max() < 10


def test_without_evaluations_it_draws_from_the_density() -> None:
    space = Cube()
    asked = make("search", "bo", pool=50).ask(20, told(space, []), space, rng())
    assert len(asked.sentences) >= 20
    assert asked.mean is None


def test_refinement_stays_on_the_sphere_and_is_expected_to_be_better() -> None:
    space = Cube()
    history = told(space, start(space))
    gp, best = fit_gp(history.codes, raised_to_median(history.values)), history.values.max()
    expected = []
    for steps in (0, 20):
        asked = make("search", "bo", pool=60, reencode=False, refine=steps, explore=0).ask(1, history, space, rng())
        assert asked.codes is not None
        torch.testing.assert_close(asked.codes, project(asked.codes))
        expected.append(log_ei(*gp.predict(asked.codes), best).item())
    assert expected[1] > expected[0] + 1e-3
