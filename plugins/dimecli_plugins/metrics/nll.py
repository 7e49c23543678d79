"""The likelihood of data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run


class NLL(Metric):
    """The mean negative log-likelihood of the data, by importance sampling (Burda et al. 2016, eq. 8).

    `log p(x)` is estimated by `log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x)` with draws z_k from q. In expectation that
    is an upper bound, which falls with the number of draws K; published numbers have 500 to 5,000. It takes K
    decodings of every sample, so it is of some of them, the same for all runs on the same data.

    In nats, and for data that are no sentences in bits per dimension: nats over the number of elements and log 2.
    Where the likelihood is a density, such as `gaussian`, of pixels in [0, 1], that of levels 0 to 255 has 8 bits
    more in each dimension.
    """

    draws: int = Field(500, ge=1, description="Draws K from the posterior of every sample.")
    images: int = Field(40, ge=2, description="Samples that it is of; all, where there are fewer.")

    def refusal(self, run: Run) -> str | None:
        """Codes without a posterior have nothing to draw from."""
        from dimecli.evaluation.posterior import without_posterior

        return super().refusal(run) or without_posterior(run)

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of some of the split's samples."""
        from dimecli.evaluation.posterior import nll
        from dimecli.run.reconstruct import choose, observed

        run, spec = subject.run, subject.run.model.spec
        few = choose(len(run.samples(subject.split)), min(subject.n, self.images), subject.seed)
        x = observed(run, subject.split, few, subject.seed)  # the same ones, however many the others are of
        nats = nll(run, x, subject.rng("nll", subject.run.device), self.draws)
        conditions = {"n": len(x), "draws": self.draws, "likelihood": spec.likelihood.name}
        error = nats.std(correction=0).item() / math.sqrt(len(x))
        remark = f"In expectation an upper bound; the standard error over the samples is {error:.2g} nats."
        yield Measured("nll", nats.mean().item(), "lower", "nats", conditions, remark)
        if spec.modality != "sentence":
            bits = nats.mean().item() / (spec.elements * math.log(2))
            yield Measured("nll/bits-per-dimension", bits, "lower", "bits", conditions)
