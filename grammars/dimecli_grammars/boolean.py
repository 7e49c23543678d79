"""Boolean functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dimecli.lazy import torch
from dimecli.plugin import Language

if TYPE_CHECKING:
    from dimecli.grammar.semantics import Semantics


class Boolean(Language):
    """Boolean functions of a, b, c and d over ~ & |, with precedence."""

    def semantics(self) -> Semantics:
        """False is 0, true is 1."""
        from dimecli.grammar.semantics import Infix, Prefix, Semantics

        return Semantics(
            variables=("a", "b", "c", "d"),
            prefixes={"~": Prefix(lambda a: 1 - a, 3)},
            infixes={"&": Infix(torch.minimum, 2), "|": Infix(torch.maximum, 1)},
        )
