from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli_plugins.datasets.image_folder import ImageFolder


def save(path: Path, size: tuple[int, int] = (12, 10), mode: str = "RGB", seed: int | None = None) -> None:
    """An image of noise, `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(path.as_posix().encode()) if seed is None else seed)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode).save(path)


def images(samples: Samples) -> torch.Tensor:
    return torch.stack([samples.x[i] for i in range(len(samples))])


def everything(dataset: ImageFolder) -> torch.Tensor:
    return torch.cat([images(dataset.load(split)) for split in ("train", "validation", "test")])


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Ten images of 12 x 10 pixels."""
    for i in range(10):
        save(tmp_path / "flat" / f"{i}.png", seed=i)
    return tmp_path / "flat"


def test_reads_the_images_of_a_folder(flat: Path) -> None:
    dataset = ImageFolder(path=flat, validation=0.25)
    splits = [dataset.load(split) for split in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [6, 2, 2]
    for split in splits:
        assert split.spec.shape == (3, 10, 12)
        assert split.spec.classes == ()
        assert split.spec.likelihood == Gaussian(bounded=True)
        assert split.y is None
    eager = [torch.from_numpy(np.array(Image.open(flat / f"{i}.png"))).permute(2, 0, 1) for i in range(10)]
    got = everything(dataset)
    assert got.dtype == torch.uint8
    assert sorted(map(str, got.flatten(1).tolist())) == sorted(str(image.flatten().tolist()) for image in eager)
    assert torch.equal(everything(ImageFolder(path=flat, validation=0.25)), got)
    assert ImageFolder(path=flat, likelihood="bernoulli").read("test").spec.likelihood == Bernoulli()


def test_class_folders_are_the_classes(tmp_path: Path) -> None:
    for animal, count in (("dog", 4), ("cat", 6)):
        for i in range(count):
            save(tmp_path / animal / ("deep" if i % 2 else ".") / f"{i}.png", seed=10 * count + i)
    train, test = (ImageFolder(path=tmp_path, test=0.3).read(split) for split in ("train", "test"))
    assert train.spec.classes == test.spec.classes == ("cat", "dog")
    assert train.y is not None
    assert test.y is not None
    assert [len(train), len(test)] == [7, 3]
    dogs = {str(np.array(Image.open(path)).tolist()) for path in (tmp_path / "dog").rglob("*.png")}
    for samples in (train, test):
        assert samples.y is not None
        for image, label in zip(images(samples), samples.y.tolist(), strict=True):
            assert label == (str(image.permute(1, 2, 0).tolist()) in dogs)


@pytest.mark.parametrize("names", [["a/1.png", "a/2.png", "a/3.png"], ["a/1.png", "b/2.png", "3.png"]])
def test_no_classes_without_two_folders_that_hold_every_image(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        save(tmp_path / name)
    samples = ImageFolder(path=tmp_path, test=0.4).read("train")
    assert samples.spec.classes == ()
    assert samples.y is None


@pytest.mark.parametrize("classes", [(), ("cat", "dog")])
def test_train_and_test_folders_are_the_splits(tmp_path: Path, classes: tuple[str, ...]) -> None:
    counts = {"train": 6, "test": 4}
    for split, count in counts.items():
        for i in range(count):
            folder = classes[i % 2] if classes else "."
            save(tmp_path / split / folder / f"{i}.png", seed=i + 100 * count)
    for split, count in counts.items():
        samples = ImageFolder(path=tmp_path).read("train" if split == "train" else "test")
        assert len(samples) == count
        assert samples.spec.classes == classes
        paths = sorted((tmp_path / split).rglob("*.png"))
        expected = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in paths]
        assert torch.equal(images(samples), torch.stack(expected))
        if classes:
            assert samples.y is not None
            assert samples.y.tolist() == [classes.index(path.parent.name) for path in paths]
    with pytest.raises(UserError, match=r"--test 0\.3: .* has test images of its own"):
        ImageFolder(path=tmp_path, test=0.3).read("train")


def test_classes_are_those_of_both_splits(tmp_path: Path) -> None:
    for name in ("train/cat/1.png", "train/emu/1.png", "test/dog/1.png"):
        save(tmp_path / name)
    test = ImageFolder(path=tmp_path).read("test")
    assert test.spec.classes == ("cat", "dog", "emu")
    assert test.y is not None
    assert test.y.tolist() == [1]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus/1.png", "train/1.png", "train/2.png"):
        save(tmp_path / name)
    assert ImageFolder(path=tmp_path, test=0.4).read("train").spec.classes == ("bus", "train")


@pytest.mark.parametrize("folders", [("train",), ("test",), ("train", "val"), ("val", "test")])
def test_half_of_the_splits_is_a_mistake(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for folder in folders:
        save(tmp_path / folder / "1.png")
    with pytest.raises(
        UserError, match=rf"--path .* has the folders {', '.join(sorted(folders))}; allowed: both train and"
    ):
        ImageFolder(path=tmp_path).read("train")


@pytest.mark.parametrize("beside", ["val/1.png", "1.png", "train.txt"])
def test_nothing_else_beside_train_and_test(tmp_path: Path, beside: str) -> None:
    for name in ("train/1.png", "test/1.png", beside):
        save(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=rf"{beside} is no image of train/ or test/ .*--other-files skip"):
        ImageFolder(path=tmp_path).read("train")
    assert len(ImageFolder(path=tmp_path, other_files="skip").read("train")) == 1


@pytest.mark.parametrize(
    ("modes", "channels"), [(("L", "L", "1"), 1), (("L", "RGB", "L"), 3), (("RGBA", "L", "LA"), 3)]
)
def test_auto_is_grey_only_if_every_image_is(tmp_path: Path, modes: tuple[str, ...], channels: int) -> None:
    for i, mode in enumerate(modes):
        save(tmp_path / f"{i}.png", mode=mode)
    samples = ImageFolder(path=tmp_path, test=0.4).read("train")
    assert samples.spec.shape == (channels, 10, 12)
    assert images(samples).shape[1:] == (channels, 10, 12)
    assert ImageFolder(path=tmp_path, test=0.4, color="grey").read("train").spec.shape[0] == 1
    assert images(ImageFolder(path=tmp_path, test=0.4, color="rgb").read("test")).shape[1] == 3


def test_image_size_takes_the_middle_square_and_resizes(tmp_path: Path) -> None:
    sizes = [(30, 20), (20, 41), (9, 9)]
    for i, size in enumerate(sizes):
        save(tmp_path / "train" / f"{i}.png", size)
    save(tmp_path / "test" / "0.png")
    samples = ImageFolder(path=tmp_path, image_size=8).read("train")
    assert samples.spec.shape == (3, 8, 8)
    for i, box in enumerate([(5, 0, 25, 20), (0, 10, 20, 30), (0, 0, 9, 9)]):
        with Image.open(tmp_path / "train" / f"{i}.png") as image:
            square = np.array(image.crop(box).resize((8, 8), Image.Resampling.BILINEAR))
        assert (samples.x[i].int() - torch.from_numpy(square).permute(2, 0, 1).int()).abs().max() <= 1


def test_images_of_several_sizes(flat: Path) -> None:
    save(flat / "7.png", (12, 11))
    with pytest.raises(UserError, match=r"several sizes: 0\.png has 12 x 10 pixels, 7\.png 12 x 11; --image-size 64"):
        ImageFolder(path=flat).read("train")
    assert len(ImageFolder(path=flat, image_size=8).read("train")) == 8


def test_other_files(flat: Path) -> None:
    (flat / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"notes\.txt is no image .*--other-files skip"):
        ImageFolder(path=flat).read("train")
    assert len(ImageFolder(path=flat, other_files="skip").read("train")) == 8


def test_hidden_files_are_left_out(flat: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", ".cache/1.png", "desktop.ini"):
        (flat / name).parent.mkdir(exist_ok=True)
        (flat / name).write_bytes(b"")
    assert len(ImageFolder(path=flat).read("train")) == 8


def test_linked_folders_and_capital_suffixes_are_read(tmp_path: Path, flat: Path) -> None:
    save(tmp_path / "linked" / "other" / "A.JPG")
    os.symlink(flat, tmp_path / "linked" / "flat")
    assert ImageFolder(path=tmp_path / "linked").read("train").spec.classes == ("flat", "other")


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_damaged_header_is_found_at_once(flat: Path, content: bytes) -> None:
    (flat / "3.png").write_bytes(content)
    with pytest.raises(UserError, match=r"3\.png is no image that can be read"):
        ImageFolder(path=flat).read("train")


def test_a_truncated_file_is_found_when_it_is_decoded(flat: Path) -> None:
    for i in range(10):
        (flat / f"{i}.png").write_bytes((flat / f"{i}.png").read_bytes()[:-80])
    samples = ImageFolder(path=flat).read("train")
    with pytest.raises(UserError, match=r"\d\.png is no image that can be read"):
        samples.x[0]


def test_more_than_eight_bits(flat: Path) -> None:
    Image.fromarray(np.full((10, 12), 40_000, dtype=np.uint16)).save(flat / "deep.png")
    with pytest.raises(UserError, match=r"deep\.png has more than 8 bits per channel"):
        ImageFolder(path=flat).read("train")


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--path .*nowhere: no such folder"):
        ImageFolder(path=tmp_path / "nowhere").read("train")
    with pytest.raises(UserError, match=r"--path .*: no images in .*\.png"):
        ImageFolder(path=tmp_path).read("train")
    save(tmp_path / "train" / "1.png")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "1.txt").write_text("")
    with pytest.raises(UserError, match=r"no images in .*test"):
        ImageFolder(path=tmp_path, other_files="skip").read("train")


def test_the_fingerprint_follows_files_and_settings(flat: Path) -> None:
    before = ImageFolder(path=flat).read("train").fingerprint()
    assert ImageFolder(path=flat).read("train").fingerprint() == before
    others = [
        ImageFolder(path=flat, image_size=8),
        ImageFolder(path=flat, color="grey"),
        ImageFolder(path=flat, test=0.5),
    ]
    assert len({before, *(other.read("train").fingerprint() for other in others)}) == 4
    save(flat / "0.png", seed=99, mode="L")
    assert ImageFolder(path=flat).read("train").fingerprint() != before
