"""How many dimensions of the codes are used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run


class ActiveUnits(Metric):
    """How many dimensions of the codes tell samples apart (Burda et al. 2016, section 5).

    Those d with `Var_x(E[z_d|x]) >= 0.05`. A posterior that has collapsed to the prior has the same mean for every x.
    The threshold is for codes with a prior of variance 1; those of deterministic encoders may have any scale.
    """

    threshold: float = Field(0.05, gt=0, description="Least variance of the posterior means of an active unit.")

    def refusal(self, run: Run) -> str | None:
        """The means of the posteriors have to be known, and a prior has to give their variances a scale."""
        from dimecli.evaluation.posterior import without_posterior
        from dimecli.model import VariationalAutoencoder

        if reason := super().refusal(run) or without_posterior(run):
            return reason
        if run.experiment.objective.latent_space == "sphere":
            return "the codes are on the sphere, where the variances of all coordinates add up to 1 at most"
        known = isinstance(run.model, VariationalAutoencoder)
        return None if known else "the means of its posteriors have no closed form"

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the codes of the split's samples, which are the means of the posteriors."""
        variances = subject.codes.double().var(0, correction=0)  # (l,)
        active = int((variances >= self.threshold).sum())
        conditions = {"n": len(subject.codes), "threshold": self.threshold}
        yield Measured("active-units", active, "higher", f"of {len(variances)}", conditions)
