"""The denoising autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Objective, Spec

if TYPE_CHECKING:
    from dimecli.model import Autoencoder


class DenoisingAE(Objective):
    """Reconstructs clean data from the codes of corrupted ones (Vincent et al. 2010, section 3).

    Minimises `E|x - D(E(x'))|^2` with x' = x + sigma e for standard normal e, or with a part of the
    elements of x set to 0; in sentences, a part of the symbols is replaced by ones drawn uniformly.
    Validation corrupts as well, with the same noise each time: it estimates what is minimised. The codes
    of a run are those of clean data.
    """

    corruption: Literal["mask", "gaussian"] = Field(
        "mask", description="Set elements to 0, or replace symbols (mask), or add noise to all elements (gaussian)."
    )
    fraction: float = Field(0.1, ge=0, le=1, description="Probability nu that mask corrupts an element.")
    sigma: float = Field(0.1, ge=0, description="Standard deviation sigma of gaussian noise, in the data's units.")

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """A deterministic autoencoder.

        Raises:
            UserError: Gaussian noise on sentences.
        """
        if spec.modality == "sentence" and self.corruption == "gaussian":
            raise UserError("--corruption gaussian: symbols of sentences are no numbers to add noise to; use mask")
        return super().build(spec, network)

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative log-likelihood of x given the code of x'."""
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(self.corrupt(model.spec, x, rng))))

    def corrupt(self, spec: Spec, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """`(B, *shape)`: a draw of x' given x."""
        if self.corruption == "gaussian":
            return x + self.sigma * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
        hit = torch.rand(x.shape, generator=rng, device=x.device) < self.fraction
        if spec.modality != "sentence":
            return x.masked_fill(hit, 0)
        symbols = spec.likelihood.parameters(spec.shape)[-1]
        drawn = torch.randint(symbols, x.shape, generator=rng, device=x.device, dtype=x.dtype)
        return torch.where(hit, drawn, x)
