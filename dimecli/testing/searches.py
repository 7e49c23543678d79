"""What searches promise to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from dimecli.errors import UserError
from dimecli.grammar.grammar import compiled
from dimecli.lazy import F, np, torch
from dimecli.plugin import Candidates, History, LatentSpace, Search
from dimecli.testing.expect import check_tensor, expect, only_own_randomness

_LETTERS = "abcdefghijklmnop"
_WIDTH = 1.5
_ASKED, _ROUNDS, _SEEDS = 10, 3, 2


class _Grid:
    """Words of three letters, each a cell of a cube; on the sphere the cube is under its stereographic projection.

    Encoding is exactly the reverse of decoding, and what a word is worth is a smooth function of its code.
    """

    def __init__(self, latent_space: LatentSpace) -> None:
        self.latent_space = latent_space
        letters = " | ".join(f"'{letter}'" for letter in _LETTERS)
        self.grammar = compiled(f"%start S\n%max_len 4\nS -> L L L\nL -> {letters}", "words")
        self.words = [a + b + c for a in _LETTERS for b in _LETTERS for c in _LETTERS]
        place = torch.randperm(len(self.words), generator=torch.Generator().manual_seed(0))[:400]
        self.codes = self.encode([self.words[index] for index in place.tolist()])
        self._best = torch.tensor([0.9, -0.5, 0.3], dtype=torch.float64)

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        cells = [[_LETTERS.index(letter) for letter in word] for word in sentences]
        inside = (torch.tensor(cells, dtype=torch.float64).reshape(-1, 3) + 0.5) / len(_LETTERS)
        return self._placed(_WIDTH * (2 * inside - 1))

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        cells = ((self._cube(codes) / _WIDTH + 1) / 2 * len(_LETTERS)).floor().clamp(0, len(_LETTERS) - 1)
        return ["".join(_LETTERS[int(cell)] for cell in row) for row in cells.tolist()]

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        return self._placed(_WIDTH * (2 * torch.rand(n, 3, generator=rng, dtype=torch.float64) - 1))

    def worth(self, sentences: Sequence[str]) -> torch.Tensor:
        """`(n,)`, larger is better: how near each word is to the best one, in the cube."""
        return -(self._cube(self.encode(sentences)) - self._best).square().sum(1)

    def _placed(self, cube: torch.Tensor) -> torch.Tensor:
        """`(n, 4)` codes on the sphere, or the `(n, 3)` points themselves."""
        if self.latent_space != "sphere":
            return cube
        square = cube.square().sum(1, keepdim=True)
        return F.normalize(torch.cat([2 * cube, square - 1], dim=1), dim=1)

    def _cube(self, codes: torch.Tensor) -> torch.Tensor:
        if self.latent_space != "sphere":
            return codes
        return codes[:, :3] / (1 - codes[:, 3:]).clamp(min=1e-9)


def check_search(search: Search, latent_space: LatentSpace, where: str) -> None:
    """Asks for candidates among words whose worth is known, and lets the search go on for a few rounds.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
    """
    space = _Grid(latent_space)
    space_codes = space.codes.clone()
    history = _start(space, 0)
    before = {name: getattr(history, name).clone() for name in ("codes", "values", "valid", "rounds")}
    words = list(history.sentences)
    with only_own_randomness(f"{where}: ask"):
        first = search.ask(_ASKED, history, space, _seeded(0))
    second = search.ask(_ASKED, history, space, _seeded(0))
    same = list(history.sentences) == words and torch.equal(space.codes, space_codes)
    same &= all(torch.equal(getattr(history, name), tensor) for name, tensor in before.items())
    expect(same, f"{where}: ask changes what it is given", "clone tensors before you write to them")
    expect(
        list(first.sentences) == list(second.sentences),
        f"{where}: the same generator and history give other candidates",
        "draw from `rng` only, and keep nothing between calls",
    )
    _check_candidates(first, history, space, _ASKED, where)
    _check_ends(search, history, space, where)
    _check_progress(search, space, where)


def _check_candidates(asked: Candidates, history: History, space: _Grid, wanted: int, where: str) -> None:
    m, codes = len(asked.sentences), asked.codes
    for name, expected in (("mean", asked.mean), ("std", asked.std)):
        if expected is not None:
            check_tensor(expected, (m,), f"{where}: the {name} of {m} candidates")
    strangers = sorted({text for text in asked.sentences if text is not None} - set(space.words))
    expect(not strangers, f"{where}: {strangers[:3]} are no sentences", "propose sentences of space.grammar")
    if codes is not None:
        check_tensor(codes, (m, space.codes.shape[1]), f"{where}: the codes of {m} candidates")
        if space.latent_space == "sphere":
            lengths = torch.linalg.vector_norm(codes, dim=1)
            on_sphere = torch.allclose(lengths, torch.ones_like(lengths), atol=1e-6)
            expect(on_sphere, f"{where}: codes leave the unit sphere", "divide them by their length")
        agree = space.decode(codes) == list(asked.sentences)
        expect(agree, f"{where}: codes decode to other sentences", "give the code that each sentence was decoded from")
    new = set(asked.sentences) - history.seen - {None}
    expect(
        len(new) >= wanted,
        f"{where}: {len(new)} new sentences of {wanted} asked for",
        "pass over those in history.seen, and go on until there are enough",
    )


def _check_ends(search: Search, history: History, space: _Grid, where: str) -> None:
    """It does without a history, or says that it cannot; and it ends where nothing new is left."""
    nothing = {name: getattr(history, name)[:0] for name in ("codes", "values", "valid", "rounds")}
    empty = replace(history, sentences=[], seen=frozenset(), **nothing)
    full = replace(history, seen=frozenset(space.words))
    for told, wanted, case in ((empty, 3, "without a history"), (full, 0, "with nothing left to find")):
        try:
            asked = search.ask(3, told, space, _seeded(1))
        except UserError:
            expect(told is empty, f"{where}, {case}: ask refuses", "give no candidates")
        except Exception as error:
            wrong = f"{where}, {case}: ask raises {type(error).__name__}: {error}"
            raise AssertionError(f"{wrong}; do without, or raise a UserError that says what is missing") from error
        else:
            _check_candidates(asked, told, space, wanted, f"{where}, {case}")


def _check_progress(search: Search, space: _Grid, where: str) -> None:
    """What it finds in a few rounds is not worse than as many words at random, but for chance."""
    found = []
    for seed in range(_SEEDS):
        history = _start(space, seed)
        for number in range(1, _ROUNDS + 1):
            asked = search.ask(_ASKED, history, space, _seeded(100 * seed + number))
            _check_candidates(asked, history, space, _ASKED, where)
            history = _grown(history, asked, space, number)
        found.append(history.values[history.rounds > 0].max().item())
    worth = space.worth(space.words).numpy()
    rng = np.random.default_rng(0)
    chance = np.array([worth[rng.choice(len(worth), _ROUNDS * _ASKED, replace=False)].max() for _ in range(300)])
    least = chance.mean() - 3 * chance.std() / math.sqrt(_SEEDS)
    expect(
        sum(found) / _SEEDS >= least,
        f"{where}: in {_ROUNDS} rounds its best is {sum(found) / _SEEDS:.3g}, draws at random give {chance.mean():.3g}",
        "mind that larger values are better",
    )


def _start(space: _Grid, seed: int) -> History:
    """Sixty words of the worse half; the last of them is invalid, and so counts as the worst."""
    worth = space.worth(space.words)
    worse = worth.argsort()[: len(worth) // 2]
    chosen = worse[torch.randperm(len(worse), generator=_seeded(seed))[:60]].tolist()
    words, values = [space.words[index] for index in chosen], worth[chosen]
    values[-1] = worth.min()
    valid = torch.arange(len(words)) < len(words) - 1
    return History(words, space.encode(words), values, valid, torch.zeros(len(words)).long(), frozenset(words))


def _grown(history: History, asked: Candidates, space: _Grid, number: int) -> History:
    """The history with the first new words of a round."""
    new = [word for word in dict.fromkeys(asked.sentences) if word is not None and word not in history.seen][:_ASKED]
    codes = space.encode(new)
    if asked.codes is not None:
        codes = torch.stack([asked.codes[list(asked.sentences).index(word)] for word in new]).double()
    return History(
        [*history.sentences, *new],
        torch.cat([history.codes, codes]),
        torch.cat([history.values, space.worth(new)]),
        torch.cat([history.valid, torch.ones(len(new)).bool()]),
        torch.cat([history.rounds, torch.full((len(new),), number)]),
        history.seen | set(new),
    )


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
