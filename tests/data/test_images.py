from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dimecli.data.images import ImageFiles, pad, resize
from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.errors import UserError


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def to_pil(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image[0] if len(image) == 1 else image.permute(1, 2, 0)).contiguous().numpy())


def pil_resized(image: torch.Tensor, size: int) -> torch.Tensor:
    array = np.array(to_pil(image).resize((size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(array).view(size, size, len(image)).permute(2, 0, 1)


def save(image: torch.Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    to_pil(image).save(path)


@pytest.mark.parametrize(("shape", "size"), [((2, 1, 28, 28), 32), ((3, 3, 5, 9), 12), ((1, 1, 8, 8), 8)])
def test_pad_puts_the_image_in_the_middle_of_zeros(shape: tuple[int, ...], size: int) -> None:
    images = random_images(*shape)
    padded = pad(images, size)
    expected = np.zeros((*shape[:2], size, size), dtype=np.uint8)
    top, left = (size - shape[2]) // 2, (size - shape[3]) // 2
    expected[..., top : top + shape[2], left : left + shape[3]] = images.numpy()
    assert padded.dtype == torch.uint8
    assert torch.equal(padded, torch.from_numpy(expected))


def test_pad_refuses_to_shrink() -> None:
    with pytest.raises(UserError, match=r"--image-size 20: --fit pad .* 28 x 30 .*allowed: 30 or more"):
        pad(random_images(2, 1, 30, 28), 20)


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 1, 28, 28), 32), ((2, 1, 105, 105), 32), ((2, 3, 148, 148), 64), ((2, 3, 20, 37), 16)]
)
def test_resize_is_that_of_pillow(shape: tuple[int, ...], size: int) -> None:
    images = random_images(*shape)
    expected = torch.stack([pil_resized(image, size) for image in images])
    resized = resize(images, size)
    assert resized.dtype == torch.uint8
    assert (resized.int() - expected.int()).abs().max() <= 1
    assert torch.equal(resize(images[:1], size), resized[:1])


def test_resize_to_the_same_size_changes_nothing() -> None:
    images = random_images(2, 3, 16, 16)
    assert torch.equal(resize(images, 16), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_as_they_are_equal_what_was_saved(tmp_path: Path, channels: int) -> None:
    images = random_images(3, channels, 9, 12)
    for i, image in enumerate(images):
        save(image, tmp_path / f"{i}.png")
    files = ImageFiles(tmp_path, ("2.png", "0.png"), 1 if channels == 1 else 3)
    assert len(files) == 2
    assert torch.equal(files[0], images[2])
    assert torch.equal(files[1], images[0])


@pytest.mark.parametrize(("crop", "box"), [(None, (4, 0, 24, 20)), (14, (7, 3, 21, 17))])
def test_files_are_cropped_in_the_middle_and_resized(
    tmp_path: Path, crop: int | None, box: tuple[int, int, int, int]
) -> None:
    image = random_images(3, 20, 28)
    save(image, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        expected = np.array(opened.crop(box).resize((8, 8), Image.Resampling.BILINEAR))
    got = ImageFiles(tmp_path, ("a.png",), 3, image_size=8, crop=crop)[0]
    assert got.shape == (3, 8, 8)
    assert got.is_contiguous()
    assert (got.int() - torch.from_numpy(expected).permute(2, 0, 1).int()).abs().max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_of_every_mode_become_the_channels_asked_for(tmp_path: Path, mode: str, channels: int) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    grey = torch.tensor([0, 255], dtype=torch.uint8).repeat(4, 4)
    Image.fromarray(grey.numpy()).convert("RGB").convert(mode).save(tmp_path / f"a.{suffix}")
    image = ImageFiles(tmp_path, (f"a.{suffix}",), 1 if channels == 1 else 3)[0]
    assert torch.equal(image, grey.expand(channels, 4, 8))


def test_a_transparent_palette_needs_no_warning(tmp_path: Path) -> None:
    image = Image.fromarray(random_images(8, 8).numpy()).convert("P")
    image.save(tmp_path / "a.png", transparency=bytes(range(256)))
    assert ImageFiles(tmp_path, ("a.png",), 3)[0].shape == (3, 8, 8)


def test_a_crop_larger_than_the_image_is_refused(tmp_path: Path) -> None:
    save(random_images(1, 20, 28), tmp_path / "a.png")
    with pytest.raises(UserError, match=r"--crop 21: .*a\.png has 28 x 20 pixels; allowed: up to 20"):
        ImageFiles(tmp_path, ("a.png",), 1, image_size=8, crop=21)[0]


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.png is no image that can be read"):
        ImageFiles(tmp_path, ("bad.png",), 1)[0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bad.{suffix}"
    save(random_images(3, 40, 40), path)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(UserError, match=rf"bad\.{suffix} is no image that can be read"):
        ImageFiles(tmp_path, (path.name,), 3)[0]


def test_the_fingerprint_tells_files_and_settings_apart(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save(random_images(1, 16, 16), tmp_path / name)
    same = ImageFiles(tmp_path, ("a.png", "b.png"), 1, 8).fingerprint()
    others = [
        ImageFiles(tmp_path, ("a.png",), 1, 8),
        ImageFiles(tmp_path, ("b.png", "a.png"), 1, 8),
        ImageFiles(tmp_path, ("a.png", "b.png"), 3, 8),
        ImageFiles(tmp_path, ("a.png", "b.png"), 1, 9),
        ImageFiles(tmp_path, ("a.png", "b.png"), 1, 8, crop=10),
        ImageFiles(tmp_path, ("a.png", "b.png"), 1),
    ]
    assert len({same, *(files.fingerprint() for files in others)}) == len(others) + 1
    assert ImageFiles(tmp_path, ("a.png", "b.png"), 1, 8).fingerprint() == same
    save(random_images(1, 17, 16), tmp_path / "b.png")
    assert ImageFiles(tmp_path, ("a.png", "b.png"), 1, 8).fingerprint() != same
    (tmp_path / "b.png").unlink()
    with pytest.raises(UserError, match=r"b\.png cannot be read"):
        ImageFiles(tmp_path, ("a.png", "b.png"), 1, 8).fingerprint()


def test_files_are_a_source_of_samples(tmp_path: Path) -> None:
    from dimecli.data.likelihood import Gaussian

    images = random_images(4, 1, 8, 8)
    for i, image in enumerate(images):
        save(image, tmp_path / f"{i}.png")
    spec = Spec(modality="image", shape=(1, 8, 8), likelihood=Gaussian(bounded=True))
    samples = Samples(spec, ImageFiles(tmp_path, tuple(f"{i}.png" for i in range(4)), 1))
    taken = samples.take([3, 1])
    assert not isinstance(taken.x, torch.Tensor)
    assert torch.equal(taken.x[0], images[3])
    assert taken.fingerprint() != samples.fingerprint()
