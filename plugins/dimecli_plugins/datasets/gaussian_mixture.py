"""The toy data of MIM: a mixture of five Gaussians."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from dimecli.data.options import NoisyDataset
from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.lazy import F, torch

COMPONENTS = 5
STD = 0.25
_MEANS_SEED = 62  # the directions belong to the dataset, not to a draw from it


class GaussianMixture(NoisyDataset):
    """Vectors of a mixture of 5 isotropic Gaussians of standard deviation 0.25 (MIM, section 6.2).

    Training and test samples are drawn independently; the labels are the components, all equally
    likely. The paper does not print the means. Here they have length 1: in two dimensions they
    are the corners of a regular pentagon, in more they are random directions, the same for every
    `data_seed`.
    """

    likelihood: Literal["gaussian", "laplace"] = Field("gaussian", description="p(x|z), the distribution of x.")
    dimension: int = Field(2, ge=2, description="Numbers per sample, D; the paper has 2 and 20.")
    samples: int = Field(10_000, ge=10, description="Training samples, and as many test samples.")
    data_seed: int = Field(0, ge=0, lt=2**62, description="Seed of the samples; that of the training is another.")

    network: ClassVar[str] = "mlp"

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(samples, dimension)` float32 and the components."""
        rng = torch.Generator().manual_seed(2 * self.data_seed + (split == "test"))
        components = torch.randint(COMPONENTS, (self.samples,), generator=rng)
        noise = torch.randn(self.samples, self.dimension, generator=rng)
        classes = tuple(str(component) for component in range(COMPONENTS))
        likelihood = self.p_x_given_z(bounded=False)
        spec = Spec(modality="vector", shape=(self.dimension,), likelihood=likelihood, classes=classes)
        return Samples(spec, self.means()[components] + STD * noise, components)

    def means(self) -> torch.Tensor:
        """`(5, dimension)` means of the components, each of length 1."""
        if self.dimension == 2:
            angles = 2 * math.pi / COMPONENTS * torch.arange(COMPONENTS)
            return torch.stack([angles.cos(), angles.sin()], dim=1)
        rng = torch.Generator().manual_seed(_MEANS_SEED)
        return F.normalize(torch.randn(COMPONENTS, self.dimension, generator=rng), dim=1)
