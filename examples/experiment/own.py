"""Two plugins in a loose file: nothing to install, `--plugin own.py` or `files = ["own.py"]` loads them.

Each is called after its class: `Decorrelated` is `decorrelated`, `CodeCorrelation` is `code-correlation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from dimecli.distributed import gather
from dimecli.lazy import torch
from dimecli.plugin import Loss, Measured, Metric, Objective

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.model import Autoencoder


class Decorrelated(Objective):
    """Codes whose dimensions are uncorrelated, with variance 1 each.

    Minimises `-log p(x|z) + lambda sum_ij (C - I)_ij^2` with C the covariance of the codes of the batch.
    """

    lam: float = Field(0.1, ge=0, validation_alias="lambda", description="Weight lambda of the second term.")

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Both terms; the covariance is that of the whole batch, over all processes."""
        z = model.encode(x)  # (B, l)
        everywhere = gather(z)
        centred = everywhere - everywhere.mean(0)
        covariance = centred.T @ centred / len(centred)  # (l, l)
        excess = (covariance - torch.eye(len(covariance)).to(z)).square().sum()
        return Loss(reconstruction=self.reconstruction(model, x, z), covariance=self.lam * excess)


class CodeCorrelation(Metric):
    """How much the dimensions of the codes depend on each other linearly: their mean absolute correlation.

    0 where all pairs of dimensions are uncorrelated, 1 where each follows from any other. A dimension that
    is the same for all codes counts as uncorrelated.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the codes of the split's samples."""
        codes = subject.codes.double()
        n, size = codes.shape
        std = codes.std(0, correction=0)
        scaled = (codes - codes.mean(0)) / std.where(std > 0, 1.0)
        correlation = scaled.T @ scaled / n  # (l, l)
        pairs = torch.ones(size, size).triu(1).bool()
        value = correlation[pairs].abs().mean().item() if pairs.any() else 0.0
        yield Measured("code-correlation", value, conditions={"n": n})
