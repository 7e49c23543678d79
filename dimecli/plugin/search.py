"""What searches keep to: which sentences, or codes, to evaluate next."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from dimecli.lazy import torch
from dimecli.plugin.base import LatentSpace, Plugin

if TYPE_CHECKING:
    from dimecli.grammar import Grammar


class Space(Protocol):
    """The latent space of a run, as a search sees it. Codes are `(n, l)` float64 on the CPU."""

    latent_space: LatentSpace
    grammar: Grammar

    @property
    def codes(self) -> torch.Tensor:
        """`(N, l)` codes of the training sentences: the region that the decoder knows."""

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        """The codes of sentences of the grammar."""

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        """The sentence of each code; None where there is none. The same code always gives the same one."""

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """Codes drawn from the density that was fitted to those of training."""


@dataclass(frozen=True)
class History:
    """What was evaluated, in the order in which it was proposed.

    Args:
        sentences: n of them, all different.
        codes: `(n, l)` float64: the codes that were proposed; of sentences that were proposed without
            a code, the encoder's.
        values: `(n,)` float64: what they are worth, larger is better whichever way the problem goes.
        valid: `(n,)` bool: False where the value stands for that of an invalid sentence.
        rounds: `(n,)` int64: 0 for what the search starts from, then the number of the round.
        seen: Every sentence that needs no evaluation any more; those that were dropped are only here.
    """

    sentences: Sequence[str]
    codes: torch.Tensor
    values: torch.Tensor
    valid: torch.Tensor
    rounds: torch.Tensor
    seen: frozenset[str]


@dataclass(frozen=True)
class Candidates:
    """What a search proposes: m sentences, best first.

    Args:
        sentences: None where a code has no sentence.
        codes: `(m, l)` codes that they were decoded from; None where the search works on sentences.
        mean: `(m,)` values that it expects, in the scale of `History.values`; None if it expects nothing.
        std: `(m,)` standard deviations of that, the noise included.
    """

    sentences: Sequence[str | None]
    codes: torch.Tensor | None = None
    mean: torch.Tensor | None = None
    std: torch.Tensor | None = None


class Search(Plugin):
    """Chooses what to evaluate next.

    All that it knows is what it is given, so that a search that was killed goes on with the same
    candidates: a state, such as the size of a trust region, is worked out from the history.
    """

    kind = "search"
    group = "dimecli.searches"

    latent_spaces: ClassVar[frozenset[LatentSpace]] = frozenset({"euclidean", "sphere"})
    learns: ClassVar[bool] = True
    """False for a baseline that looks at no value: it has to be no worse than draws at random, not better."""

    @abstractmethod
    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """At least n candidates, as far as there are so many, for one round.

        Those that `history.seen` has, or that occurred before, are passed over. Every draw comes from `rng`.

        Raises:
            UserError: it cannot search this space, or what it needs is not there.
        """
