"""The base of the metrics that compare as many samples as data, point by point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dimecli.evaluation.features import Extractor, FeatureMetric, features
from dimecli.plugin import Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.lazy import torch
    from dimecli.run.run import Run


class PairMetric(FeatureMetric):
    """A metric of as many samples as data, which depends on how many these are.

    Where a dataset has no labels to train an extractor with, its pixels are the features.
    """

    def refusal(self, run: Run) -> str | None:
        """As of any metric: labels are not needed."""
        return Metric.refusal(self, run)

    def look(self, subject: Subject) -> Extractor:
        """What makes the features; where there are no labels, the values themselves."""
        unlabelled = super().refusal(subject.run) is not None
        return Extractor("values", lambda x: x.flatten(1)) if unlabelled else super().look(subject)

    def pair(self, subject: Subject) -> tuple[Extractor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """What made the features, `(n, d)` of them of data, as many of samples, and the conditions of both."""
        extractor = self.look(subject)
        data = features(subject, extractor, "data")
        samples = features(subject, extractor, "samples")[: len(data)]
        return extractor, data, samples, {**subject.sampling, "n": len(data), **extractor.conditions}
