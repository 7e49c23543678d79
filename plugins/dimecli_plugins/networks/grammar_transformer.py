"""Transformers for the sentences of a grammar."""

from __future__ import annotations

from pydantic import Field

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network


class GrammarTransformer(Network):
    """Transformers over the steps of a sentence: the decoder gives all of them at once, or one after the other.

    The encoder looks in both directions and at no padding. The code enters the decoder through a
    linear map of its own at every step: a map that all steps share learns more slowly.
    """

    modalities = frozenset({"sentence"})

    width: int = Field(64, ge=16, multiple_of=16, description="Numbers at each step, 16 for each attention head.")
    layers: int = Field(1, ge=1, description="Blocks of attention and linear layers, of encoder and decoder each.")
    autoregressive: bool = Field(
        False,
        description="Decode step by step, each given the symbols before it, which training takes from the data "
        "(teacher forcing).",
    )

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """From `(B, T)` ids or `(B, T, V)` weights to `(B, features)`."""
        from dimecli.nn.transformer import TransformerEncoder

        steps, symbols = spec.likelihood.parameters(spec.shape)
        return TransformerEncoder(steps, symbols, features, self.width, self.layers)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """From `(B, latent_size)` codes to `(B, T, V)` logits."""
        from dimecli.nn.transformer import AutoregressiveTransformer, TransformerDecoder

        make = AutoregressiveTransformer if self.autoregressive else TransformerDecoder
        steps, symbols = spec.likelihood.parameters(spec.shape)
        return make(latent_size, steps, symbols, self.width, self.layers)
