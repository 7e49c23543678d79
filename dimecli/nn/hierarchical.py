"""A model with two levels of codes. Importing this module imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from dimecli.data.spec import Spec
from dimecli.distributions import StandardNormal
from dimecli.model import LatentVariableModel
from dimecli.nn.gated import gated_dense
from dimecli.nn.mixture import DiagonalMixture
from dimecli.nn.normal import DiagonalNormal
from dimecli.nn.soft_clip import soft_clip
from dimecli.nn.vamp import PseudoInputs, evaluating
from dimecli.plugin import Fitted

LOG_VARIANCES = (-6.0, 2.0)
"""Range of all log-variances. p(z1|z2) is learned, so nothing else keeps z1 from shrinking or growing."""


class ConditionalNormal(nn.Module):
    """A Gaussian whose parameters are two gated layers and a linear one away from what it is conditioned on."""

    def __init__(self, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        gated = (gated_dense(inputs, hidden), gated_dense(hidden, hidden))
        self.layers = nn.Sequential(*gated, nn.Linear(hidden, 2 * outputs))

    def forward(self, condition: torch.Tensor) -> DiagonalNormal:
        """`(B, inputs)` to `(B, outputs)` Gaussians."""
        return bounded_normal(self.layers(condition))


def bounded_normal(parameters: torch.Tensor) -> DiagonalNormal:
    """`(B, 2 l)` free numbers to a Gaussian with log-variances smoothly kept within `LOG_VARIANCES`."""
    mean, free = parameters.chunk(2, dim=1)
    middle, reach = sum(LOG_VARIANCES) / 2, (LOG_VARIANCES[1] - LOG_VARIANCES[0]) / 2
    return DiagonalNormal(mean, middle + soft_clip(free - middle, reach))


class TwoEncoders(nn.Module):
    """Two networks on the same data, their features side by side."""

    def __init__(self, upper: nn.Module, lower: nn.Module) -> None:
        super().__init__()
        self.upper = upper
        self.lower = lower

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, *shape)` to `(B, features of upper + features of lower)`."""
        return torch.cat([self.upper(x), self.lower(x)], dim=1)


@dataclass(frozen=True, eq=False)
class TwoLevelPrior:
    """`p(z1, z2) = p(z2) p(z1|z2)` of codes `[z1, z2]`."""

    upper: Fitted
    lower: ConditionalNormal
    sizes: tuple[int, int]  # of z1 and z2

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws, float32, on the generator's device."""
        z2 = self.upper.sample(n, rng)
        with torch.no_grad():
            mean, log_variance = (part.to(z2) for part in self.lower(z2.to(next(self.lower.parameters()))))
        return torch.cat([DiagonalNormal(mean, log_variance).sample(rng), z2], dim=1)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats, with gradients to codes and weights."""
        z1, z2 = z.split(self.sizes, dim=1)
        lower: DiagonalNormal = self.lower(z2.to(next(self.lower.parameters())))
        return self.upper.log_prob(z2) + DiagonalNormal(*(part.to(z) for part in lower)).log_prob(z1)

    def state(self) -> dict[str, torch.Tensor]:
        """The state of p(z2), and the weights of p(z1|z2)."""
        return {**self.upper.state(), **{name: weight.cpu() for name, weight in self.lower.state_dict().items()}}


class HierarchicalAutoencoder(LatentVariableModel):
    """`p(x, z1, z2) = p(z2) p(z1|z2) p(x|z1, z2)` with the posterior `q(z2|x) q(z1|x, z2)`; codes are `[z1, z2]`.

    Args:
        spec: What the data are.
        encoder: Its upper network gives a mean and a log-variance of each number in z2, the lower one features.
        decoder: From `(B, l)` codes, both levels.
        sizes: Of z1 and z2.
        hidden: Units of the gated layers, and features of the data that q(z1|x, z2) sees.
        components: Pseudo-inputs of a VampPrior on z2; without any its prior is N(0, I).
    """

    def __init__(
        self,
        spec: Spec,
        encoder: TwoEncoders,
        decoder: nn.Module,
        sizes: tuple[int, int],
        hidden: int,
        components: int | None,
    ) -> None:
        super().__init__(spec, encoder, decoder, sum(sizes))
        self.sizes = sizes
        self.lower_posterior = ConditionalNormal(hidden + sizes[1], sizes[0], hidden)
        self.lower_prior = ConditionalNormal(sizes[1], sizes[0], hidden)
        self.pseudo_inputs = None if components is None else PseudoInputs(spec, components)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, l)`: the mean of q(z1|x, z2) at the mean of q(z2|x), and the latter."""
        upper, features = self._encode(x)
        return torch.cat([self._lower(features, upper.mean).mean, upper.mean], dim=1)

    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw from the posterior, `(B, l)`, and its log-density, `(B,)` nats."""
        upper, features = self._encode(x)
        z2 = upper.sample(rng)
        lower = self._lower(features, z2)
        z1 = lower.sample(rng)
        return torch.cat([z1, z2], dim=1), lower.log_prob(z1) + upper.log_prob(z2)

    def prior(self) -> Fitted:
        """p(z2) p(z1|z2)."""
        return TwoLevelPrior(self._upper_prior(), self.lower_prior, self.sizes)

    def _upper_prior(self) -> Fitted:
        if self.pseudo_inputs is None:
            return StandardNormal(self.sizes[1])
        with evaluating(self.encoder):
            return DiagonalMixture(bounded_normal(self.encoder.get_submodule("upper")(self.pseudo_inputs())))

    def _encode(self, x: torch.Tensor) -> tuple[DiagonalNormal, torch.Tensor]:
        parameters = self.encoder(x)
        split = 2 * self.sizes[1]
        return bounded_normal(parameters[:, :split]), parameters[:, split:]

    def _lower(self, features: torch.Tensor, z2: torch.Tensor) -> DiagonalNormal:
        normal: DiagonalNormal = self.lower_posterior(torch.cat([features, z2], dim=1))
        return normal
