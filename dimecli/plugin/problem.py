"""What problems keep to: what is searched for among the sentences of a grammar."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from dimecli.plugin.base import Plugin
from dimecli.plugin.language import Language


@dataclass(frozen=True)
class Outcome:
    """What a problem says about a sentence: a finite value, or None and the reason why there is none."""

    value: float | None
    reason: str = ""


class Problem(Plugin):
    """What is minimised or maximised over the sentences of a grammar: an oracle.

    It may be sent to another process, so everything that it needs is in its options.
    """

    kind = "problem"
    group = "dimecli.problems"

    direction: ClassVar[Literal["min", "max"]] = "max"
    cheap: ClassVar[bool] = False
    """Whether thousands of sentences at once cost next to nothing, as a formula does. Baselines and
    choices among all training sentences then come without asking, and nothing is sent to other processes."""
    value_name: ClassVar[str] = "value"
    """What the value is, with its unit, for tables and the axis of a plot."""

    executes: ClassVar[str] = ""
    """The option that names code to execute, such as a file or a program, if one does: a search is resumed only
    where the user gives it again, since its record may be a stranger's."""

    @property
    def worst(self) -> float | None:
        """The worst value there is, which an invalid sentence counts as; None: the worst one found."""
        return None

    @property
    def optimum(self) -> float | None:
        """The best value there is, where that is known."""
        return None

    @property
    def files(self) -> Sequence[Path]:
        """Files that decide the values, beside the options: a search does not go on once they have changed."""
        return ()

    def check(self, language: Language) -> None:
        """Nothing, where sentences of this language can be evaluated.

        Raises:
            UserError: they cannot, or something that the problem needs is not there; says what.
        """

    @abstractmethod
    def evaluate(self, sentences: Sequence[str], language: Language) -> Sequence[Outcome | float]:
        """What each sentence is worth, in their order.

        NaN and infinity count as invalid, and what is raised as invalid for all of them, so only a
        problem that is `cheap` gets more than one sentence.
        """
