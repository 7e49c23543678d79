"""Precision, recall, density and coverage by nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.errors import UserError
from dimecli.evaluation.pairs import PairMetric
from dimecli.lazy import torch
from dimecli.plugin import Measured

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject

_ROWS = 500  # of the distances that are in memory


class PrecisionRecall(PairMetric):
    """Improved precision and recall, density and coverage, of features of samples against the data's.

    The ball of a point reaches to the k-th nearest other point of its own set. `precision` is the share of the
    samples in the ball of any data point, `recall` the share of the data in the ball of any sample
    (Kynkäänniemi et al. 2019, eqs. 1-2). `density` counts for each sample the balls of data around it, over k,
    and may exceed 1; `coverage` is the share of the data whose ball has a sample in it (Naeem et al. 2020).
    All depend on the number of samples.
    """

    neighbours: int = Field(5, ge=1, description="Which nearest neighbour a ball reaches to, k.")

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the samples.

        Raises:
            UserError: there are too few samples for k neighbours.
        """
        extractor, data, samples, conditions = self.pair(subject)
        if self.neighbours >= len(data):
            raise UserError(f"--neighbours {self.neighbours}: should be less than the number of samples, {len(data)}")
        conditions |= {"neighbours": self.neighbours}
        for part, value in by_neighbours(data, samples, self.neighbours).items():
            yield Measured(f"precision-recall[{extractor.name}]/{part}", value, "higher", conditions=conditions)


def by_neighbours(data: torch.Tensor, samples: torch.Tensor, k: int) -> dict[str, float]:
    """What `PrecisionRecall` says, of `(n, d)` features of data and `(m, d)` of samples; more than k of each."""
    center = data.double().mean(0)  # the nearer to zero, the more exact are products of matrices
    data, samples = data.double() - center, samples.double() - center
    of_data, of_samples = _radii(data, k), _radii(samples, k)
    recalled = torch.zeros(len(data), dtype=torch.bool)
    covered, balls, precise = recalled.clone(), 0, 0
    for some, radii in zip(samples.split(_ROWS), of_samples.split(_ROWS), strict=True):
        distances = torch.cdist(some, data)
        within = distances <= of_data
        precise += int(within.any(1).sum())
        balls += int(within.count_nonzero())
        covered |= within.any(0)
        recalled |= (distances <= radii[:, None]).any(0)
    return {
        "precision": precise / len(samples),
        "recall": recalled.double().mean().item(),
        "density": balls / (k * len(samples)),
        "coverage": covered.double().mean().item(),
    }


def _radii(points: torch.Tensor, k: int) -> torch.Tensor:
    """`(n,)` distances of `(n, d)` points to the k-th nearest other one."""
    nearest = (torch.cdist(some, points).topk(k + 1, largest=False).values for some in points.split(_ROWS))
    return torch.cat([distances[:, k] for distances in nearest])  # the first is the point itself
