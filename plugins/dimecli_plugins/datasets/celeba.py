"""CelebA."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dimecli.data.downloads import TorchvisionDataset
from dimecli.data.images import ImageFiles
from dimecli.data.samples import Samples


class CelebA(TorchvisionDataset):
    """202,599 aligned faces of celebrities in colour, 178 x 218 pixels (Liu et al., 2015).

    The test samples are the official ones. The official training and validation samples together
    are the training samples, from which --validation takes its share as in every dataset. There
    are no labels: the 40 attributes are no classes. The files are decoded when they are needed.
    """

    image_size: int = Field(64, ge=8, description="Side of the images in pixels, after the crop.")
    crop: int = Field(
        148, ge=8, le=178, description="Side in pixels of the square cut from the centre (148 as DIME, 140 as RAE)."
    )

    source: ClassVar[str] = "CelebA"
    folder: ClassVar[str] = "celeba"
    home: ClassVar[str] = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(3, image_size, image_size)` uint8 each, read from its file."""
        parts = ("train", "valid") if split == "train" else ("test",)
        names = tuple(name for part in parts for name in self.open(split=part).filename)
        files = ImageFiles(self.location / "img_align_celeba", names, 3, self.image_size, self.crop)
        return Samples(self.image_spec((3, self.image_size, self.image_size)), files)
