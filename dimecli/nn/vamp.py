"""The variational mixture of posteriors as a prior. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from dimecli.data.spec import Spec
from dimecli.model import VariationalAutoencoder
from dimecli.nn.mixture import DiagonalMixture


class PseudoInputs(nn.Module):
    """K learned inputs of an encoder: pixels in [0, 1], free vectors, or weights over the symbols of sentences."""

    def __init__(self, spec: Spec, count: int) -> None:
        super().__init__()
        self.squash: nn.Module = nn.Identity()
        if spec.modality == "sentence":
            self.squash = nn.Softmax(dim=-1)
            free = torch.randn(count, *spec.likelihood.parameters(spec.shape))
        elif spec.modality == "image":
            self.squash = nn.Hardtanh(0, 1)
            free = torch.rand(count, *spec.shape)
        else:
            free = torch.randn(count, *spec.shape)
        self.free = nn.Parameter(free)

    def forward(self) -> torch.Tensor:
        """`(K, *shape)` data, or `(K, T, V)` weights."""
        inputs: torch.Tensor = self.squash(self.free)
        return inputs


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in eval mode, gradients as before.

    A batch norm that saw pseudo-inputs while training would normalise them by themselves, and mix their
    statistics into those of the data; dropout would make the prior random.
    """
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


class VampPriorAutoencoder(VariationalAutoencoder):
    """A variational autoencoder whose prior is the mixture of its posteriors of learned inputs."""

    def __init__(self, spec: Spec, encoder: nn.Module, decoder: nn.Module, latent_size: int, components: int) -> None:
        super().__init__(spec, encoder, decoder, latent_size)
        self.pseudo_inputs = PseudoInputs(spec, components)

    def prior(self) -> DiagonalMixture:
        """`p(z) = mean_k q(z|u_k)`."""
        with evaluating(self.encoder):
            return DiagonalMixture(self.posterior(self.pseudo_inputs()))
