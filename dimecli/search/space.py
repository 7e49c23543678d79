"""The latent space of a run, as searches see it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch
import torch.nn.functional as F

from dimecli.data.sentences import Characters, Productions, Sentences
from dimecli.errors import UserError
from dimecli.plugin import Density, Language, Space
from dimecli.run.run import Run


class TrainedSpace(Space, Protocol):
    """What the host needs of a space, beside what a search does."""

    language: Language

    @property
    def sentences(self) -> Sequence[str]:
        """The N training sentences, in the order of their codes."""


class RunSpace:
    """The codes of a run, the sentences that they stand for, and a density fitted to them; a `TrainedSpace`.

    Args:
        run: A run that was trained on sentences of a grammar.
        density: What `sample` draws from; fitted now.
        max_batch: Sentences to encode or decode at a time.

    Raises:
        UserError: the run is of other data, or the density does not suit it.
    """

    def __init__(self, run: Run, density: Density, max_batch: int = 500) -> None:
        likelihood, language = run.model.spec.likelihood, run.language
        if language is None or not isinstance(likelihood, Sentences):
            raise UserError(f"run {run.path.name} is of {run.model.spec.modality}s; only sentences are searched for")
        self.language = language
        self.latent_space = run.experiment.objective.latent_space
        self.grammar = likelihood.compiled
        self._run, self._likelihood, self._max_batch = run, likelihood, max_batch
        self._fitted = run.fit(density)

    @cached_property
    def codes(self) -> torch.Tensor:
        """`(N, l)` codes of the training sentences.

        Raises:
            UserError: the training sentences changed since.
        """
        return self._placed(self._run.codes("train"))

    @cached_property
    def sentences(self) -> Sequence[str]:
        """The N training sentences.

        Raises:
            UserError: they changed since.
        """
        x = self._run.samples("train").x
        assert isinstance(x, torch.Tensor)
        return [str(text) for text in self._likelihood.text(x)]

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        """`(n, l)` codes of sentences.

        Raises:
            UserError: one of them is no sentence of the grammar.
        """
        parts = [
            self._run.encode(self._ids(sentences[start : start + self._max_batch]))
            for start in range(0, len(sentences), self._max_batch)
        ]
        return self._placed(torch.cat(parts)) if parts else self.codes[:0]

    def decode(self, codes: torch.Tensor) -> list[str | None]:
        """The most probable sentence of each of `(n, l)` codes; None where its characters are no sentence."""
        texts: list[str | None] = []
        for part in codes.float().split(self._max_batch):
            texts += self._texts(self._run.decode(part)) if len(part) else []
        return texts

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` codes drawn from the density, divided by their length where the latent space is the sphere."""
        return self._placed(self._fitted.sample(n, rng))

    def _placed(self, codes: torch.Tensor) -> torch.Tensor:
        codes = codes.double()
        return F.normalize(codes, dim=1) if self.latent_space == "sphere" else codes

    def _ids(self, sentences: Sequence[str]) -> torch.Tensor:
        ids, wrong = self.grammar.parse_all(sentences)
        if wrong:
            first = min(wrong)
            raise UserError(f"'{sentences[first]}' is no sentence of the run's grammar: {wrong[first]}")
        if isinstance(self._likelihood, Characters):
            return self._likelihood.encode([str(text) for text in self.grammar.unparse_all(ids)])
        return torch.from_numpy(ids)

    def _texts(self, x: torch.Tensor) -> list[str | None]:
        """As the grammar writes them, so that spaces which mean nothing make no sentence new."""
        texts = self._likelihood.text(x)
        if isinstance(self._likelihood, Productions):
            return texts
        ids, _ = self.grammar.parse_all([text or "" for text in texts])
        return self.grammar.unparse_all(ids)  # None for the padding in place of what is no sentence
