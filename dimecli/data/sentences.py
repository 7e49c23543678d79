"""Likelihoods of sentences: categorical over the productions of a derivation, or over characters.

Both know what a row of ids says (`text`) and whether it says it to the end (`complete`). Rows are
int16 at rest; the heavy parts are imported where they are used.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from dimecli.data.likelihood import Likelihood
from dimecli.errors import UserError
from dimecli.grammar.grammar import Grammar, compiled
from dimecli.lazy import F, np, torch

if TYPE_CHECKING:
    from dimecli.grammar.walk import Walk


MAX_CHARACTERS = 2**15 - 1
"""Different characters of a grammar whose ids, and that of the padding, are int16."""


def text_lines(content: bytes, source: str) -> list[str]:
    """The lines of UTF-8 text, ended as on any system, without a byte order mark.

    Raises:
        UserError: it is no UTF-8 text; names the line.
    """
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{source}:{number}: must be UTF-8 text, got the byte {content[error.start]:#x}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


class Sentences(Likelihood):
    """Sentences of a grammar, `(B, T)` symbol ids; the last of the V symbols is the padding."""

    grammar: str  # canonical text, so that a run needs no file but its own

    @property
    def compiled(self) -> Grammar:
        """The grammar, compiled once in a process.

        Raises:
            UserError: the text is no grammar.
        """
        return compiled(self.grammar)

    @abstractmethod
    def walk(self, batch: int, steps: int, device: torch.device, reserve: bool) -> Walk | None:
        """Which symbols may follow while sentences are decoded step by step; None where all may, always."""

    @abstractmethod
    def text(self, x: torch.Tensor) -> list[str | None]:
        """The sentences of `(B, T)` ids; None where there is none."""

    @abstractmethod
    def complete(self, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` bool: `(B, T)` ids say a sentence to its end."""


class Productions(Sentences):
    """Categorical over the productions of a leftmost derivation, masked by the left-hand side to rewrite.

    The likelihood of GrammarVAE (Kusner et al., 2017): `nll` is exactly `-log p` of the derivation, and
    sums to probability 1 over all rows of T ids, those included that break off there. `sample` draws
    from it, as in that paper; what `decode` and `estimate` give completes within T steps by the reserve
    rule (`dimecli.grammar.decode`).
    """

    name: Literal["productions"] = "productions"

    def parameters(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(T, P + 1)` logits: of each step, over productions and padding."""
        return (*shape, self.compiled.pad + 1)

    def nll(self, logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats: cross entropy of `(B, T)` ids under the masks of their own left-hand sides.

        Padding counts exactly 0, in the gradient too. Computed in float32 or better.
        """
        from dimecli.grammar.decode import log_prob
        from dimecli.grammar.walk import tables_of

        ids = x.long()
        tables = tables_of(self.grammar, logits.device)
        return -log_prob(logits, ids, tables.mask[tables.lhs[ids]])

    def estimate(self, logits: torch.Tensor) -> torch.Tensor:
        """`(B, T)` int16 ids: the most probable one at each step, among those allowed there."""
        return self.decode(logits)

    def sample(self, logits: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """`(B, T)` int16 ids, drawn step by step; the derivation may break off after T of them."""
        return self.decode(logits, rng, reserve=False)

    def decode(self, logits: torch.Tensor, rng: torch.Generator | None = None, reserve: bool = True) -> torch.Tensor:
        """`(B, T)` int16 ids, the most probable step by step, or drawn; complete if `reserve` is set."""
        return self.compiled.decode(logits, rng, reserve=reserve).ids.short()

    def walk(self, batch: int, steps: int, device: torch.device, reserve: bool) -> Walk:
        """The productions that may follow."""
        from dimecli.grammar.walk import Walk

        return Walk(self.compiled, batch, device, steps, reserve)

    def text(self, x: torch.Tensor) -> list[str | None]:
        """The sentences of `(B, T)` ids; None where a derivation is incomplete."""
        return self.compiled.unparse_all(x.cpu().numpy())

    def complete(self, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` bool: the derivations of `(B, T)` ids leave nothing to rewrite."""
        growth = self.compiled.tables(x.device).growth  # each id's nonterminals, less the one that it rewrites
        return growth[x.long()].sum(1) == -1


class Characters(Sentences):
    """Categorical over the characters of a sentence, padded to a common length L.

    The likelihood of CharacterVAE (Gómez-Bombarelli et al., 2018): nothing keeps a text within the
    grammar, and every row is complete. The padding is a symbol like any other, and learned.
    """

    name: Literal["characters"] = "characters"

    @property
    def alphabet(self) -> str:
        """The V - 1 characters of the terminals and the separator, in the order of their ids."""
        return "".join(sorted(set("".join([*self.compiled.terminals, self.compiled.rules.separator]))))

    def parameters(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(L, V)` logits: of each position, over characters and padding."""
        return (*shape, len(self.alphabet) + 1)

    def nll(self, logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` nats: cross entropy of `(B, L)` ids over all positions, those of the padding included."""
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(exact.transpose(1, 2), x.long(), reduction="none").sum(1)

    def estimate(self, logits: torch.Tensor) -> torch.Tensor:
        """`(B, L)` int16 ids: the most probable one at each position."""
        return logits.argmax(-1).short()

    def sample(self, logits: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """`(B, L)` int16 ids, drawn at each position."""
        from dimecli.grammar.decode import choose

        return choose(logits, torch.ones_like(logits, dtype=torch.bool), rng).short()

    def walk(self, batch: int, steps: int, device: torch.device, reserve: bool) -> None:
        """None: every character may follow every other."""

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        """`(n, L)` int16 ids of n sentences; L is the length of the grammar's longest, or 1.

        Raises:
            UserError: the grammar has more characters than int16 has ids.
            ValueError: a sentence is longer, or has a character that no terminal has.
        """
        from dimecli.grammar.count import longest_sentence

        alphabet = self.alphabet
        if len(alphabet) > MAX_CHARACTERS:
            raise UserError(f"the grammar has {len(alphabet):,} different characters; at most {MAX_CHARACTERS:,} work")
        longest = max(1, longest_sentence(self.compiled))
        if (length := max(map(len, sentences), default=0)) > longest:
            raise ValueError(f"a sentence of {length} characters; the grammar's longest has {longest}")
        if foreign := set().union(*sentences).difference(alphabet):
            raise ValueError(f"{min(foreign)!r} is in no terminal of the grammar")
        points = np.array(sentences, dtype=f"U{longest}").view(np.uint32).reshape(-1, longest)  # 0 after the end
        known = np.array([ord(character) for character in alphabet], dtype=np.uint32)
        ids = np.where(points == 0, len(alphabet), np.searchsorted(known, points))
        return torch.from_numpy(ids.astype(np.int16))

    def text(self, x: torch.Tensor) -> list[str | None]:
        """The characters of `(B, L)` ids before the first padding."""
        alphabet = self.alphabet
        ended = (x == len(alphabet)).cumsum(1) > 0
        ids = torch.where(ended, len(alphabet), x.long()).cpu().numpy()
        letters = np.array([*alphabet, ""])[ids]  # (B, L)
        texts: list[str | None] = letters.view(f"U{letters.shape[1]}")[:, 0].tolist()
        return texts

    def complete(self, x: torch.Tensor) -> torch.Tensor:
        """`(B,)` bool: always True; whether the text is a sentence, parsing says."""
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
