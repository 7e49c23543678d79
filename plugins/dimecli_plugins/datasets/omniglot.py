"""Omniglot."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from dimecli.data.downloads import TorchvisionDataset
from dimecli.data.images import ImageFiles
from dimecli.data.samples import Samples
from dimecli.lazy import torch


class Omniglot(TorchvisionDataset):
    """32,460 handwritten characters of 50 alphabets, 105 x 105 pixels, resized (Lake et al., 2015).

    Strokes are bright on black. The background set of 964 characters is for training, the
    evaluation set of 659 others for testing: no test label occurs in training.
    """

    image_size: int = Field(32, ge=8, description="Side of the images in pixels; resampled from 105.")

    source: ClassVar[str] = "Omniglot"
    folder: ClassVar[str] = "omniglot-py"
    home: ClassVar[str] = "https://github.com/brendenlake/omniglot"

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(N, 1, image_size, image_size)` uint8, and as labels the characters of both sets."""
        folders = {"train": self._folder(background=True), "test": self._folder(background=False)}
        # torchvision numbers the characters of one set, as the file system happens to list them
        characters = [character for folder in folders.values() for character in sorted(folder.glob("*/*/"))]
        root = folders[split]
        drawings = sorted(root.glob("*/*/*.png"))
        if not drawings:
            raise self.damaged(f"no images in {root.name}")
        files = ImageFiles(root, tuple(path.relative_to(root).as_posix() for path in drawings), 1, self.image_size)
        images = 255 - torch.stack([files[i] for i in range(len(files))])  # the ink is 0 in the files
        label = {character: i for i, character in enumerate(characters)}
        classes = tuple("/".join(character.parts[-2:]) for character in characters)
        labels = torch.tensor([label[path.parent] for path in drawings])
        return Samples(self.image_spec(tuple(images.shape[1:]), classes), images, labels)

    def _folder(self, background: bool) -> Path:
        return Path(self.open(background=background).target_folder)
