"""The compiled grammar."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dimecli.grammar.rules import Nonterminal, Production, Rules
from dimecli.lazy import np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from dimecli.grammar.decode import Decoded
    from dimecli.grammar.parse import Parser
    from dimecli.grammar.sample import Sampler
    from dimecli.grammar.walk import Tables


Array = TypeVar("Array", bound="NDArray[Any]")


def _table(make: Callable[[Grammar], Array]) -> cached_property[Array]:
    """A cached property that is an array which nobody can write to."""

    @wraps(make)
    def fixed(grammar: Grammar) -> Array:
        array = make(grammar)
        array.flags.writeable = False
        return array

    return cached_property(fixed)


@dataclass(frozen=True, eq=False)
class Grammar:
    """A context-free grammar as immutable tables; made by `Grammar.compile`.

    A sentence is a leftmost derivation: production ids `0 .. P-1` in the order in which they are
    applied, followed by the padding id P, up to `max_len` ids. N nonterminals are numbered too.

    Args:
        rules: What the grammar was compiled from.
        productions: The productions in force, P of them, in the order of the file.
        nonterminals: Names of the left-hand sides, N of them.
        max_len: Productions in the longest derivation, T.
        origin: `(P,)`: for each production the id of the one without constraints, which they multiply.
        base: The grammar without its constraints; None if it has none.
        notes: What the compiler warned about, one line each.
    """

    rules: Rules
    productions: tuple[Production, ...]
    nonterminals: tuple[str, ...]
    max_len: int
    origin: NDArray[np.int64]
    base: Grammar | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.origin.flags.writeable = False

    @staticmethod
    def compile(text: str, source: str = "grammar", max_len: int | None = None) -> Grammar:
        """A grammar from nltk's CFG or PCFG text with directives; `max_len` overrides the text's.

        Raises:
            UserError: the text is no grammar, or one without sentences of at most `max_len` productions;
                the message names `source` and the line.
        """
        from dimecli.grammar.compile import compile_rules
        from dimecli.grammar.text import read_rules

        return compile_rules(read_rules(text, source), max_len)

    @staticmethod
    def load(path: Path, max_len: int | None = None) -> Grammar:
        """A grammar from a .cfg file.

        Raises:
            UserError: it cannot be read; or as `compile`.
        """
        from dimecli.grammar.text import read_file

        return Grammar.compile(read_file(path), str(path), max_len)

    @cached_property
    def text(self) -> str:
        """The grammar in canonical form, from which `compile` makes an equal one."""
        from dimecli.grammar.text import write_rules

        return write_rules(self)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical text: equal where production ids mean the same."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    # The tables

    @property
    def pad(self) -> int:
        """The id after the last production of a derivation, P."""
        return len(self.productions)

    @cached_property
    def number(self) -> dict[str, int]:
        """Numbers of the nonterminals by name."""
        return {name: number for number, name in enumerate(self.nonterminals)}

    @property
    def start(self) -> int:
        """Number of the start symbol: always 0."""
        return 0

    @cached_property
    def terminals(self) -> tuple[str, ...]:
        """The terminals, in the order of their first use."""
        used = [symbol for production in self.productions for symbol in production.rhs if isinstance(symbol, str)]
        return tuple(dict.fromkeys(used))

    @_table
    def lhs(self) -> NDArray[np.int64]:
        """`(P,)` numbers of the left-hand sides."""
        return np.array([self.number[production.lhs.name] for production in self.productions])

    @cached_property
    def by_lhs(self) -> tuple[tuple[int, ...], ...]:
        """For each nonterminal the ids of its productions."""
        return tuple(tuple(np.flatnonzero(self.lhs == number).tolist()) for number in range(len(self.nonterminals)))

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each production the numbers of the nonterminals on its right-hand side, from left to right."""
        return tuple(
            tuple(self.number[symbol.name] for symbol in production.rhs if isinstance(symbol, Nonterminal))
            for production in self.productions
        )

    @_table
    def min_len(self) -> NDArray[np.int64]:
        """`(N,)` productions in the shortest derivation from each nonterminal."""
        from dimecli.grammar.lengths import shortest

        return shortest(self.lhs, self.children, len(self.nonterminals))

    @_table
    def owed(self) -> NDArray[np.int64]:
        """`(P,)` productions that the right-hand side of each production needs at least."""
        return np.array([sum(int(self.min_len[child]) for child in children) for children in self.children])

    @_table
    def mask(self) -> NDArray[np.bool_]:
        """`(N + 1, P + 1)`: which ids may follow where a nonterminal is to be rewritten; row N is the end."""
        mask = np.zeros((len(self.nonterminals) + 1, self.pad + 1), dtype=bool)
        mask[self.lhs, np.arange(self.pad)] = True
        mask[-1, -1] = True
        return mask

    @_table
    def weights(self) -> NDArray[np.float64]:
        """`(P,)` probabilities of the productions of each nonterminal; uniform where the file gives no weights.

        With constraints: those of the unconstrained productions, which the constraints condition.
        """
        if self.base:
            return self.base.weights[self.origin]
        weights = np.array([1.0 if rule.weight is None else rule.weight for rule in self.productions])
        return weights / np.bincount(self.lhs, weights)[self.lhs]

    # Counting and sampling

    @cached_property
    def counts(self) -> tuple[tuple[int, ...], ...]:
        """`counts[A][n]`: derivations of exactly n productions from nonterminal A, n up to `max_len`; exact."""
        from dimecli.grammar.count import count

        return count(self, self.max_len)

    def enumerate(self, length: int) -> NDArray[np.int16]:
        """`(counts[start][length], T)` ids: every derivation of that length, in lexicographic order."""
        from dimecli.grammar.count import enumerate_derivations

        return enumerate_derivations(self, length)

    def sample(
        self, n: int, rng: np.random.Generator, by: Literal["pcfg", "uniform", "length"] = "uniform"
    ) -> NDArray[np.int16]:
        """`(n, T)` ids of independent derivations of at most `max_len` productions.

        Args:
            n: How many.
            rng: Source of randomness.
            by: `uniform`: every derivation alike. `length`: every length that occurs alike, within it
                every derivation. `pcfg`: as the weights say, conditioned on the maximum length.
        """
        return self.sampler(by)(n, rng)

    def sampler(self, by: Literal["pcfg", "uniform", "length"]) -> Sampler:
        """The tables for `sample`, made once."""
        from dimecli.grammar.sample import Sampler

        return _made_once(self, Sampler, by)  # type: ignore[no-any-return]

    # Sentences

    @cached_property
    def parser(self) -> Parser:
        """Lexer and parser, made once."""
        from dimecli.grammar.parse import Parser

        return Parser(self)

    def parse(self, sentence: str) -> NDArray[np.int16]:
        """`(T,)` ids of the leftmost derivation of a sentence; of an ambiguous one a shortest.

        Raises:
            ParseError: it is no sentence, or its derivation is longer than `max_len`; says where and why.
        """
        return self.parser.parse(sentence)

    def parse_all(self, sentences: Sequence[str]) -> tuple[NDArray[np.int16], dict[int, str]]:
        """`(n, T)` ids of n sentences at once, and by index why some failed, whose rows are padding."""
        return self.parser.parse_all(sentences)

    def unparse(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """The sentence of one derivation.

        Raises:
            ValueError: the derivation is incomplete, or no derivation of this grammar.
        """
        from dimecli.grammar.unparse import unparse

        return unparse(self, ids)

    def unparse_all(self, ids: NDArray[Any]) -> list[str | None]:
        """The sentences of `(n, T)` ids; None where a derivation is incomplete."""
        from dimecli.grammar.unparse import unparse_all

        return unparse_all(self, ids)

    # Decoding

    def decode(
        self,
        logits: torch.Tensor,
        rng: torch.Generator | None = None,
        temperature: float = 1.0,
        reserve: bool = True,
    ) -> Decoded:
        """Derivations from `(B, T, P + 1)` logits of all steps, T up to `max_len`; see `dimecli.grammar.decode`."""
        from dimecli.grammar.decode import decode

        return decode(self, logits, rng, temperature, reserve)

    def tables(self, device: torch.device) -> Tables:
        """The tables as tensors, made once for each device."""
        from dimecli.grammar.walk import Tables

        return _made_once(self, Tables.of, device)  # type: ignore[no-any-return]


@cache
def compiled(text: str, source: str = "grammar", max_len: int | None = None) -> Grammar:
    """The grammar of a text, compiled once in a process; as `Grammar.compile`."""
    return Grammar.compile(text, source, max_len)


def _made_once(grammar: Grammar, make: Any, key: Any) -> Any:
    """`make(grammar, key)`, kept with the grammar."""
    kept = grammar.__dict__.setdefault("_kept", {})
    if (make, key) not in kept:
        kept[make, key] = make(grammar, key)
    return kept[make, key]
