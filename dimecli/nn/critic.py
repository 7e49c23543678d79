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
