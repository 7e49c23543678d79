"""The Fréchet distance in the features of a classifier of the same dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.evaluation.features import FeatureMetric
from dimecli.plugin import Measured

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class FD(FeatureMetric):
    """Fréchet distance between features of the test data and of samples, reconstructions and interpolations.

    `|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))` of means and covariances, as the FID (Heusel et al. 2017, eq. 6),
    but not in the features of Inception: in 64 of a small classifier that is trained on the same dataset, or in
    the values of vectors. It is no FID, and two numbers compare only under one extractor, which the name has.
    Reconstructions, and midpoints of arcs between pairs of codes, are of the validation split, as in Table 1
    of RAE. The floor is the distance of training images, as many as samples were asked for.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of samples, reconstructions, interpolations, and of training data."""
        from dimecli.evaluation.distances import frechet_distances

        yield from frechet_distances("fd", subject, self.look(subject))
