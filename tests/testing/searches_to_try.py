"""Searches that keep the contract, and searches that each break one promise of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dimecli.errors import UserError
from dimecli.plugin import Candidates, History, Search, Space


def _codes(candidates: Candidates) -> torch.Tensor:
    assert candidates.codes is not None
    return candidates.codes


class Good(Search):
    """Codes near the best one so far, and some at random."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        codes = space.sample(20 * n, rng)
        if len(history.codes):
            best = history.codes[history.values.argmax()]
            codes = codes[(codes - best).square().sum(1).argsort()]
        return self.given(n, history, space, codes, space.decode(codes))

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        places = {text: row for row, text in enumerate(sentences) if text not in history.seen}
        rows = list(places.values())[:n]
        return Candidates([sentences[row] for row in rows], codes[rows])


class Needy(Good):
    """Wants a history."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        if not len(history.codes):
            raise UserError("--initial 0: it needs something to start from")
        return super().ask(n, history, space, rng)


class Flat(Good):
    """Knows no sphere."""

    latent_spaces = frozenset({"euclidean"})

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        assert space.latent_space == "euclidean"
        return super().ask(n, history, space, rng)


class Few(Good):
    """Gives half."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        return super().given(n // 2, history, space, codes, sentences)


class Stubborn(Good):
    """Proposes what is known."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        known = list(history.sentences)[:n]
        return Candidates(known, space.encode(known))


class Repeating(Good):
    """Proposes one sentence many times."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        one = super().given(1, history, space, codes, sentences)
        return Candidates(list(one.sentences) * n, _codes(one).repeat(n, 1))


class Off(Good):
    """Leaves the sphere."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, _codes(right) * (1.1 if space.latent_space == "sphere" else 1))


class Other(Good):
    """Says other sentences than its codes."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, _codes(right).flip(0))


class Infinite(Good):
    """Divides by zero."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, _codes(right) / 0)


class Lost(Good):
    """Forgets some codes."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, _codes(right)[1:])


class Vague(Good):
    """Expects NaN."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        right = super().given(n, history, space, codes, sentences)
        return Candidates(right.sentences, right.codes, torch.full((len(right.sentences),), torch.nan))


class Babbling(Good):
    """Proposes no sentences."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        return Candidates(["!" * (k + 1) for k in range(n)])


class Unseeded(Good):
    """Draws from numpy's global generator."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        return super().ask(n, history, space, torch.Generator().manual_seed(np.random.randint(2**31)))


class GlobalNoise(Good):
    """Draws from torch's global generator."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        torch.rand(())
        return super().ask(n, history, space, rng)


class Scribbling(Good):
    """Standardises the values in place."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        history.values.sub_(history.values.mean())
        return super().ask(n, history, space, rng)


class Downhill(Good):
    """Minimises."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        worst = history.codes[history.values.argmin()] if len(history.codes) else torch.zeros(1)
        codes = space.sample(20 * n, rng)
        codes = codes[(codes - worst).square().sum(1).argsort()]
        return self.given(n, history, space, codes, space.decode(codes))


class Unprepared(Good):
    """Fails without a history, and does not say why."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        history.values.max()
        return super().ask(n, history, space, rng)


class Refusing(Good):
    """Does not work as it is."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        raise UserError("--power is missing")


class Blind(Good):
    """Learns nothing, and does not say so."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        codes = space.sample(20 * n, rng)
        return self.given(n, history, space, codes, space.decode(codes))


class Baseline(Blind):
    """Learns nothing, and says so."""

    learns = False


class Narrow(Baseline):
    """Learns nothing, and looks at the worst of what it draws."""

    def given(
        self, n: int, history: History, space: Space, codes: torch.Tensor, sentences: Sequence[str | None]
    ) -> Candidates:
        order = (
            (codes - history.codes[history.values.argmin()]).square().sum(1).argsort() if len(history.codes) else ...
        )
        codes = codes[order]
        return super().given(n, history, space, codes, space.decode(codes))


class Adrift(Flat):
    """Goes far beyond all codes, where the decoder says what it says at the border."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        codes = 100 * space.sample(200 * n, rng)
        return self.given(n, history, space, codes, space.decode(codes))


class Tireless(Good):
    """Goes on where nothing is left."""

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        if len(history.seen) == 4096:
            raise UserError("everything is known")
        return super().ask(n, history, space, rng)
