"""What networks keep to."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from dimecli.data.samples import Samples
from dimecli.data.spec import Modality, Spec
from dimecli.lazy import nn
from dimecli.plugin.base import Plugin


class Network(Plugin):
    """An encoder and a decoder, sized by the data's shape and the codes' dimension."""

    kind = "network"
    group = "dimecli.networks"

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})

    def prepare(self, samples: Samples) -> Samples:
        """The samples in the form that this network works on; by default as they are.

        A network that works on characters makes them of productions here, with the likelihood that
        belongs to them.
        """
        return samples

    @abstractmethod
    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """A module from `(B, *shape)` to `(B, features)`, without an activation at its end."""

    @abstractmethod
    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """A module from `(B, latent_size)` to the likelihood's parameters.

        They are `(B, *spec.likelihood.parameters(spec.shape))`: means of a Gaussian, logits of a
        Bernoulli or of a categorical; the module ends in `spec.likelihood.output()`. A decoder that
        needs x as well is a `dimecli.model.Autoregressive`.
        """
