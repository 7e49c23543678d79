"""Which share of the dimensions is dead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class Example(Metric):
    """Share of the dimensions of the codes that are dead: they vary much less than the liveliest one.

    Those d with `std(z_d) < threshold * max_k std(z_k)`. By itself neither more of them nor fewer are better.
    """

    threshold: float = Field(0.1, gt=0, lt=1, description="Standard deviation of a dead dimension, of the largest.")

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the codes of the split's samples."""
        std = subject.codes.double().std(0, correction=0)  # (l,)
        dead = (std < self.threshold * std.max()).double().mean().item()
        conditions = {"n": len(subject.codes), "threshold": self.threshold}
        yield Measured("example", dead, direction=None, conditions=conditions)  # or "higher", or "lower"
