"""Mixtures of Gaussians as encoders give them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from dimecli.lazy import torch
from dimecli.nn.normal import DiagonalNormal

_ROWS = 1024  # codes whose densities under all components are computed at once


@dataclass(frozen=True, eq=False)
class DiagonalMixture:
    """`mean_k N(mean_k, diag exp(log_variance_k))`: K Gaussians of equal weight."""

    components: DiagonalNormal  # of (K, l) parameters
    temperature: float = 1.0

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws, float32, on the generator's device, each of a component drawn anew."""
        chosen = torch.randint(len(self.components.mean), (n,), generator=rng, device=rng.device)
        mean, log_variance = (parameter.detach().to(rng.device, torch.float32)[chosen] for parameter in self.components)
        return DiagonalNormal(mean, log_variance + 2 * math.log(self.temperature)).sample(rng)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats, with gradients to codes and parameters."""
        there = DiagonalNormal(*(parameter.to(z) for parameter in self.components))
        components = [there.log_prob(rows[:, None]) for rows in z.split(_ROWS)]  # each (rows, K)
        return torch.cat(components).logsumexp(1) - math.log(len(self.components.mean))

    def state(self) -> dict[str, torch.Tensor]:
        """`mean` and `log_variance`, (K, l)."""
        return {name: parameter.detach().cpu() for name, parameter in self.components._asdict().items()}

    def tempered(self, temperature: float) -> DiagonalMixture:
        """The same mixture that draws from components with standard deviations times `temperature`."""
        return replace(self, temperature=temperature)
