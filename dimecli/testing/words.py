"""Words whose worth is known, for searches to be tried on."""

from __future__ import annotations

from collections.abc import Sequence

from dimecli.grammar.grammar import compiled
from dimecli.lazy import F, torch
from dimecli.plugin import Candidates, History, LatentSpace

_LETTERS = "abcdefghijklmnop"
_WIDTH = 1.5


class Words:
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
        """The middle of each word's cell."""
        cells = [[_LETTERS.index(letter) for letter in word] for word in sentences]
        inside = (torch.tensor(cells, dtype=torch.float64).reshape(-1, 3) + 0.5) / len(_LETTERS)
        return self._placed(_WIDTH * (2 * inside - 1))

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        """The word whose cell each code is in, or is nearest to."""
        cells = ((self._cube(codes) / _WIDTH + 1) / 2 * len(_LETTERS)).floor().clamp(0, len(_LETTERS) - 1)
        return ["".join(_LETTERS[int(cell)] for cell in row) for row in cells.tolist()]

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """Codes from anywhere in the cube."""
        return self._placed(_WIDTH * (2 * torch.rand(n, 3, generator=rng, dtype=torch.float64) - 1))

    def worth(self, sentences: Sequence[str]) -> torch.Tensor:
        """`(n,)`, larger is better: the sphere function, negated: the squared distance to the best, in the cube."""
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


def start(space: Words, seed: int) -> History:
    """Sixty words of the worse half; the last of them is invalid, and so counts as the worst."""
    worth = space.worth(space.words)
    worse = worth.argsort()[: len(worth) // 2]
    chosen = worse[torch.randperm(len(worse), generator=seeded(seed))[:60]].tolist()
    words, values = [space.words[index] for index in chosen], worth[chosen]
    values[-1] = worth.min()
    valid = torch.arange(len(words)) < len(words) - 1
    return History(words, space.encode(words), values, valid, torch.zeros(len(words)).long(), frozenset(words))


def grown(history: History, asked: Candidates, space: Words, number: int, most: int) -> History:
    """The history with the first new words of a round, so many at most."""
    new = [word for word in dict.fromkeys(asked.sentences) if word is not None and word not in history.seen][:most]
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


def seeded(seed: int) -> torch.Generator:
    """A generator of one of several searches."""
    return torch.Generator().manual_seed(seed)
