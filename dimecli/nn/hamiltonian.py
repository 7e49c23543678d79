"""Hamiltonian dynamics of codes, and the model that uses them. Importing this module imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.data.spec import Spec
from dimecli.model import LatentVariableModel
from dimecli.nn.normal import DiagonalNormal
from dimecli.nn.second_order import second_derivatives

Tempering = Literal["fixed", "free", "none"]
Potential = Callable[[torch.Tensor], torch.Tensor]

LARGEST_STEP = 0.5
_FIRST_TEMPERATURE = 1.5
_FIRST_FACTOR = 0.9


def gradient(potential: Potential, z: torch.Tensor, differentiable: bool) -> torch.Tensor:
    """`(B, l)`: the gradient at z of a potential that gives `(B,)` nats; it may have gradients itself."""
    z = z if differentiable else z.detach().requires_grad_()
    value: torch.Tensor = torch.autograd.grad(potential(z).sum(), z, create_graph=differentiable)[0]
    return value


def leapfrog(
    potential: Potential,
    z: torch.Tensor,
    momentum: torch.Tensor,
    step: torch.Tensor,
    factors: torch.Tensor,
    differentiable: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions and momenta, `(B, l)`, after as many leapfrog steps as there are tempering factors.

    A step kicks the momentum by half a step of the force, moves the position by the new momentum,
    kicks it by the force there, and multiplies it by its factor. All but the factors conserve volume.

    Args:
        potential: From `(B, l)` codes to `(B,)` nats.
        z: Where it starts; gradients have to be on for it.
        momentum: What it starts with.
        step: `(l,)` step sizes.
        factors: `(K,)` tempering factors.
        differentiable: Let gradients pass through the forces; without, no graph is kept.
    """
    force = -gradient(potential, z, differentiable)
    for factor in factors:
        momentum = momentum + step / 2 * force
        z = z + step * momentum
        force = -gradient(potential, z, differentiable)
        momentum = factor * (momentum + step / 2 * force)
    return z, momentum


class Schedule(nn.Module):
    """The learned step sizes and temperatures of the dynamics.

    Args:
        latent_size: Dimension l; each has a step size of its own.
        steps: Number of leapfrog steps, K.
        first_step: Step size to begin with.
        tempering: `fixed` cools quadratically from a learned temperature, `free` learns the factor of
            every step, `none` starts at temperature 1.
    """

    def __init__(self, latent_size: int, steps: int, first_step: float, tempering: Tempering) -> None:
        super().__init__()
        self.steps, self.tempering = steps, tempering
        self.raw_step = nn.Parameter(torch.full((latent_size,), _logit(first_step / LARGEST_STEP)))
        if tempering == "fixed":
            self.raw_temperature = nn.Parameter(torch.tensor(math.log(math.expm1(_FIRST_TEMPERATURE - 1))))
        elif tempering == "free":
            self.raw_factors = nn.Parameter(torch.full((steps,), _logit(_FIRST_FACTOR)))

    @property
    def step(self) -> torch.Tensor:
        """`(l,)` step sizes, between 0 and `LARGEST_STEP`."""
        return LARGEST_STEP * torch.sigmoid(self.raw_step)

    @property
    def factors(self) -> torch.Tensor:
        """`(K,)` factors of the momentum; the square of their product is 1 / T_0, the last temperature is 1."""
        if self.tempering == "free":
            return torch.sigmoid(self.raw_factors)
        if self.tempering == "none":
            return torch.ones(self.steps, dtype=self.raw_step.dtype, device=self.raw_step.device)
        first = 1 + F.softplus(self.raw_temperature)
        share = torch.arange(self.steps + 1, dtype=first.dtype, device=first.device) / self.steps
        temperatures = first + (1 - first) * share.square()  # (K + 1,)
        return (temperatures[1:] / temperatures[:-1]).sqrt()

    @property
    def temperature(self) -> torch.Tensor:
        """T_0, the variance of the first momenta."""
        return self.factors.prod().pow(-2)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


class HamiltonianModel(LatentVariableModel):
    """Draws from a Gaussian moved by Hamiltonian dynamics towards where `nll / weight + |z|^2 / 2` is small.

    Args:
        spec: Of the data.
        encoder: Gives `(B, 2 l)` features: mean and log-variance.
        decoder: Gives the likelihood's parameters.
        schedule: Step sizes and temperatures.
        weight: Of the divergence against the negative log-likelihood in the loss.
    """

    def __init__(self, spec: Spec, encoder: nn.Module, decoder: nn.Module, schedule: Schedule, weight: float) -> None:
        super().__init__(spec, encoder, decoder, len(schedule.raw_step))
        self.schedule = schedule
        self.weight = weight

    def start(self, x: torch.Tensor) -> DiagonalNormal:
        """The Gaussian that the dynamics start from."""
        return DiagonalNormal.from_features(self.encoder(x))

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # what is compiled has no second derivatives
    def move(self, x: torch.Tensor, z: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The `(B, l)` position and momentum that the dynamics of x end with; gradients pass through, if they are on.

        Args:
            x: The data.
            z: `(B, l)` first positions.
            noise: `(B, l)` first momenta over the root of the first temperature.
        """
        wanted = torch.is_grad_enabled()

        def potential(z: torch.Tensor) -> torch.Tensor:
            return self.nll(x, z) / self.weight + 0.5 * z.square().sum(1)

        with second_derivatives(self.decoder):
            if not z.requires_grad:
                z = z.detach().requires_grad_()
            momentum = self.schedule.temperature.sqrt() * noise
            z, momentum = leapfrog(potential, z, momentum, self.schedule.step, self.schedule.factors, wanted)
        return (z, momentum) if wanted else (z.detach(), momentum.detach())

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)`: where the dynamics take the mean of the first Gaussian from rest."""
        mean = self.start(x).mean
        code: torch.Tensor = self.move(x, mean, torch.zeros_like(mean))[0]
        return code

    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw z from the posterior, `(B, l)`, and an estimate of its log-density, `(B,)` nats.

        That is `log q(z, p|x) - log N(p)` with the last momentum p, because the integral over p has no
        closed form. The exponential of its negative is unbiased for 1 / q(z|x), so that `log_weight` is
        the weight of the pair (z, p), and `log_prob` rises to log p(x).
        """
        start = self.start(x)
        first = start.sample(rng)
        noise = torch.randn(first.shape, generator=rng, device=first.device, dtype=first.dtype)
        z, momentum = self.move(x, first, noise)
        # log N(noise) is sqrt(T_0)^l times the density of the first momentum; the factors' Jacobian cancels that
        return z, start.log_prob(first) + 0.5 * (momentum.square() - noise.square()).sum(1)
