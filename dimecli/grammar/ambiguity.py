"""Looks for a sentence with two derivations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dimecli.grammar.grammar import Grammar

ENUMERATED = 20_000  # derivations, of the shortest lengths
LONGEST = 100  # productions in a derivation that is looked at, if there are as short ones
SAMPLED = 200  # derivations up to there, the shortest sentences of which are parsed
PARSED = 1_000  # characters that those have together


class Ambiguity(NamedTuple):
    """A sentence and the ids, `(T,)` each, of two of its leftmost derivations; white space as the parser reads it."""

    sentence: str
    first: NDArray[np.int16]
    second: NDArray[np.int16]


def find_ambiguity(grammar: Grammar) -> Ambiguity | None:
    """Two derivations of one sentence, if any are found; always the same answer, in about a second.

    None is certain where `grammar.parser.method` is LALR(1), for such grammars are unambiguous.
    Otherwise short derivations are compared with each other, and some longer ones with what the
    parser finds in their sentences; None then says only that nothing was found. Constraints are left
    out of account: with them, the ids are those of `grammar.base`.
    """
    grammar = grammar.base or grammar
    if grammar.parser.method == "LALR(1)":
        return None
    max_len = max(LONGEST, 2 * int(grammar.min_len[grammar.start]))
    found = _find(replace(grammar, max_len=max_len) if max_len < grammar.max_len else grammar)
    if found is None:
        return None
    padding = np.full(grammar.max_len - len(found.first), grammar.pad, dtype=np.int16)
    return Ambiguity(found.sentence, *(np.append(ids, padding) for ids in (found.first, found.second)))


def _find(grammar: Grammar) -> Ambiguity | None:
    """The same, for a grammar without constraints whose derivations are not long."""
    seen: dict[str, NDArray[np.int16]] = {}
    for sentence, derivation in _short(grammar):
        first = seen.setdefault(grammar.parser.lexer.read(sentence), derivation)
        if first is not derivation:
            return Ambiguity(sentence, first, derivation)
    for sentence, derivation in _sampled(grammar):
        (parsed,), reasons = grammar.parse_all([sentence])
        if not reasons and (parsed != derivation).any():
            return Ambiguity(sentence, parsed, derivation)
    return None


def _short(grammar: Grammar) -> Iterator[tuple[str, NDArray[np.int16]]]:
    """Every derivation of the shortest lengths, with its sentence."""
    counts = grammar.counts[grammar.start]
    for length, total in enumerate(accumulate(counts)):
        if total > ENUMERATED:
            return
        if not counts[length]:
            continue
        ids = grammar.enumerate(length)
        yield from zip(_sentences(grammar, ids), ids, strict=True)


def _sampled(grammar: Grammar) -> Iterator[tuple[str, NDArray[np.int16]]]:
    """Derivations of all lengths, with their sentences: the shortest of a sample."""
    ids = grammar.sample(SAMPLED, np.random.default_rng(0), "length")
    sentences = _sentences(grammar, ids)
    order = sorted(range(SAMPLED), key=lambda index: len(sentences[index]))
    for index, total in zip(order, accumulate(len(sentences[index]) for index in order), strict=True):
        if total > PARSED:
            return
        yield sentences[index], ids[index]


def _sentences(grammar: Grammar, ids: NDArray[np.int16]) -> list[str]:
    """The sentences of complete derivations."""
    return [sentence for sentence in grammar.unparse_all(ids) if sentence is not None]
