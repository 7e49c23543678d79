"""What objectives keep to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dimecli.data.spec import Modality, Spec
from dimecli.lazy import nn, torch
from dimecli.plugin.base import LatentSpace, Plugin
from dimecli.plugin.density import Fitted
from dimecli.plugin.network import Network

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class Loss:
    """Named terms of a training step, scalars in nats unless the objective says otherwise.

    Their sum is minimised; each is logged, and watched for NaN and infinity, under its name.

    Args:
        players: What each further player (`Objective.players`) minimises, by its name.
        **terms: What all other weights of the model minimise the sum of.
    """

    def __init__(self, players: Mapping[str, torch.Tensor] | None = None, **terms: torch.Tensor) -> None:
        self.terms = terms
        self.players = dict(players or {})

    @property
    def total(self) -> torch.Tensor:
        """What the optimiser minimises."""
        return torch.stack(tuple(self.terms.values())).sum()


class Objective(Plugin):
    """What an autoencoder is trained for: it builds the model and gives the loss of a batch."""

    kind = "objective"
    group = "dimecli.objectives"

    latent_size: int = Field(16, ge=1, description="Dimension l of the codes.")
    reduction: Literal["sum", "mean"] = Field(
        "sum", description="Reconstruction in nats per sample (sum over its elements) or per element (mean)."
    )

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "vector", "sentence"})
    """Data that it can be trained on; others are refused before any work."""
    data_parallel: ClassVar[bool] = True
    """Whether its loss, averaged over processes with a part of the batch each, is that of one process on all of it.

    Several processes do not train an objective for which it is not.
    """
    latent_space: ClassVar[LatentSpace] = "euclidean"
    fixed_terms: ClassVar[frozenset[str]] = frozenset({"reconstruction"})
    """Terms that a warm-up leaves alone; the weight of all others grows from 0 to 1."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named settings, each laid out as a TOML file for `dime train`: `{"objective": {...}, "train": {...}}`."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """A model with fresh weights; by default a deterministic autoencoder on this latent space."""
        from dimecli.model import Autoencoder, UnitNorm

        encoder = network.encoder(spec, self.latent_size)
        if self.latent_space == "sphere":
            encoder = nn.Sequential(encoder, UnitNorm())
        return Autoencoder(spec, encoder, network.decoder(spec, self.latent_size), self.latent_size)

    @property
    def players(self) -> Mapping[str, float]:
        """Adversaries and critics: the name of a submodule of the model that has a loss of its own, and its rate.

        Its weights minimise `Loss.players[name]` and nothing else, and no other weight minimises that:
        the loop keeps the gradients apart. The learning rate follows the schedule of the others.
        """
        return {}

    @abstractmethod
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The terms to minimise on a batch: `model` is what `build` returned, x is `(B, *shape)`.

        It is also called without gradients, to validate: where a gradient is part of the loss, turn
        them on with `torch.enable_grad()`. Every draw comes from `rng`. Terms that couple the samples
        of a batch are computed on `dimecli.distributed.gather(codes)`, so that several processes train
        as one; if that cannot be, `data_parallel` is False. A batch of one sample is never trained on:
        a loss that needs more raises a ValueError that says how many.
        """

    def reconstruction(
        self, model: Autoencoder, x: torch.Tensor, z: torch.Tensor, parameters: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Negative log-likelihood of x given z, averaged over the batch, in the units of `reduction`.

        Args:
            model: What `build` returned.
            x: `(B, *shape)` data.
            z: `(B, l)` codes.
            parameters: What `model.decode(z, x)` gave, where the loss needs that itself.
        """
        nll = (model.nll(x, z) if parameters is None else model.spec.likelihood.nll(parameters, x)).mean()
        return nll / model.spec.elements if self.reduction == "mean" else nll

    def notes(self, terms: Mapping[str, float], samples: int) -> Sequence[str]:
        """What a user should know of a finished run, a line each: its `terms` on validation, `samples` trained on."""
        return ()

    def prior(self, model: Autoencoder) -> Fitted | None:
        """The distribution that the objective asks its codes to have, if it asks for one; that of the model."""
        return model.prior()
