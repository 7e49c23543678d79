"""MNIST, and what reads every dataset in its format."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dimecli.data.downloads import TorchvisionDataset
from dimecli.data.images import pad, resize
from dimecli.data.samples import Samples


class MNIST(TorchvisionDataset):
    """70,000 grey images of handwritten digits, 28 x 28 pixels (LeCun et al., 1998)."""

    image_size: int = Field(32, ge=8, description="Side of the images in pixels; 28 leaves them as they are.")
    fit: Literal["pad", "resize"] = Field(
        "pad",
        description="How 28 becomes --image-size: zeros around (as RAE) or resampled (as DIME); it changes the FID.",
    )

    source: ClassVar[str] = "MNIST"
    folder: ClassVar[str] = "MNIST/raw"
    home: ClassVar[str] = "http://yann.lecun.com/exdb/mnist/"

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(N, 1, image_size, image_size)` uint8 and the labels.

        Raises:
            UserError: the files are missing or damaged, or `pad` would have to shrink.
        """
        loaded = self.open(train=split == "train")
        images, labels = loaded.data, loaded.targets
        if len(images) != len(labels):
            raise self.damaged(f"{len(images)} {split} images, but {len(labels)} labels")
        if labels.max() >= len(loaded.classes):
            raise self.damaged(f"a {split} label is {labels.max()}, the largest allowed is {len(loaded.classes) - 1}")
        fitted = (pad if self.fit == "pad" else resize)(images[:, None], self.image_size)
        classes = tuple(name.partition(" - ")[0] for name in loaded.classes)  # torchvision says "0 - zero"
        return Samples(self.image_spec(tuple(fitted.shape[1:]), classes), fitted, labels)
