"""Networks that score codes, alone or with the data they are of. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from dimecli.data.spec import Spec
from dimecli.nn.dense import dense
from dimecli.nn.sequence import OneHot
from dimecli.nn.soft_clip import soft_clip


def score_network(inputs: int, widths: Sequence[int]) -> nn.Sequential:
    """Fully connected layers, a ReLU after each of `widths`, from `(B, inputs)` to `(B,)` scores."""
    return nn.Sequential(dense((inputs, *widths, 1), nn.ReLU), nn.Flatten(0))


class Critic(nn.Module):
    """Scores pairs of data and codes; sentences are one-hot weights to it.

    Scores are kept within +-`clip` smoothly, so that the exponential of one cannot overflow.
    """

    def __init__(self, spec: Spec, latent_size: int, widths: Sequence[int], clip: float) -> None:
        super().__init__()
        self.numbers: nn.Module = nn.Identity()
        inputs = spec.elements + latent_size
        if spec.modality == "sentence":
            steps, symbols = spec.likelihood.parameters(spec.shape)
            self.numbers = OneHot(symbols)
            inputs = steps * symbols + latent_size
        self.scores = score_network(inputs, widths)
        self.clip = clip

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """`(B,)` scores of `(B, *shape)` data and `(B, l)` codes."""
        scores: torch.Tensor = self.scores(torch.cat([self.numbers(x).flatten(1), z], dim=1))
        return soft_clip(scores, self.clip)


class SeparableCritic(nn.Module):
    """Scores `f(x) . g(z)` of every pair of data and codes, for the price of two small networks and one product.

    Both are vectors, standardised by the means and deviations of those that the critic is made with.
    """

    def __init__(self, x: torch.Tensor, z: torch.Tensor, hidden: int = 128, features: int = 32) -> None:
        super().__init__()
        self.of_data, self.of_codes = (
            nn.Sequential(Standardise(like), dense((like.shape[1], hidden, features), nn.ReLU)).to(like)
            for like in (x, z)
        )

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """`(m, n)` scores of each of `(m, l)` codes with every one of `(n, k)` data."""
        scores: torch.Tensor = self.of_codes(z) @ self.of_data(x).T
        return scores


class Standardise(nn.Module):
    """Columns less their means in `(N, k)` rows, over their standard deviations there; constant ones become 0."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", rows.mean(0))
        std = rows.std(0, correction=0)
        self.register_buffer("std", torch.where(std > 0, std, torch.inf))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """`(B, k)` to `(B, k)`."""
        return (rows - self.mean) / self.std
