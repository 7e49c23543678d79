"""The options of the likelihood, which datasets share."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dimecli.data.binarize import binarised
from dimecli.data.likelihood import Bernoulli, Gaussian, Laplace
from dimecli.data.logistic import Logistic
from dimecli.data.samples import Samples
from dimecli.plugin import Dataset


class NoisyDataset(Dataset):
    """A dataset of numbers; subclasses say which likelihoods they may have."""

    likelihood: str
    variance: float | None = Field(
        None,
        gt=1e-6,
        lt=1e6,
        description="Variance of p(x|z), 1/2 if not given; where it is learned or predicted, the one to start from.",
    )
    noise: Literal["auto", "fixed", "learned", "predicted"] = Field(
        "auto",
        description="Whether that variance is fixed, learned as one number, or predicted by the decoder for every "
        "element of x; auto is learned for a logistic likelihood, else fixed.",
    )

    @model_validator(mode="after")
    def _noise_suits_the_likelihood(self) -> Self:
        for name, unset in (("variance", None), ("noise", "auto")):
            if self.likelihood == "bernoulli" and (value := getattr(self, name)) != unset:
                raise ValueError(f"--{name} {value} is not for --likelihood bernoulli, which has no noise to set")
        return self

    def p_x_given_z(self, bounded: bool, levels: int = 256) -> Gaussian | Laplace | Logistic | Bernoulli:
        """The chosen likelihood.

        Args:
            bounded: Whether means stay in [0, 1].
            levels: Values that a pixel may have, equally spaced from 0 to 1.
        """
        if self.likelihood == "bernoulli":
            return Bernoulli()
        logistic = self.likelihood == "logistic"
        variance = 0.5 if self.variance is None else self.variance
        noise = self.noise if self.noise != "auto" else "learned" if logistic else "fixed"
        if logistic:
            return Logistic(variance=variance, noise=noise, levels=levels)
        family = Laplace if self.likelihood == "laplace" else Gaussian
        return family(variance=variance, noise=noise, bounded=bounded)


class PixelDataset(NoisyDataset):
    """A dataset of values in [0, 1], such as the pixels of images."""

    likelihood: Literal["gaussian", "laplace", "logistic", "bernoulli"] = Field(
        "gaussian",
        description="p(x|z): Gaussian or Laplace around means in [0, 1], a logistic cut into the levels of a pixel, "
        "or Bernoulli.",
    )
    binarize: Literal["none", "static", "dynamic"] = Field(
        "none",
        description="Make x zeros and ones, with its values as the probability of a one: once (static), or anew in "
        "every step of training (dynamic). Needs --likelihood bernoulli.",
    )

    @model_validator(mode="after")
    def _only_bernoulli_pixels_are_binary(self) -> Self:
        if self.binarize != "none" and self.likelihood != "bernoulli":
            raise ValueError(f"--binarize {self.binarize} needs --likelihood bernoulli, got {self.likelihood}")
        return self

    def p_x_given_z(self, bounded: bool, levels: int = 256) -> Gaussian | Laplace | Logistic | Bernoulli:
        """The chosen likelihood; see `NoisyDataset.p_x_given_z`."""
        if self.likelihood == "bernoulli":
            return Bernoulli(dynamic=self.binarize == "dynamic")
        return super().p_x_given_z(bounded, levels)

    def read_prepared(self, split: Literal["train", "test"]) -> Samples:
        """What `read` gives, binarised once and for all if `--binarize static` says so."""
        samples = self.read(split)
        return binarised(samples, split) if self.binarize == "static" else samples
