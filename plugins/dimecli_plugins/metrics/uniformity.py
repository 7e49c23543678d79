"""How evenly the codes fill the sphere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.nn.potential import uniform_log_potential
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class Uniformity(Metric):
    """Log-mean pairwise Gaussian potential of the codes on the unit sphere (Wang and Isola 2020; DIME, eq. 6).

    `log mean_{i != j} exp(-t |z_i - z_j|^2)` is 0 for codes that are all the same, and at its least for
    codes that fill the sphere evenly; that value of the uniform law is given beside it. Codes that are
    not on the sphere are divided by their lengths.
    """

    t: float = Field(2.0, gt=0, le=1e6, description="Inverse width of the Gaussian; DIME's gamma, eq. 6.")

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the codes of the split's samples, and of the uniform law."""
        from dimecli.evaluation.spread import measured_potential

        potential, conditions = measured_potential(subject, self.t)
        uniform = uniform_log_potential(conditions["dimensions"], self.t)
        yield Measured("uniformity", potential, "lower", "nats", conditions)
        yield Measured("uniformity/uniform-law", uniform, unit="nats", conditions=conditions)
