"""The evidence lower bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run


class ELBO(Metric):
    """The evidence lower bound of the log-likelihood of the data.

    The mean of `log p(x|z) + log p(z) - log q(z|x)` at a draw z of each posterior, with all constants of the
    likelihood, and without the weights of the objective, such as `beta`. A density of pixels and probabilities of
    their levels do not compare, so the conditions name the likelihood.
    """

    def refusal(self, run: Run) -> str | None:
        """Codes without a posterior have none."""
        from dimecli.evaluation.posterior import without_posterior

        return super().refusal(run) or without_posterior(run)

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the split's samples."""
        from dimecli.evaluation.posterior import elbo

        bounds = elbo(subject.run, subject.data, subject.rng("elbo", subject.run.device))
        conditions = {"n": len(bounds), "draws": 1, "likelihood": subject.run.model.spec.likelihood.name}
        yield Measured("elbo", bounds.double().mean().item(), "higher", "nats", conditions)
