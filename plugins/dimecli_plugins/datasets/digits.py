"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dimecli.data.images import ImageDataset
from dimecli.data.samples import Samples, split_off
from dimecli.lazy import torch


class Digits(ImageDataset):
    """1,797 handwritten digits of 8 x 8 pixels, bundled with scikit-learn: nothing to download.

    The test samples are the same ones for every seed. Source: E. Alpaydin and C. Kaynak, Optical
    Recognition of Handwritten Digits, UCI Machine Learning Repository (1998), its test set.
    """

    test: float = Field(0.2, gt=0, lt=1, description="Share of the samples kept for testing.")

    network: ClassVar[str] = "mlp"

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(N, 1, 8, 8)` float32 in [0, 1], in steps of 1/16, and the digits."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(digits.images / 16).float()[:, None]
        spec = self.image_spec((1, 8, 8), tuple(str(digit) for digit in digits.target_names), levels=17)
        train, test = split_off(Samples(spec, images, torch.from_numpy(digits.target).long()), self.test, "--test")
        return train if split == "train" else test
