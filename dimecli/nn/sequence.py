"""Convolutional encoders and recurrent decoders for sentences of one length. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import nn

from dimecli.nn.init import he_normal


class OneHot(nn.Module):
    """Ids as one-hot weights over V symbols. Weights stay as they are, so that inputs may have gradients."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.rows: torch.Tensor
        self.register_buffer("rows", torch.eye(symbols), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(...)` ids of any integer type, or `(..., V)` weights, to `(..., V)` weights."""
        return x if x.is_floating_point() else self.rows[x.long()]


class Transpose(nn.Module):
    """Swaps steps and channels, which convolutions want in the other order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, C)` to `(B, C, T)`."""
        return x.transpose(1, 2)


def conv_encoder(
    steps: int, symbols: int, features: int, channels: Sequence[int], kernels: Sequence[int], dense: int
) -> nn.Sequential:
    """GrammarVAE's encoder, from `(B, T)` ids or `(B, T, V)` weights to `(B, features)`.

    Convolutions without padding, each with a ReLU and then a batch norm, a hidden layer of `dense`
    units and a linear one. A kernel is never wider than the steps that are left.
    """
    layers: list[nn.Module] = [OneHot(symbols), Transpose()]
    before = symbols
    for after, kernel in zip(channels, kernels, strict=True):
        kernel = min(kernel, steps)
        layers += [he_normal(nn.Conv1d(before, after, kernel)), nn.ReLU(), nn.BatchNorm1d(after)]
        before, steps = after, steps - kernel + 1
    hidden = he_normal(nn.Linear(before * steps, dense))
    return nn.Sequential(*layers, nn.Flatten(), hidden, nn.ReLU(), nn.Linear(dense, features))


class Steps(nn.Module):
    """Where a decoder starts from: at each step a position, and a linear map of the code of its own."""

    def __init__(self, latent_size: int, steps: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_size, steps * width)
        self.width = width
        nn.init.normal_(self.linear.bias)  # the positions, which have to tell the steps apart from the first on

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """`(B, latent_size)` to `(B, T, width)`."""
        steps: torch.Tensor = self.linear(z).unflatten(1, (-1, self.width))
        return steps


class Repeat(nn.Module):
    """GrammarVAE's start of a decoder: a hidden layer of the code, normalised over the batch, the same at each step."""

    def __init__(self, latent_size: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.hidden = nn.Sequential(
            nn.BatchNorm1d(latent_size), he_normal(nn.Linear(latent_size, latent_size)), nn.ReLU()
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """`(B, latent_size)` to `(B, T, latent_size)`."""
        hidden: torch.Tensor = self.hidden(z)
        return hidden[:, None].expand(-1, self.steps, -1)


class GruDecoder(nn.Module):
    """GrammarVAE's decoder: recurrent layers over the steps, and a linear one; no symbol is fed back.

    `start` makes `(B, T, inputs)` of the codes.
    """

    def __init__(self, start: nn.Module, inputs: int, symbols: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.start = start
        self.gru = nn.GRU(inputs, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, symbols)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """`(B, latent_size)` codes to `(B, T, V)` logits of all steps at once."""
        logits: torch.Tensor = self.output(self._recurrent(self.start(z)))
        return logits

    def _recurrent(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, inputs)` through the recurrent layers."""
        # outside of training cuDNN has no backward pass
        lacking = x.is_cuda and not self.training and torch.is_grad_enabled()
        with torch.backends.cudnn.flags(enabled=False) if lacking else nullcontext():
            states: torch.Tensor = self.gru(x)[0]
        return states
