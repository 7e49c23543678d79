"""Derivations under way, and the reserve rule with which they always complete.

A derivation under way is a stack of nonterminals still to be rewritten; `need` productions would
finish it in the shortest way. The reserve rule keeps `need` within the steps that are left: in place
of its top nonterminal A a production p is allowed if it rewrites A and

    need - min_len[A] + owed[p] + 1 <= steps left.

With `excess[p] = owed[p] + 1 - min_len[A]`, what p costs beyond the shortest way, and
`spare = steps left - need`, that is `excess[p] <= spare`; the step then takes `excess[p]` off `spare`.
The shortest production of A has excess 0, so one is always allowed, `spare` never falls below 0, and
after the last step `need <= 0`: the stack is empty. That holds for any logits whatsoever.

The padding is the production `end -> end` of a symbol that lies below everything else on the stack.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dimecli.grammar.grammar import Grammar, compiled

_NEVER = torch.iinfo(torch.int32).max


@dataclass(frozen=True, eq=False)
class Tables:
    """A grammar as tensors, with the end as nonterminal N and the padding as production P.

    Args:
        lhs: `(P + 1,)` numbers of the left-hand sides.
        mask: `(N + 1, P + 1)` bool: which ids may follow where a nonterminal is to be rewritten.
        excess: `(P + 1,)` int32: productions that an id costs beyond the shortest way.
        price: `(N + 1, P + 1)` int32: the same where the mask permits the id, else the largest int32.
        children: `(P + 1, R)` nonterminals of the right-hand sides, from right to left, then -1.
        growth: `(P + 1,)` nonterminals on the right-hand side, less the one that it replaces.
        min_len: Productions in the shortest sentence.
    """

    lhs: torch.Tensor
    mask: torch.Tensor
    excess: torch.Tensor
    price: torch.Tensor
    children: torch.Tensor
    growth: torch.Tensor
    min_len: int

    @staticmethod
    def of(grammar: Grammar, device: torch.device) -> Tables:
        """The tables of a grammar on a device; `Grammar.tables` keeps them."""
        end = len(grammar.nonterminals)
        rows = [*(below[::-1] for below in grammar.children), (end,)]
        width = max(map(len, rows))
        lhs = torch.tensor([*grammar.lhs.tolist(), end])
        mask = torch.tensor(grammar.mask)
        min_len = torch.tensor([*grammar.min_len.tolist(), 0])
        owed = torch.tensor([*grammar.owed.tolist(), 0])
        excess = (owed + 1 - min_len[lhs]).clamp(max=_NEVER - 1).int()
        return Tables(
            lhs=lhs.to(device),
            mask=mask.to(device),
            excess=excess.to(device),
            price=torch.where(mask, excess, _NEVER).to(device),
            children=torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows]).to(device),
            growth=torch.tensor([len(row) - 1 for row in rows]).to(device),
            min_len=int(min_len[grammar.start]),
        )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def tables_of(text: str, device: torch.device) -> Tables:
    """The tables of the grammar with that canonical text; a constant to `torch.compile`.

    Raises:
        UserError: the text is no grammar.
    """
    return compiled(text).tables(device)


class Walk:
    """A batch of leftmost derivations under way, of at most `steps` productions each.

    `allowed` says what may come next, `advance` takes it, `complete` says which ones have ended. Its
    shapes depend on nothing but its arguments, and nothing in it waits for the device.

    Args:
        grammar: The grammar.
        batch: Derivations, B.
        device: Where the tensors live.
        steps: Productions in the longest derivation; by default the grammar's `max_len`.
        reserve: Keep what a derivation needs to complete within `steps`.

    Raises:
        ValueError: `steps` are too few for any sentence.
    """

    def __init__(
        self, grammar: Grammar, batch: int, device: torch.device, steps: int | None = None, reserve: bool = True
    ) -> None:
        self.tables = tables = grammar.tables(device)
        self.reserve = reserve
        steps = grammar.max_len if steps is None else steps
        if reserve and steps < tables.min_len:
            raise ValueError(f"{steps} steps: the shortest sentence has {tables.min_len} productions")
        end, width = tables.mask.shape[0] - 1, tables.children.shape[1]
        deepest = steps if reserve else 1 + steps * (width - 1)
        self._stack = torch.full((batch, 1 + deepest + width), end, device=device)
        self._stack[:, 1] = grammar.start
        self._depth = torch.ones(batch, dtype=torch.long, device=device)  # index of the top
        self._spare = torch.full(
            (batch,), steps - tables.min_len if reserve else _NEVER - 1, dtype=torch.int32, device=device
        )
        self._places = torch.arange(width, device=device)

    @property
    def allowed(self) -> torch.Tensor:
        """`(B, P + 1)` bool: the ids that rewrite the nonterminal to be rewritten, P where there is none.

        Of them those that the reserve rule leaves, at least one; without it all.
        """
        top = self._stack.gather(1, self._depth[:, None]).squeeze(1)  # (B,)
        return self.tables.price.index_select(0, top) <= self._spare[:, None]

    @property
    def complete(self) -> torch.Tensor:
        """`(B,)` bool: nothing is left to rewrite."""
        return self._depth == 0

    def advance(self, ids: torch.Tensor) -> None:
        """Apply one allowed id to each derivation, `(B,)` int64."""
        tables = self.tables
        if self.reserve:
            self._spare = self._spare - tables.excess.index_select(0, ids)
        self._stack.scatter_(1, self._depth[:, None] + self._places, tables.children.index_select(0, ids))
        self._depth = self._depth + tables.growth.index_select(0, ids)
