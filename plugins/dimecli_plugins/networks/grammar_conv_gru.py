"""The convolutional and recurrent network of GrammarVAE."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network

_MOLECULES = 100
"""Sentences that are longer have the paper's sizes for molecules, the others those for expressions."""


class GrammarConvGru(Network):
    """GrammarVAE's layout (Kusner et al., 2017): convolutions to the code, recurrent layers from it.

    The encoder is three convolutions, each with a ReLU and a batch norm, a hidden layer and a linear
    one. The decoder is gated recurrent layers and a linear one, which give all steps at once.

    The paper's encoder ends in 4 channels, and its decoder gets the same input at every step. Of random
    expressions it reconstructs 1 % after a minute's training on a processor core, the default 88 %: that
    is wider, and gives each step a linear map of the code of its own.
    """

    modalities = frozenset({"sentence"})

    sizes: Literal["wide", "paper"] = Field(
        "wide",
        description="wide; or the paper's, for sentences of up to 100 symbols those of expressions (2, 3, 4 channels, "
        "100 units), for longer ones those of molecules (9, 9, 10 channels, 435 and 501 units).",
    )

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """From `(B, T)` ids or `(B, T, V)` weights to `(B, features)`."""
        from dimecli.nn.sequence import conv_encoder

        steps, symbols = spec.likelihood.parameters(spec.shape)
        if self.sizes == "wide":
            channels, kernels, dense = (64, 64, 64), (2, 3, 4), 512
        elif steps <= _MOLECULES:
            channels, kernels, dense = (2, 3, 4), (2, 3, 4), 100
        else:
            channels, kernels, dense = (9, 9, 10), (9, 9, 11), 435
        return conv_encoder(steps, symbols, features, channels, kernels, dense)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """From `(B, latent_size)` codes to `(B, T, V)` logits."""
        from dimecli.nn.sequence import GruDecoder, Repeat, Steps

        steps, symbols = spec.likelihood.parameters(spec.shape)
        if self.sizes == "wide":
            return GruDecoder(Steps(latent_size, steps, 100), 100, symbols, hidden=100, layers=1)
        hidden = 100 if steps <= _MOLECULES else 501
        return GruDecoder(Repeat(latent_size, steps), latent_size, symbols, hidden, layers=3)
