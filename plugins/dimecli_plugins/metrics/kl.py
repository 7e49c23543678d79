"""How far posteriors are from the prior."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run


class KL(Metric):
    """The mean Kullback-Leibler divergence of the posteriors from the prior.

    `KL(q(z|x) || p(z))`, in closed form for Gaussian posteriors and the prior N(0, I), and for von Mises-Fisher
    posteriors and the uniform prior; else the mean of `log q(z|x) - log p(z)` at one draw z of each posterior, which
    the conditions say. It is the information of x in its code, plus the divergence of the codes of all x from the
    prior.
    """

    def refusal(self, run: Run) -> str | None:
        """Codes without a posterior have none."""
        from dimecli.evaluation.posterior import without_posterior

        return super().refusal(run) or without_posterior(run)

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the split's samples."""
        from dimecli.evaluation.posterior import kl

        divergences, exact = kl(subject.run, subject.data, subject.rng("kl", subject.run.device))
        conditions = {"n": len(divergences), "by": "closed form" if exact else "one draw"}
        yield Measured("kl", divergences.double().mean().item(), None, "nats", conditions)
