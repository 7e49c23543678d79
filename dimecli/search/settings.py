"""How a search is run, whatever searches."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.settings import Settings

InitialFrom = Literal["half", "best", "worst", "random"]


class SearchSettings(Settings):
    """The options of `dime bo` that belong to no plugin; the table [bo] of a TOML file."""

    rounds: int = Field(5, ge=1, description="Rounds: the search looks at all results so far before each.")
    batch: int = Field(50, ge=1, description="Evaluations in a round; a sentence is never evaluated twice.")
    initial: int = Field(500, ge=0, description="Training sentences to evaluate before the first round, N.")
    initial_from: InitialFrom | None = Field(
        None,
        description="Which ones: random; the best or worst of all; or of the worse half its best, a fifth of N, and "
        "random others (half; Tripp et al., 2020). Default: half where the problem is cheap, else random.",
    )
    invalid: Literal["worst", "drop"] = Field(
        "worst", description="An invalid sentence counts as the worst value, or the search does not learn of it."
    )
    timeout: float = Field(60.0, gt=0, description="Longest time for one evaluation, in seconds.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the first choice and of the rounds.")
