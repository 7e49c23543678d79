"""The Fréchet Inception distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.evaluation.inception import InceptionMetric
from dimecli.plugin import Measured

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class FID(InceptionMetric):
    """Fréchet Inception distance of samples, reconstructions and interpolations to the test data.

    `|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))` of means and covariances of 2048 features of the Inception network
    of 2015 (Heusel et al. 2017, eq. 6), without antialiasing. Usual are 10,000 samples: minutes on a GPU, hours on
    a CPU. Reconstructions, and midpoints of arcs between pairs of codes, are of the validation split, as in
    Table 1 of RAE. The floor is the distance of training images, as many as samples were asked for.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of samples, reconstructions, interpolations, and of training data."""
        from dimecli.evaluation.distances import frechet_distances

        yield from frechet_distances("fid", subject, self.look(subject))
