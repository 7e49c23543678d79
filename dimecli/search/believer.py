"""Log expected improvement, and a batch by the kriging believer with updates of rank one."""

from __future__ import annotations

import math

import torch

from dimecli.search.surrogate import Joint

_TAIL = -100.0  # below it the closed form cancels in float64, and the asymptotic series has converged


def log_ei(mean: torch.Tensor, std: torch.Tensor, best: torch.Tensor | float) -> torch.Tensor:
    """Logarithm of the expected improvement `E max(f - best, 0)`, f normal, right far below `best` too.

    `log std + log(phi(u) + u Phi(u))`, u = (mean - best) / std (Ament et al., 2023). It is
    differentiable, and its gradient does not vanish.

    Args:
        mean: Means, of any shape.
        std: Standard deviations, above 0.
        best: What is to be improved upon.
    """
    u = (mean - best) / std
    body = u.clamp(min=-1)
    middle = u.clamp(_TAIL, -1)
    tail = u.clamp(max=_TAIL)
    log_near = (_density(body) + body * torch.special.ndtr(body)).log()
    log_far = (
        _log_density(middle) + (1 + math.sqrt(math.pi / 2) * middle * torch.special.erfcx(-middle / math.sqrt(2))).log()
    )
    v = tail.square().reciprocal()
    log_tail = _log_density(tail) + v.log() + (1 - v * (3 - v * (15 - 105 * v))).log()
    return std.log() + torch.where(u > -1, log_near, torch.where(u > _TAIL, log_far, log_tail))


def choose(joint: Joint, noise: float, best: float, n: int) -> torch.Tensor:
    """`(min(n, m),)` indices of points to evaluate together, in the order in which they were chosen.

    The kriging believer (Ginsbourger et al., 2010): the point of the largest `log_ei` is believed to
    have the value of its mean, and so on. Such a value leaves all means as they are, and takes from the
    covariance a matrix of rank one. It counts as the best where it is better.

    Args:
        joint: The posterior at m points.
        noise: Variance of the noise of an evaluation.
        best: What is to be improved upon.
        n: How many points to choose.
    """
    mean, variance = joint.mean, joint.variance.clone()
    floor = 1e-12 * variance.max()
    free = torch.zeros_like(mean)  # minus infinity where chosen
    n = min(n, len(mean))
    updates = mean.new_zeros(n, len(mean))  # U: the covariance is that of `joint` less U^T U
    chosen: list[int] = []
    for k in range(n):
        j = int((log_ei(mean, variance.clamp(min=floor).sqrt(), best) + free).argmax())
        column = joint.column(j) - updates[:k, j] @ updates[:k]
        updates[k] = column / (variance[j] + noise).sqrt()
        variance -= updates[k].square()
        best = max(best, mean[j].item())
        free[j] = -math.inf
        chosen.append(j)
    return torch.tensor(chosen, dtype=torch.long)


def _log_density(u: torch.Tensor) -> torch.Tensor:
    return -0.5 * u.square() - 0.5 * math.log(2 * math.pi)


def _density(u: torch.Tensor) -> torch.Tensor:
    return _log_density(u).exp()
