"""Images: what image datasets share, fitting to a size, and files that are decoded when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dimecli.data.options import PixelDataset
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import F, np, torch

if TYPE_CHECKING:
    from PIL import Image


class ImageDataset(PixelDataset):
    """A dataset of images."""

    @classmethod
    def fitting_network(cls) -> str:
        """As for any dataset, with a default of its own for images."""
        from dimecli.defaults import default

        return cls.network or default("image network")

    def image_spec(self, shape: tuple[int, ...], classes: tuple[str, ...] = (), levels: int = 256) -> Spec:
        """The Spec of `(C, H, W)` images with the chosen likelihood; `levels` are the values that a pixel may have."""
        likelihood = self.p_x_given_z(bounded=True, levels=levels)
        return Spec(modality="image", shape=shape, likelihood=likelihood, classes=classes)


def pad(images: torch.Tensor, image_size: int) -> torch.Tensor:
    """`(N, C, image_size, image_size)`: `(N, C, H, W)` images in the middle of zeros; an odd row goes below, right.

    Raises:
        UserError: the images are larger than that.
    """
    height, width = images.shape[-2:]
    if image_size < max(height, width):
        raise UserError(
            f"--image-size {image_size}: --fit pad cannot shrink images of {width} x {height} pixels; "
            f"allowed: {max(height, width)} or more, or --fit resize"
        )
    left, top = (image_size - width) // 2, (image_size - height) // 2
    return F.pad(images, (left, image_size - width - left, top, image_size - height - top))


def resize(images: torch.Tensor, image_size: int) -> torch.Tensor:
    """`(N, C, image_size, image_size)`: `(N, C, H, W)` uint8 images resampled, bilinear with antialiasing."""
    if images.shape[-2:] == (image_size, image_size):
        return images
    return F.interpolate(images, (image_size, image_size), mode="bilinear", antialias=True)


@dataclass(frozen=True)
class ImageFiles:
    """A `Source` of image files: sample i is decoded when it is asked for, `(channels, H, W)` uint8.

    Args:
        root: The folder.
        names: Paths of the files below it, in order.
        channels: 1 reads every image as grey, 3 as RGB; transparency is dropped.
        image_size: Side in pixels to which the square in the middle of each image is resized; None: as they are.
        crop: Side in pixels of that square; None: the largest that fits.
    """

    root: Path
    names: tuple[str, ...]
    channels: Literal[1, 3]
    image_size: int | None = None
    crop: int | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> torch.Tensor:
        """The image as `(channels, H, W)` uint8.

        Raises:
            UserError: the file is missing, damaged, or smaller than `crop`.
        """
        path = self.root / self.names[index]
        with open_image(path) as image:
            # a palette with transparency has to pass through RGBA, or Pillow warns
            plain = image.convert("RGBA") if image.mode in ("P", "PA") else image
            pixels = torch.from_numpy(np.array(plain.convert("L" if self.channels == 1 else "RGB")))
        pixels = pixels.view(*pixels.shape[:2], self.channels).permute(2, 0, 1)
        if self.image_size is None:
            return pixels.contiguous()
        return resize(self._centre(pixels, path)[None], self.image_size)[0].contiguous()

    def _centre(self, pixels: torch.Tensor, path: Path) -> torch.Tensor:
        height, width = pixels.shape[-2:]
        side = self.crop or min(height, width)
        if side > min(height, width):
            raise UserError(f"--crop {side}: {path} has {width} x {height} pixels; allowed: up to {min(height, width)}")
        top, left = (height - side) // 2, (width - side) // 2
        return pixels[:, top : top + side, left : left + side]

    def fingerprint(self) -> str:
        """SHA-256 over names and sizes of the files, not their contents, and over how they are decoded.

        Raises:
            UserError: a file is missing.
        """
        digest = hashlib.sha256(f"{self.channels} {self.image_size} {self.crop}".encode())
        for name in self.names:
            try:
                size = (self.root / name).stat().st_size
            except OSError as error:
                raise UserError(f"{self.root / name} cannot be read ({error.strerror})") from error
            digest.update(f"\n{name} {size}".encode())
        return digest.hexdigest()


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The image in a file, its header read, its pixels not yet.

    Raises:
        UserError: the file is missing, is no image, or turns out to be damaged while it is decoded.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError and more for damaged files
        raise UserError(f"{path} is no image that can be read ({type(error).__name__}: {error})") from error
