"""The problem: how well a condition finds the rows that it should."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import np
from dimecli.plugin import Language, Outcome, Problem

from .table import Table, goods, read

_TRIED = 20  # sentences that tell whether a grammar suits the table


class F1(Problem):
    """Conditions of SQL that find the right rows of a table: the F1 score, larger is better.

    F1 is the harmonic mean of precision and recall, between 0 and 1. Without `--table` the table is one of
    500 goods, of which those that were sold are to be found. A condition is run by SQLite in memory, where it
    can read the rows and nothing else; their labels are not among them.
    """

    table: Path | None = Field(None, description="CSV file; its first line names the columns. Default: 500 goods.")
    label: str = Field("label", description="Column of that file that is true (1) for the rows to find, else 0.")

    direction = "max"
    cheap = True
    value_name = "F1"

    @property
    def worst(self) -> float:
        """0: none of the rows is found."""
        return 0.0

    @property
    def optimum(self) -> float | None:
        """1 for the goods, since a condition finds exactly those. Of another table it is not known."""
        return 1.0 if self.table is None else None

    @property
    def files(self) -> Sequence[Path]:
        """The CSV file."""
        return () if self.table is None else (self.table.expanduser(),)

    def check(self, language: Language) -> None:
        """Nothing, where the sentences of the grammar are conditions on the table.

        Raises:
            UserError: one is not, or the table cannot be read.
        """
        _table.cache_clear()  # the file is read once for a search, and anew for the next one
        table, grammar = _table(self), language.compile()
        for sentence in grammar.unparse_all(grammar.sample(_TRIED, np.random.default_rng(0), "pcfg")):
            try:
                table.found(str(sentence))
            except sqlite3.Error as error:
                raise UserError(f"problem 'f1': the grammar does not suit the table: {error} in {sentence}") from error

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[Outcome | float]:
        """The F1 score of each condition."""
        table, wrong = _table(self), language.compile().parse_all(sentences)[1]
        return [
            Outcome(None, f"no sentence: {wrong[row]}") if row in wrong else _score(table, sentence)
            for row, sentence in enumerate(sentences)
        ]


def _score(table: Table, condition: str) -> Outcome | float:
    try:
        found = table.found(condition)
    except sqlite3.Error as error:
        return Outcome(None, str(error))
    return 2 * len(found & table.wanted) / (len(found) + len(table.wanted))


@lru_cache(maxsize=4)
def _table(problem: F1) -> Table:
    return goods() if problem.table is None else read(problem.table, problem.label)
