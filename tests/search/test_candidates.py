"""Pools of new sentences, on a circle of words whose codes and sentences are known exactly."""

from __future__ import annotations

import math

import torch
from host_fakes import BITS, Circle, word

from dimecli.plugin import History, LatentSpace
from dimecli.search.candidates import decoded, pool, recentred

LAST = word(2**BITS - 1)  # the one that no code decodes to


def history(numbers: list[int], best: int | None = None, seen: frozenset[str] = frozenset()) -> History:
    words = [word(value) for value in numbers]
    values = torch.tensor([float(value == best) for value in numbers], dtype=torch.float64)
    n = len(words)
    codes = Circle().encode(words) if n else Circle().codes[:0]
    return History(words, codes, values, torch.ones(n).bool(), torch.zeros(n).long(), frozenset(words) | seen)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Square(Circle):
    """The same words in the plane, where any code decodes by its angle."""

    latent_space: LatentSpace = "euclidean"


def test_sentences_are_new_distinct_and_decoded_from_their_codes() -> None:
    space = Circle()
    for known in (history([3, 40, 90], best=40), history([])):
        found = pool(space, known, 400, rng(), reencode=True)
        assert len(set(found.sentences)) == len(found.sentences) > 50
        assert not set(found.sentences) & known.seen
        assert LAST not in found.sentences
        assert space.decode(found.codes) == found.sentences
        torch.testing.assert_close(found.codes.norm(dim=1), torch.ones(len(found.codes)).double())


def test_points_are_the_encoders_codes_or_those_decoded_from() -> None:
    space, known = Circle(), history([3, 40])
    found = pool(space, known, 200, rng(), reencode=True)
    torch.testing.assert_close(found.points, space.encode(found.sentences))
    assert not torch.allclose(found.points, found.codes)
    assert torch.equal(pool(space, known, 200, rng(), reencode=False).points, found.codes)


def test_the_same_seed_gives_the_same_pool() -> None:
    known = history([3, 40])
    first, again, other = (pool(Circle(), known, 100, rng(seed)) for seed in (0, 0, 1))
    assert first.sentences == again.sentences != other.sentences


def test_most_are_near_the_best() -> None:
    space, numbers = Circle(), list(range(0, 128, 2))  # all of the best 25 are from 0 to 48, but one
    words = [word(value) for value in numbers]
    values = -torch.tensor(numbers, dtype=torch.float64)
    codes = space.encode(words)
    known = History(words, codes, values, torch.ones(64).bool(), torch.zeros(64).long(), frozenset())
    drawn: list[torch.Tensor] = []

    class Watched(Circle):
        def decode(self, codes: torch.Tensor) -> list[str | None]:
            drawn.append(codes)
            return super().decode(codes)

    pool(Watched(), known, 1000, rng())
    (all_codes,) = drawn
    assert len(all_codes) == 1000
    angles = torch.atan2(all_codes[:, 1], all_codes[:, 0]).remainder(math.tau)
    reached = (angles < 48 / 128 * math.tau + 1) | (angles > math.tau - 1)
    assert 0.8 <= reached.double().mean() < 1  # the fifth from the density is anywhere


def test_what_was_seen_or_has_no_sentence_is_left_out_and_the_first_code_stays() -> None:
    space = Circle()
    codes = space.encode([word(5), word(7), word(5), LAST, word(9)])
    codes[2] = torch.nn.functional.normalize(codes[2] + 0.001, dim=0)
    found = decoded(space, codes, {word(7)})
    assert found.sentences == [word(5), word(9)]
    assert torch.equal(found.codes, codes[[0, 4]])
    nothing = decoded(space, codes, {word(5), word(7), word(9)})
    assert (nothing.sentences, nothing.codes.shape, nothing.points.shape) == ([], (0, 2), (0, 2))


def test_flat_codes_stay_within_the_data() -> None:
    known = history([3, 40, 90], best=40)
    found = pool(Square(), known, 400, rng(), reencode=True)
    lower, upper = Square().codes.amin(0), Square().codes.amax(0)
    moved = found.codes[(found.codes.norm(dim=1) - 1).abs() > 1e-6]  # not from the density
    assert len(moved) > 20
    assert ((moved >= lower) & (moved <= upper)).all()


def test_recentred_codes_are_the_encoders() -> None:
    known = history([3, 40])
    moved = History(known.sentences, known.codes.flip(1), known.values, known.valid, known.rounds, known.seen)
    torch.testing.assert_close(recentred(Circle(), moved).codes, known.codes)
