"""A folder of the user's own images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from dimecli.data.images import ImageDataset, ImageFiles, open_image
from dimecli.data.samples import Samples, split_off
from dimecli.errors import UserError
from dimecli.lazy import torch

TEST_SHARE = 0.2
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_SYSTEM_FILES = frozenset({"desktop.ini", "thumbs.db"})
_SPLITS = frozenset({"train", "test", "val", "valid", "validation"})


class ImageFolder(ImageDataset):
    """Your own images, from a folder and the folders in it.

    Where it has folders train/ and test/, these are the splits; otherwise a share is kept for
    testing, the same images every time. Where every image lies in one of at least two folders
    (of its split), their names are the classes. Hidden files are left out. The files are decoded
    when they are needed, as they are stored: transparency is dropped, an EXIF rotation not applied.
    """

    network = "rae-conv"  # trains on dark and on bright backgrounds alike

    path: Path = Field(Path("images"), description="The folder.")
    test: float | None = Field(
        None, gt=0, lt=1, description=f"Share kept for testing, {TEST_SHARE} if not given; not with a folder test/."
    )
    image_size: int | None = Field(
        None,
        ge=8,
        description="Side in pixels: the largest square in the middle of each image is resized to it. "
        "Without it all images have to be of one size.",
    )
    color: Literal["auto", "grey", "rgb"] = Field("auto", description="auto: grey if every image is, else RGB.")
    other_files: Literal["error", "skip"] = Field("error", description="What to do about files that are no images.")

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(C, H, W)` uint8 each, read from its file, and the classes if there are any.

        Raises:
            UserError: the folder is missing or has no images, a file in it is damaged or is no image,
                or the images are of several sizes.
        """
        root = self.path.expanduser()
        names, own_test = self._names(root)
        if own_test and self.test is not None:
            raise UserError(f"--test {self.test}: {root} has test images of its own in test/; leave the option out")
        channels, height, width = self._shape(root, names)
        labels, classes = _classes(names, depth=1 if own_test else 0)
        files = ImageFiles(root, tuple(names), channels, self.image_size)
        samples = Samples(self.image_spec((channels, height, width), classes), files, labels)
        if own_test:
            return samples.take([i for i, name in enumerate(names) if name.startswith(f"{split}/")])
        train, test = split_off(samples, TEST_SHARE if self.test is None else self.test, "--test")
        return train if split == "train" else test

    def _names(self, root: Path) -> tuple[list[str], bool]:
        """Paths of all images below the folder, sorted, and whether they lie in train/ and test/."""
        if not root.is_dir():
            raise UserError(f"--path {root}: no such folder")
        files = sorted(_visible_files(root))
        folders = {name.partition("/")[0] for name in files if "/" in name}
        own_test = {"train", "test"} <= folders
        if folders and folders <= _SPLITS and not own_test:
            has = ", ".join(sorted(folders))
            raise UserError(f"--path {root} has the folders {has}; allowed: both train and test, or the path of one")
        splits = ("train/", "test/") if own_test else ("",)
        names = [name for name in files if name.startswith(splits) and Path(name).suffix.lower() in SUFFIXES]
        if self.other_files == "error" and (others := sorted(set(files) - set(names))):
            raise UserError(
                f"{root / others[0]} is no image{' of train/ or test/' if own_test else ''} "
                f"({' '.join(sorted(SUFFIXES))}); move it away or give --other-files skip"
            )
        for prefix in splits:
            if not any(name.startswith(prefix) for name in names):
                raise UserError(f"--path {root}: no images in {root / prefix}; allowed: {' '.join(sorted(SUFFIXES))}")
        return names, own_test

    def _shape(self, root: Path, names: list[str]) -> tuple[Literal[1, 3], int, int]:
        """Channels, height and width of the images as they will be read, from the headers of all of them."""
        headers = [_header(root / name) for name in names]
        grey = self.color == "grey" or (self.color == "auto" and all(mode in ("1", "L") for mode, _, _ in headers))
        channels: Literal[1, 3] = 1 if grey else 3
        if self.image_size is not None:
            return channels, self.image_size, self.image_size
        _, width, height = headers[0]
        for name, (_, other_width, other_height) in zip(names, headers, strict=True):
            if (other_width, other_height) != (width, height):
                raise UserError(
                    f"--path {root}: images of several sizes: {names[0]} has {width} x {height} pixels, "
                    f"{name} {other_width} x {other_height}; --image-size 64, say, crops and resizes them all"
                )
        return channels, height, width


def _visible_files(root: Path) -> list[str]:
    """Paths of all files below the folder, with forward slashes, without hidden ones; links are followed."""
    found = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(folder).relative_to(root)
        visible = (name for name in files if not name.startswith(".") and name.lower() not in _SYSTEM_FILES)
        found += [(inside / name).as_posix() for name in visible]
    return found


def _header(path: Path) -> tuple[str, int, int]:
    """Mode, width and height of an image."""
    with open_image(path) as image:
        mode, (width, height) = image.mode, image.size
    if mode in ("I", "F") or mode.startswith("I;"):
        raise UserError(f"{path} has more than 8 bits per channel; allowed: images of 8 bits")
    return mode, width, height


def _classes(names: list[str], depth: int) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    """Labels and class names from the folders at this depth, if every image has one and they differ."""
    folders = [parts[depth] if len(parts := name.split("/")) > depth + 1 else "" for name in names]
    classes = tuple(sorted(set(folders)))
    if len(classes) < 2 or "" in classes:
        return None, ()
    label = {name: i for i, name in enumerate(classes)}
    return torch.tensor([label[folder] for folder in folders]), classes
