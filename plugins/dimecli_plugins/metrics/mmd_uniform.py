"""The distance of the codes from the uniform law on the sphere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.nn.potential import uniform_log_potential
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class MMDUniform(Metric):
    """Squared maximum mean discrepancy of the codes and the uniform law on the unit sphere (DIME, Theorem 3).

    `MMD^2 = mean_{i != j} exp(-t |z_i - z_j|^2) - a(t, l)`, where a, in closed form, is the mean of the
    same kernel under the uniform law. The estimate has no bias: for codes that are uniform it scatters
    about 0, and is negative about half of the time. Codes that are not on the sphere are divided by
    their lengths.
    """

    t: float = Field(2.0, gt=0, le=1e6, description="Inverse width of the kernel, 1/(2 sigma^2) in DIME's Theorem 3.")

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the codes of the split's samples."""
        from dimecli.evaluation.spread import measured_potential

        potential, conditions = measured_potential(subject, self.t)
        n, size = conditions["n"], conditions["dimensions"]
        a, a_of_square = (math.exp(uniform_log_potential(size, t)) for t in (self.t, 2 * self.t))
        # of the uniform law a U-statistic that is degenerate: kernels of different pairs are uncorrelated
        deviation = math.sqrt(2 * max(a_of_square - a**2, 0) / (n * (n - 1)))
        remark = f"{n} uniform codes would give 0 with a standard deviation of {deviation:.2g}; negative is no mistake"
        yield Measured("mmd-uniform", math.exp(potential) - a, "lower", conditions=conditions, remark=remark)
