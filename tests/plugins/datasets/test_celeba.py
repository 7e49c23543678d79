from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from pydantic import ValidationError

from dimecli.errors import DimeError, UserError
from dimecli_plugins.datasets.celeba import CelebA

PARTITION = {"train": "0", "valid": "1", "test": "2"}
NAMES = {f"{i + 1:06}.jpg": part for i, part in enumerate(["train"] * 5 + ["valid"] * 2 + ["test"] * 3)}


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in NAMES:
        image = Image.fromarray(rng.integers(0, 256, (218, 178, 3), dtype=np.uint8))
        image.save(folder / "img_align_celeba" / name)
    texts = {"list_eval_partition.txt": [f"{name} {PARTITION[part]}" for name, part in NAMES.items()]}
    texts["identity_CelebA.txt"] = [f"{name} 7" for name in NAMES]
    for name, columns in (("list_bbox_celeba", 4), ("list_landmarks_align_celeba", 10), ("list_attr_celeba", 40)):
        header = [str(len(NAMES)), " ".join(f"column{i}" for i in range(columns))]
        texts[f"{name}.txt"] = [*header, *(f"{image}  {' '.join(['1'] * columns)}" for image in NAMES)]
    md5 = {}
    for name, lines in texts.items():
        (folder / name).write_text("\n".join(lines) + "\n")
        md5[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    file_list = [(key, md5.get(name, old), name) for key, old, name in torchvision.datasets.CelebA.file_list]
    monkeypatch.setattr(torchvision.datasets.CelebA, "file_list", file_list)
    return tmp_path


@pytest.mark.parametrize(("split", "parts"), [("train", {"train", "valid"}), ("test", {"test"})])
@pytest.mark.parametrize(("crop", "size"), [(148, 64), (140, 32)])
def test_reads_crops_and_resizes(data_dir: Path, split: Any, parts: set[str], crop: int, size: int) -> None:
    samples = CelebA(data_dir=data_dir, crop=crop, image_size=size).read(split)
    assert samples.spec.shape == (3, size, size)
    assert samples.spec.classes == ()
    assert samples.y is None
    names = [name for name, part in NAMES.items() if part in parts]
    assert len(samples) == len(names)
    left, top = (178 - crop) // 2, (218 - crop) // 2
    for i, name in enumerate(names):
        with Image.open(data_dir / "celeba/img_align_celeba" / name) as image:
            square = image.crop((left, top, left + crop, top + crop)).resize((size, size), Image.Resampling.BILINEAR)
        assert samples.x[i].dtype == torch.uint8
        assert (samples.x[i].int() - torch.from_numpy(np.array(square)).permute(2, 0, 1).int()).abs().max() <= 1


def test_splits_and_fingerprints(data_dir: Path) -> None:
    dataset = CelebA(data_dir=data_dir, image_size=8, validation=0.3)
    loaded = [dataset.load(split) for split in ("train", "validation", "test")]
    assert [len(part) for part in loaded] == [5, 2, 3]
    images = torch.stack([part.x[i] for part in loaded for i in range(len(part))])
    assert len(torch.unique(images, dim=0)) == len(NAMES)
    others = [CelebA(data_dir=data_dir, image_size=16), CelebA(data_dir=data_dir, image_size=8, crop=100)]
    prints = {other.read("test").fingerprint() for other in (dataset, *others)}
    assert len(prints) == 3
    assert dataset.read("test").fingerprint() == loaded[2].fingerprint()


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"CelebA: .*celeba does not exist; --download .*--data-dir"):
        CelebA(data_dir=tmp_path).read("train")


def test_an_annotation_file_that_is_not_the_original(data_dir: Path) -> None:
    with (data_dir / "celeba/list_eval_partition.txt").open("a") as file:
        file.write("extra.jpg 0\n")
    with pytest.raises(UserError, match=r"celeba is incomplete or damaged; --download"):
        CelebA(data_dir=data_dir).read("train")


def test_a_missing_and_a_damaged_image_are_named(data_dir: Path) -> None:
    folder = data_dir / "celeba/img_align_celeba"
    (folder / "000008.jpg").unlink()
    (folder / "000009.jpg").write_bytes((folder / "000009.jpg").read_bytes()[:2000])
    samples = CelebA(data_dir=data_dir).read("test")
    for index in (0, 1):
        with pytest.raises(UserError, match=rf"00000{8 + index}\.jpg is no image that can be read"):
            samples.x[index]
    with pytest.raises(UserError, match=r"000008\.jpg cannot be read"):
        samples.fingerprint()


def test_downloading_needs_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(DimeError, match=r"CelebA: the download failed .*pip install gdown.*mmlab"):
        CelebA(data_dir=tmp_path, download=True).read("train")


def test_the_crop_is_bounded_by_the_images() -> None:
    with pytest.raises(ValidationError, match="crop"):
        CelebA(crop=179)
