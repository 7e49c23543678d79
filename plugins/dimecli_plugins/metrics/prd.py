"""Precision and recall of distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.errors import UserError
from dimecli.evaluation.pairs import PairMetric
from dimecli.lazy import F, np, torch
from dimecli.plugin import Measured

if TYPE_CHECKING:
    from pathlib import Path

    from dimecli.evaluation.subject import Subject

_BETA = 8.0
_ANGLES = 1001  # of the curve that is drawn


class PRD(PairMetric):
    """Precision and recall of distributions (Sajjadi et al. 2018), of features of samples against the data's.

    Both are put into clusters together; P and Q are the shares of data and of samples in each. Precision is
    `sum min(l P, Q)` and recall `sum min(P, Q / l)` for every slope l > 0, averaged over several clusterings.
    `f8` is the largest F-score of that curve that weighs recall 8 times, `f0.125` the largest that weighs
    precision so (RAE, appendix C, has both). They depend on the number of samples.
    """

    clusters: int = Field(20, ge=2, description="Clusters of k-means, k.")
    runs: int = Field(10, ge=1, description="Clusterings, over which the curves are averaged.")

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the samples.

        Raises:
            UserError: there are fewer samples than clusters.
        """
        extractor, data, samples, conditions = self.pair(subject)
        if len(data) < self.clusters:
            raise UserError(f"--clusters {self.clusters}: should be at most the number of samples, {len(data)}")
        p, q = shares(data, samples, self.clusters, self.runs, subject.rng("prd"))
        subject.files.append(_save(subject, extractor.name, p, q))
        conditions |= {"clusters": self.clusters, "runs": self.runs}
        for beta in (_BETA, 1 / _BETA):
            yield Measured(f"prd[{extractor.name}]/f{beta:g}", f_score(p, q, beta), "higher", conditions=conditions)


def shares(
    data: torch.Tensor, samples: torch.Tensor, clusters: int, runs: int, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """`(runs, clusters)`: the shares of data and of samples in every cluster of every clustering of both."""
    from sklearn.cluster import MiniBatchKMeans

    both = torch.cat([data, samples]).numpy()
    seeds = torch.randint(2**31, (runs,), generator=rng).tolist()
    labels = [MiniBatchKMeans(clusters, n_init=10, random_state=seed).fit_predict(both) for seed in seeds]
    member = F.one_hot(torch.from_numpy(np.stack(labels)).long(), clusters).double()  # (runs, n + m, clusters)
    return member[:, : len(data)].mean(1), member[:, len(data) :].mean(1)


def precision(p: torch.Tensor, q: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """`(s,)` precisions of `(s,)` slopes, averaged over the clusterings; recall is precision over the slope."""
    return torch.minimum(slopes[:, None, None] * p, q).sum(2).mean(1)


def f_score(p: torch.Tensor, q: torch.Tensor, beta: float) -> float:
    """The largest `F_b = (1 + b^2) precision recall / (b^2 precision + recall)` of the curve.

    With recall as precision over the slope l, `F_b = (1 + b^2) precision / (b^2 l + 1)`. Between two of the
    slopes `Q / P` precision is linear in l, hence F_b monotone, so that its maximum is at one of them.
    """
    slopes = (q / p)[(p > 0) & (q > 0)]
    scores = (1 + beta**2) * precision(p, q, slopes) / (beta**2 * slopes + 1)
    return min(1.0, scores.max().item()) if len(slopes) else 0.0


def _save(subject: Subject, extractor: str, p: torch.Tensor, q: torch.Tensor) -> Path:
    """Write `figures/prd-gmm.png`: the curve."""
    from dimecli.run.style import new_axes, title_of, write_figure

    density = subject.samples.conditions["density"]["name"]
    slopes = torch.linspace(0, math.pi / 2, _ANGLES + 2, dtype=torch.float64)[1:-1].tan()
    of_slopes = precision(p, q, slopes)
    title = title_of(subject.run, f"PRD [{extractor}] of samples of {density}")
    figure, axes = new_axes(title, "recall", "precision", size=(5, 5))
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axes.plot(of_slopes / slopes, of_slopes)
    return write_figure(figure, subject.run.path / "figures" / f"prd-{density}.png")
