"""The fully connected network of the InfoMax-VAE paper."""

from __future__ import annotations

import math
from functools import partial

from dimecli.data.spec import Spec
from dimecli.lazy import nn
from dimecli.plugin import Network

_WIDTHS = (1000,) * 4


class InfoMaxMLP(Network):
    """Four layers of 1000 units with a LeakyReLU of slope 0.2, both ways (InfoMax-VAE, Table 5).

    Takes images, flattened, as well as vectors. The authors' code has other layers: encoders of 1000,
    2000, 2000 and 1000 units with a ReLU.
    """

    modalities = frozenset({"image", "vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """Flattened data through the hidden layers to `(B, features)`."""
        from dimecli.nn.dense import dense

        layers = dense((spec.elements, *_WIDTHS, features), partial(nn.LeakyReLU, 0.2))
        return nn.Sequential(nn.Flatten(), *layers)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """Codes through the hidden layers to the likelihood's parameters."""
        from dimecli.nn.dense import dense

        shape = spec.likelihood.parameters(spec.shape)
        layers = dense((latent_size, *_WIDTHS, math.prod(shape)), partial(nn.LeakyReLU, 0.2))
        return nn.Sequential(*layers, nn.Unflatten(1, shape), spec.likelihood.output())
