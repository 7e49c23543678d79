from __future__ import annotations

import hashlib
import shutil
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from dimecli.errors import DimeError, UserError
from dimecli_plugins.datasets.omniglot import Omniglot

SETS = {
    "images_background": ["Greek/character01", "Greek/character02", "Korean/character01"],
    "images_evaluation": ["Atlantean/character01", "Tengwar/character01"],
}
PER_CHARACTER = 3


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "omniglot-py"
    rng = np.random.default_rng(0)
    md5 = {}
    for name, characters in SETS.items():
        for character in reversed(characters):
            (root / name / character).mkdir(parents=True)
            for i in range(PER_CHARACTER):
                drawing = Image.fromarray(rng.random((105, 105)) > 0.1)  # ink is False, about a tenth
                drawing.save(root / name / character / f"0001_{i:02}.png")
        with zipfile.ZipFile(root / f"{name}.zip", "w") as archive:
            for path in sorted((root / name).rglob("*.png")):
                archive.write(path, path.relative_to(root))
        md5[name] = hashlib.md5((root / f"{name}.zip").read_bytes()).hexdigest()
    monkeypatch.setattr(torchvision.datasets.Omniglot, "zips_md5", md5)
    return tmp_path


@pytest.mark.parametrize(
    ("split", "name", "first"), [("train", "images_background", 0), ("test", "images_evaluation", 3)]
)
@pytest.mark.parametrize("size", [32, 105])
def test_reads_inverts_and_labels(data_dir: Path, split: Any, name: str, first: int, size: int) -> None:
    samples = Omniglot(data_dir=data_dir, image_size=size).read(split)
    assert isinstance(samples.x, torch.Tensor)
    assert samples.y is not None
    assert samples.x.dtype == torch.uint8
    assert samples.spec.shape == (1, size, size)
    assert samples.spec.classes == tuple(character for characters in SETS.values() for character in characters)
    expected = []
    for character in SETS[name]:
        for i in range(PER_CHARACTER):
            with Image.open(data_dir / "omniglot-py" / name / character / f"0001_{i:02}.png") as drawing:
                grey = drawing.convert("L").resize((size, size), Image.Resampling.BILINEAR)
            expected.append(255 - torch.from_numpy(np.array(grey)).int())
    assert (samples.x[:, 0].int() - torch.stack(expected)).abs().max() <= 1
    assert samples.x.float().mean() < 0.2 * 255
    assert samples.y.tolist() == [first + i for i in range(len(SETS[name])) for _ in range(PER_CHARACTER)]


def test_a_set_that_was_not_unpacked(data_dir: Path) -> None:
    want = Omniglot(data_dir=data_dir).read("test").fingerprint()
    shutil.rmtree(data_dir / "omniglot-py/images_evaluation")
    with pytest.raises(UserError, match=r"Omniglot: the files in .*omniglot-py cannot be read .*--download"):
        Omniglot(data_dir=data_dir).read("train")
    with zipfile.ZipFile(data_dir / "omniglot-py/images_evaluation.zip") as archive:
        archive.extractall(data_dir / "omniglot-py")
    assert Omniglot(data_dir=data_dir).read("test").fingerprint() == want


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Omniglot: .*omniglot-py does not exist; --download .*--data-dir"):
        Omniglot(data_dir=tmp_path).read("train")


def test_a_damaged_archive(data_dir: Path) -> None:
    (data_dir / "omniglot-py/images_background.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"omniglot-py is incomplete or damaged; --download"):
        Omniglot(data_dir=data_dir).read("train")


def test_no_images(data_dir: Path) -> None:
    for path in (data_dir / "omniglot-py/images_background").rglob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match=r"omniglot-py cannot be read \(no images in images_background\)"):
        Omniglot(data_dir=data_dir).read("train")


def test_a_damaged_image_is_named(data_dir: Path) -> None:
    (data_dir / "omniglot-py/images_background/Greek/character02/0001_01.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"character02/0001_01\.png is no image that can be read"):
        Omniglot(data_dir=data_dir).read("train")


def test_the_download_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(DimeError, match=r"Omniglot: the download failed .*not known.*github\.com/brendenlake"):
        Omniglot(data_dir=tmp_path, download=True).read("train")
