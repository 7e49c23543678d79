"""What one sample of a dataset is, and the distribution that a decoder gives it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from dimecli.data.likelihood import Bernoulli, Gaussian, Laplace
from dimecli.data.logistic import Logistic
from dimecli.data.sentences import Characters, Productions
from dimecli.settings import Settings

Modality = Literal["image", "vector", "sentence"]


class Spec(Settings):
    """Shape, modality, likelihood and classes of the samples of one dataset.

    Objectives and networks see the data only through this: an objective never knows whether it
    trains on pixels or on vectors, and a network sizes itself by `shape`.
    """

    modality: Modality
    shape: tuple[int, ...]  # (C, H, W) of an image, (D,) of a vector, (T,) symbols of a sentence
    likelihood: Annotated[
        Gaussian | Laplace | Logistic | Bernoulli | Productions | Characters, Field(discriminator="name")
    ]
    classes: tuple[str, ...] = ()  # names of the labels 0, 1, ...; empty if there are none

    @property
    def elements(self) -> int:
        """Numbers in one sample, D in the papers: pixels x channels of an image."""
        return math.prod(self.shape)
