"""The kernel Inception distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.evaluation.inception import InceptionMetric
from dimecli.plugin import Measured

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class KID(InceptionMetric):
    """Kernel Inception distance of samples, reconstructions and interpolations to the test data.

    The unbiased MMD^2 of the features of `fid`, of which its help tells more, under `k(x, y) = (x . y / d + 1)^3`
    (Bińkowski et al. 2018, section 4). Being unbiased, it may be negative near zero.
    """

    subsets: int = Field(100, ge=1, description="Random subsets that the distance is a mean over.")
    subset_size: int = Field(1000, ge=2, description="Samples in a subset; all, where there are fewer.")

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of samples, reconstructions, interpolations, and of training data."""
        from dimecli.evaluation.distances import kernel_distances

        yield from kernel_distances("kid", subject, self.look(subject), self.subsets, self.subset_size)
