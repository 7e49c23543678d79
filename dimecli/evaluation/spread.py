"""How far codes are spread over the unit sphere, which several metrics look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from dimecli.errors import DimeError, UserError
from dimecli.nn.potential import log_potential

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


def measured_potential(subject: Subject, t: float) -> tuple[float, dict[str, Any]]:
    """`log mean_{i != j} exp(-t |z_i - z_j|^2)` in nats (DIME, eq. 6), and the conditions of a number made of it.

    The z are the directions of the codes: on the sphere the codes themselves, elsewhere divided by their
    lengths. All in float64.

    Raises:
        UserError: there are no two codes.
        DimeError: a code is zero.
    """
    codes = subject.codes.double()
    if len(codes) < 2:
        raise UserError(f"-n {subject.n}: spread needs 2 samples of {subject.split}, got {len(codes)}")
    lengths = torch.linalg.vector_norm(codes, dim=1, keepdim=True)
    if (lengths == 0).any():
        raise DimeError(f"{int((lengths == 0).sum())} of {len(codes)} codes are zero, which have no direction")
    conditions = {
        "n": len(codes),
        "t": t,
        "dimensions": codes.shape[1],
    }
    return subject.shared(f"potential at t = {t}", lambda: log_potential(codes / lengths, t).item()), conditions
