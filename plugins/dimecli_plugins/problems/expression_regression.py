"""Symbolic regression: expressions that fit a function, or data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from dimecli.errors import UserError
from dimecli.grammar.messages import brief
from dimecli.lazy import np, torch
from dimecli.plugin import Language, Outcome, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dimecli.grammar import Grammar
    from dimecli.grammar.semantics import Semantics

_CLIP, _CAP = 1000.0, 7.0
_SENTENCES, _VALUES = 4096, 4096 * 1000  # evaluated at once: what fits into the memory of a laptop


class ExpressionRegression(Problem):
    """Expressions near a function or your data: log(1 + mean squared error) (GrammarVAE, Kusner et al., 2017).

    The sentences are read as the grammar says, for arithmetic by Python's precedence with true division.
    What is not a number at some point is invalid. In one variable the points are evenly spaced; in
    several they are Sobol' points.
    """

    target: str = Field("1/3 + x + sin(x*x)", description="The function, in the variables of the grammar.")
    low: float = Field(-10.0, description="Smallest value of each variable.")
    high: float = Field(10.0, description="Largest value of each variable.")
    points: int = Field(1000, ge=1, le=1_000_000, description="Points at which the error is measured.")
    score: Literal["clip1000", "cap7"] = Field(
        "clip1000",
        description="clip1000: no squared error counts more than 1000 (GrammarVAE); "
        "cap7: no sentence more than 7 (weighted retraining, LOL-BO).",
    )
    data: Path | None = Field(
        None, description="CSV file in place of target and points; its header names the variables and the target."
    )
    column: str | None = Field(None, description="Column of the CSV file with the target; default: the last one.")

    direction = "min"
    cheap = True
    value_name = "log(1 + MSE)"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"--low {self.low:g} must be less than --high {self.high:g}")
        if self.data is None and self.column is not None:
            raise ValueError("--column is for --data FILE")
        for name in ("target", "low", "high", "points"):
            if self.data is not None and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"--{name} has no say where --data gives the points; leave one out")
        return self

    @property
    def worst(self) -> float:
        """That of --score: log 1001, or 7."""
        return math.log1p(_CLIP) if self.score == "clip1000" else _CAP

    @property
    def optimum(self) -> float | None:
        """0: the target itself. Of data it is not known."""
        return 0.0 if self.data is None else None

    @property
    def files(self) -> Sequence[Path]:
        """The CSV file."""
        return () if self.data is None else (self.data.expanduser(),)

    def check(self, language: Language) -> None:
        """Nothing, where sentences have values, and the target or the data suits the grammar's variables.

        Raises:
            UserError: they do not; names the character of the target, or the line of the file.
        """
        semantics = language.semantics()
        if semantics is None:
            raise UserError("expression-regression needs a grammar whose sentences have values; this one's have none")
        _points.cache_clear()  # a file is read once for a search, and anew for the next one
        _points(self, semantics.variables)

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[Outcome | float]:
        """Scores, lower is better; of one sentence or of thousands at once."""
        semantics = language.semantics()
        assert semantics is not None, "check() refuses such a language"
        grammar, (inputs, target) = language.compile(), _points(self, semantics.variables)
        ids, reasons = grammar.parse_all(sentences)
        size = max(1, min(_SENTENCES, _VALUES // len(target)))
        outcomes: list[Outcome | float] = []
        for first in range(0, len(ids), size):
            outcomes += self._scores(grammar, semantics, ids[first : first + size], inputs, target)
        for row, reason in reasons.items():
            outcomes[row] = Outcome(None, f"no sentence: {reason}")
        return outcomes

    def _scores(
        self,
        grammar: Grammar,
        semantics: Semantics,
        ids: NDArray[np.int16],
        inputs: torch.Tensor,
        target: torch.Tensor,
    ) -> list[Outcome | float]:
        """Of `(B, T)` derivations."""
        from dimecli.grammar.evaluate import evaluate

        try:
            errors = evaluate(grammar, semantics, ids, inputs).sub_(target).square_()  # (B, n)
        except ValueError:  # some sentences of this grammar are no arithmetic
            if len(ids) == 1:
                return [Outcome(None, "no expression, read as arithmetic")]
            return [score for row in ids for score in self._scores(grammar, semantics, row[None], inputs, target)]
        nan = errors.isnan()
        if self.score == "clip1000":
            score = errors.clamp_(max=_CLIP).mean(1).log1p_()
        else:
            score = errors.mean(1).log1p_().clamp_(max=_CAP)
        outcomes: list[Outcome | float] = score.tolist()
        for row in nan.any(1).nonzero()[:, 0].tolist():
            outcomes[row] = Outcome(None, f"not a number{_first(nan[row], inputs, semantics.variables)}")
        return outcomes


@lru_cache(maxsize=8)
def _points(problem: ExpressionRegression, variables: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """`(v, n)` inputs and `(n,)` targets, float64.

    Raises:
        UserError: the target, or the file, is not as it has to be.
    """
    from dimecli.grammar.formula import formula_values
    from dimecli.search.table import read_table

    if problem.data is not None:
        return read_table(problem.data, variables, problem.column)
    inputs = _inputs(problem, len(variables))
    where = f"--target '{brief(problem.target)}'"
    try:
        target = formula_values(problem.target, variables, inputs)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    wrong = ~target.isfinite()
    if wrong.any():
        raise UserError(f"{where}: has no finite value{_first(wrong, inputs, variables)}; see --low and --high")
    return inputs, target


def _inputs(problem: ExpressionRegression, variables: int) -> torch.Tensor:
    """`(v, n)` points between --low and --high."""
    if variables < 2:
        return torch.linspace(problem.low, problem.high, problem.points, dtype=torch.float64).expand(variables, -1)
    sobol = torch.quasirandom.SobolEngine(variables).draw(problem.points, dtype=torch.float64).T
    return problem.low + (problem.high - problem.low) * sobol


def _first(marked: torch.Tensor, inputs: torch.Tensor, variables: Sequence[str]) -> str:
    """The first of the points that are marked, such as ` at x = 1, y = -2`."""
    point = inputs[:, int(marked.byte().argmax())].tolist()
    return " at " * bool(point) + ", ".join(f"{name} = {x:g}" for name, x in zip(variables, point, strict=True))
