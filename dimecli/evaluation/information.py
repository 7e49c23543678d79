"""Estimates and bounds of the mutual information of data and codes, in nats. Importing this module imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from dimecli.errors import DimeError
from dimecli.nn.critic import SeparableCritic
from dimecli.nn.divergence import lower_bound
from dimecli.nn.fit import fresh_weights
from dimecli.nn.normal import DiagonalNormal
from dimecli.nn.vmf import VonMisesFisher

Bound = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From what `contrast` gives to a lower bound, a scalar."""

Scores = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From `(n, k)` data and `(m, l)` codes to the `(m, n)` scores of all pairs."""

_ROWS = 500  # codes whose scores with all data are held at once
_BATCH, _STEPS, _PASSES, _LR = 256, 1500, 100, 2e-3  # of the fit of a critic; steps and passes at most
_CHECKS, _PATIENCE = 30, 6  # how often held-out pairs are looked at, and how often in vain before it ends


def ksg(x: torch.Tensor, z: torch.Tensor, neighbours: int = 5) -> float:
    """The estimate from nearest neighbours, of `(N, k)` and `(N, l)` paired rows (Kraskov et al. 2004, eq. 8).

    `psi(k) + psi(N) - <psi(n_x + 1) + psi(n_z + 1)>` with n the rows that are strictly nearer in x, or in z,
    than the k-th neighbour is in both; the distance is the largest difference of the columns, each
    scaled to a variance of 1. In more than a few dimensions it says far too little: 2.3 of 8.2 nats for
    4,000 pairs of Gaussians of 16.
    """
    apart = [torch.cdist(rows, rows, p=math.inf) for rows in map(_scaled, (x, z))]
    radius = torch.maximum(*apart).kthvalue(neighbours + 1).values[:, None]  # a row is its own nearest
    counts = torch.stack([(distances < radius).sum(1) for distances in apart])  # n + 1, with the row itself
    known = torch.tensor([neighbours, len(x)], dtype=torch.float64).digamma().sum()
    return (known - counts.double().digamma().mean(1).sum()).item()


def _scaled(rows: torch.Tensor) -> torch.Tensor:
    std = rows.std(0)
    return rows[:, std > 0] / std[std > 0]


def contrast(scores: Callable[[torch.Tensor], torch.Tensor], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`(N,)` scores of every code with its own x, and the logarithms of the summed exponentials of all its others.

    Args:
        scores: From `(m,)` indices of codes to their `(m, N)` scores with all data.
        count: N.
    """
    own, others = [], []
    for rows in torch.arange(count).split(_ROWS):
        block = scores(rows)
        diagonal = torch.arange(len(rows)), rows
        own.append(block[diagonal])
        block[diagonal] = -math.inf
        others.append(block.logsumexp(1))
    return torch.cat(own).double(), torch.cat(others).double()


def info_nce(own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """`mean_i s(x_i, z_i) - log mean_j exp s(x_j, z_i)`, at most log N (van den Oord et al. 2018, eq. 4)."""
    return (own - torch.logaddexp(own, others)).mean() + math.log(len(own))


def donsker_varadhan(own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """`mean_i s(x_i, z_i) - log mean_{i != j} exp s(x_j, z_i)` (InfoMax-VAE, eq. 12; Belghazi et al. 2018)."""
    return lower_bound("kl-dv", own, others - math.log(len(own) - 1))


def f_dual(own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """`mean_i s(x_i, z_i) - mean_{i != j} exp(s(x_j, z_i) - 1)` (InfoMax-VAE, eq. 6), at most `donsker_varadhan`."""
    return lower_bound("kl-f", own, others - math.log(len(own) - 1))


def population_bound(posterior: DiagonalNormal | VonMisesFisher, z: torch.Tensor) -> float:
    """`mean_i log q(z_i|x_i) - log 1/N sum_n q(z_i|x_n)` for z_i of q(z|x_i): `info_nce` with the best critic there is.

    In expectation it is at most the mutual information, and it is at most log N (Poole et al. 2019).
    """
    return info_nce(*contrast(lambda rows: posterior.log_probs(z[rows]), len(z))).item()


def calibrated(critic: Scores, x: torch.Tensor, z: torch.Tensor) -> Scores:
    """The critic, moved by the constant with which `f_dual` is largest on these pairs, and there `donsker_varadhan`."""
    with torch.no_grad():
        _, others = contrast(lambda rows: critic(x, z[rows]), len(z))
    shift = 1 + math.log(len(z) * (len(z) - 1)) - others.logsumexp(0).item()
    return lambda x, z: critic(x, z) + shift


def critic_bound(bound: Bound, critic: Scores, x: torch.Tensor, z: torch.Tensor) -> float:
    """The bound of a critic on `(N, k)` data and `(N, l)` codes, which it must not have been fitted to."""
    with torch.no_grad():
        return _bound_of(bound, critic, x, z).item()


def _bound_of(bound: Bound, critic: Scores, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return bound(*contrast(lambda rows: critic(x, z[rows]), len(z)))


def fit_critic(bound: Bound, x: torch.Tensor, z: torch.Tensor, rng: torch.Generator) -> SeparableCritic:
    """A critic that Adam makes the bound of `(N, k)` data and `(N, l)` codes large with, N >= 20.

    A tenth of the pairs are held out: the weights that are best on them are kept, and the fit ends when
    they got no better for long.

    Raises:
        DimeError: no bound on the held-out pairs was finite.
    """
    order = torch.randperm(len(x), generator=rng)
    held_out, train = order.tensor_split([len(x) // 10])
    with fresh_weights(rng):
        critic = SeparableCritic(x[train], z[train])
    steps = min(_STEPS, _PASSES * math.ceil(len(train) / _BATCH))
    optimizer = torch.optim.Adam(critic.parameters(), _LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, weights, in_vain = -math.inf, {}, 0
    for step in range(1, steps + 1):
        rows = train[torch.randperm(len(train), generator=rng)[:_BATCH]]
        (-_bound_of(bound, critic, x[rows], z[rows])).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % (steps // _CHECKS):
            continue
        value = critic_bound(bound, critic, x[held_out], z[held_out])
        if value > best:
            best, in_vain = value, 0
            weights = {name: weight.clone() for name, weight in critic.state_dict().items()}
        elif (in_vain := in_vain + 1) == _PATIENCE:
            break
    if not weights:
        raise DimeError("the fit of a critic diverged; codes or data may be too large")
    critic.load_state_dict(weights)
    return critic.requires_grad_(False)
