"""Problems of which nothing is known but what the user says."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.plugin import Problem


class OwnProblem(Problem):
    """Base of a problem that is the user's own: its direction and its worst value are options."""

    goal: Literal["max", "min"] = Field(
        "max", validation_alias="direction", description="Whether larger or smaller values are better."
    )
    lowest: float | None = Field(
        None,
        validation_alias="worst",
        description="Value that an invalid sentence counts as; default: the worst one found.",
    )

    @property
    def direction(self) -> Literal["max", "min"]:  # type: ignore[override]  # an option here, elsewhere of the class
        """As the option says."""
        return self.goal

    @property
    def worst(self) -> float | None:
        """As the option says."""
        return self.lowest
