"""Parsing: text to the production ids of its leftmost derivation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dimecli.errors import UserError
from dimecli.grammar.count import longest_sentence
from dimecli.grammar.earley import Earley
from dimecli.grammar.lalr import lalr_tables
from dimecli.grammar.lexer import Lexer
from dimecli.grammar.lr import Automaton, Stuck

if TYPE_CHECKING:
    from dimecli.grammar.grammar import Grammar

SHOWN = 5  # expected tokens that a message names


class ParseError(UserError):
    """A text is no sentence of the grammar: the message says at which character, what is there and what could be."""


class Parser:
    """Lexer and parser of a grammar: LALR(1) where that is deterministic, Earley's otherwise.

    A sentence of an ambiguous grammar gives a shortest derivation, always the same. Sentences of a
    grammar with constraints are parsed without them, and the derivation is then checked against them.

    Attributes:
        lexer: Of the grammar without its constraints.
        method: `LALR(1)` or `Earley`.
    """

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._plain = plain = grammar.base or grammar
        self.lexer = Lexer(plain)
        self._longest = longest_sentence(plain) + len(plain.rules.separator)
        lhs, rhs = plain.lhs.tolist(), self.lexer.rhs
        tables = lalr_tables(lhs, rhs, self.lexer.end)
        self._automaton = Automaton(tables, lhs, rhs) if tables else None
        self._earley = Earley(lhs, rhs, plain.max_len)
        self.method = "LALR(1)" if self._automaton else "Earley"

    def parse(self, sentence: str) -> NDArray[np.int16]:
        """`(T,)` ids of the derivation of one sentence.

        Raises:
            ParseError: it is no sentence, or its derivation is longer than `max_len`.
        """
        ids, reasons = self.parse_all([sentence])
        if reasons:
            raise ParseError(reasons[0])
        return ids.reshape(-1)

    def parse_all(self, sentences: Sequence[str]) -> tuple[NDArray[np.int16], dict[int, str]]:
        """`(n, T)` ids of n sentences; rows of padding where there is no derivation, and the reasons by index."""
        texts = [self.lexer.read(sentence) for sentence in sentences]
        fitting = [index for index, text in enumerate(texts) if len(text) <= self._longest]
        found, failures = self._derive([self.lexer.split(texts[index]) for index in fitting])
        reasons = {
            index: f"{len(sentences[index]):,} characters are more than {self._plain.max_len} productions can derive"
            for index, text in enumerate(texts)
            if len(text) > self._longest
        }
        for row, failure in failures.items():
            reasons[fitting[row]] = self._reason(sentences[fitting[row]], failure)
        ids = np.full((len(sentences), self._plain.max_len), self._plain.pad, np.int16)
        ids[fitting] = found
        if self.grammar.base:
            self._lift(ids, reasons)
        return ids, dict(sorted(reasons.items()))

    def _derive(self, sentences: Sequence[Sequence[int]]) -> tuple[NDArray[np.int16], dict[int, Stuck | str]]:
        """`(n, T)` ids of n rows of tokens, and the failures by row."""
        if self._automaton:
            return self._automaton.parse(sentences, self._plain.max_len)
        ids = np.full((len(sentences), self._plain.max_len), self._plain.pad, np.int16)
        failures: dict[int, Stuck | str] = {}
        for row, tokens in enumerate(sentences):
            derivation = self._earley.parse(tokens, self.lexer.end)
            if isinstance(derivation, list):
                ids[row, : len(derivation)] = derivation
            else:
                failures[row] = derivation
        return ids, failures

    def _reason(self, sentence: str, failure: Stuck | str) -> str:
        """One line for a failure."""
        if isinstance(failure, str):
            return failure
        place, found, names = self.lexer.explain(sentence, failure.at, failure.expected)
        more = f" or {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"character {place + 1}: {found} where {', '.join(names[:SHOWN])}{more} is expected"

    def _lift(self, ids: NDArray[np.int16], reasons: dict[int, str]) -> None:
        """Puts the ids of the constrained grammar in the place of those of its base."""
        from dimecli.grammar.constraints import lift

        for row, derivation in enumerate(ids):
            if row not in reasons:
                try:
                    ids[row] = lift(self.grammar, derivation)
                except ParseError as error:
                    reasons[row] = str(error)
            if row in reasons:
                ids[row] = self.grammar.pad
