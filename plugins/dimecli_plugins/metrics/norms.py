"""How long the codes are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.lazy import torch
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class Norms(Metric):
    """Lengths of the codes: their mean and standard deviation, and the length of the mean code.

    Codes of N(0, I) in l dimensions have a mean length near `sqrt(l)`; on the unit sphere all have 1, and
    the mean code of n codes that fill it evenly a length near `1 / sqrt(n)`.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the codes of the split's samples."""
        codes = subject.codes.double()
        lengths = torch.linalg.vector_norm(codes, dim=1)
        conditions = {"n": len(codes)}
        yield Measured("norms/mean", lengths.mean().item(), conditions=conditions)
        yield Measured("norms/std", lengths.std(correction=0).item(), conditions=conditions)
        yield Measured("norms/of-mean-code", codes.mean(0).norm().item(), conditions=conditions)
