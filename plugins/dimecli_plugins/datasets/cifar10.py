"""CIFAR-10, and what reads CIFAR-100."""

from __future__ import annotations

from typing import ClassVar, Literal

from dimecli.data.downloads import TorchvisionDataset
from dimecli.data.samples import Samples
from dimecli.lazy import torch


class CIFAR10(TorchvisionDataset):
    """60,000 colour images in 10 classes, 32 x 32 pixels (Krizhevsky, 2009).

    The files are pickles; torchvision reads them only if their MD5 is that of the originals.
    """

    source: ClassVar[str] = "CIFAR10"
    folder: ClassVar[str] = "cifar-10-batches-py"
    home: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(N, 3, 32, 32)` uint8 and the labels."""
        loaded = self.open(train=split == "train")
        images = torch.from_numpy(loaded.data).permute(0, 3, 1, 2).contiguous()
        return Samples(self.image_spec((3, 32, 32), tuple(loaded.classes)), images, torch.tensor(loaded.targets))
