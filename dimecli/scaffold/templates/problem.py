"""Palindromes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from dimecli.plugin import Language, Outcome, Problem


class Example(Problem):
    """Sentences of a certain length that read the same backwards; of any grammar.

    A sentence s of n characters is worth `#{i: s_i = s_(n+1-i)} / n - |n - length| / max(n, length)`.
    """

    length: int = Field(20, ge=1, description="Characters that a sentence should have.")

    direction = "max"
    cheap = True
    value_name = "symmetry"

    @property
    def worst(self) -> float:
        """No character in its place, and hardly any, or far too many."""
        return -1.0

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[Outcome | float]:
        """The value of each sentence; an empty one has none."""
        return [self._value(text) if text else Outcome(None, "the sentence is empty") for text in sentences]

    def _value(self, text: str) -> float:
        same = sum(a == b for a, b in zip(text, reversed(text), strict=True))
        return same / len(text) - abs(len(text) - self.length) / max(len(text), self.length)
