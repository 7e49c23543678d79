"""How many dimensions the codes use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.errors import DimeError, UserError
from dimecli.lazy import torch
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class ParticipationRatio(Metric):
    """Number of dimensions that the codes use: `(sum_i lambda_i)^2 / sum_i lambda_i^2` of their covariance.

    The lambda are its eigenvalues. 1 where the codes lie on a line; the dimension of the latent space where
    they vary as much in every direction.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the codes of the split's samples."""
        codes = subject.codes.double()
        n, size = codes.shape
        if n < 2:
            raise UserError(f"-n {subject.n}: a covariance needs 2 samples of {subject.split}, got {n}")
        covariance = torch.cov(codes.T).reshape(size, size)  # of one dimension it is a scalar
        if not covariance.any():
            raise DimeError(f"all {n} codes are the same")
        ratio = covariance.trace() ** 2 / covariance.square().sum()  # the sums of its eigenvalues and of their squares
        yield Measured("participation-ratio", ratio.item(), unit=f"of {size}", conditions={"n": n})
