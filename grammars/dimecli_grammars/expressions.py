"""Univariate arithmetic expressions: the grammar, the data and the task of GrammarVAE."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dimecli.lazy import np, torch
from dimecli.plugin import Language

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar.semantics import Semantics


def published() -> list[str]:
    """GrammarVAE's 100,000 expressions in its order: the first ones of 122,880 of the form A+B+C.

    Counted from 0, row 99,908 is the target of its task, `1/3+(x)+sin(x*x)`.
    """
    leaves = ("x", "1", "2", "3")
    pairs = [f"{left}{sign}{right}" for sign in "+*/" for left in leaves for right in leaves]
    wrapped = [[f"{head}{body})" for body in (*pairs, *leaves)] for head in ("(", "sin(", "exp(")]
    middle = [body for bodies in wrapped for body in bodies[len(pairs) :]]
    last = [body for bodies in wrapped for body in bodies]
    parts = itertools.product(pairs, [*middle, *leaves], [*last, *leaves])
    return ["+".join(part) for part in itertools.islice(parts, 100_000)]


class Expressions(Language):
    """Expressions in x over + * /, sin, exp and the constants 1, 2, 3 (GrammarVAE, Kusner et al., 2017)."""

    sources = {"gvae": published}

    def semantics(self) -> Semantics:
        """Python's arithmetic."""
        from dimecli.grammar.grammar import compiled
        from dimecli.grammar.semantics import arithmetic

        return arithmetic(compiled(self.text()).terminals)

    def score(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        """`(n,)` log(1 + mean squared error), each error clipped at 1,000, against 1/3 + x + sin(x²).

        The mean is over 1,000 points between -10 and 10; division is true division. What is no sentence, or
        not a number at some point, scores log(1001), the worst. (GrammarVAE, section 4.1, and its code, which
        divides integers in its search, but not in its data.)
        """
        from dimecli.grammar.evaluate import evaluate
        from dimecli.grammar.grammar import compiled

        grammar, semantics = compiled(self.text()), self.semantics()
        ids, _ = grammar.parse_all(sentences)
        x = torch.linspace(-10, 10, 1000, dtype=torch.float64)
        target = 1 / 3 + x + torch.sin(x * x)
        scores = np.full(len(sentences), math.log(1001))
        for first in range(0, len(ids), 4096):
            errors = evaluate(grammar, semantics, ids[first : first + 4096], x[None]).sub_(target).square_()
            score = errors.clamp_(max=1000).mean(1).log1p_().numpy()
            np.copyto(scores[first : first + 4096], score, where=np.isfinite(score))
        return scores
