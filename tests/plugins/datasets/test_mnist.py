from __future__ import annotations

import gzip
import hashlib
import struct
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.errors import DimeError, UserError
from dimecli_plugins.datasets.fashion_mnist import FashionMNIST
from dimecli_plugins.datasets.mnist import MNIST

COUNT = {"train": 20, "t10k": 8}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{array.ndim + 1}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def images(part: str) -> np.ndarray:
    return np.random.default_rng(COUNT[part]).integers(0, 256, (COUNT[part], 28, 28), dtype=np.uint8)


def labels(part: str) -> np.ndarray:
    return np.arange(COUNT[part], dtype=np.uint8) * 7 % 10


def files() -> dict[str, bytes]:
    named = {}
    for part in COUNT:
        named[f"{part}-images-idx3-ubyte"] = idx(images(part))
        named[f"{part}-labels-idx1-ubyte"] = idx(labels(part))
    return named


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for source in ("MNIST", "FashionMNIST"):
        raw = tmp_path / source / "raw"
        raw.mkdir(parents=True)
        for name, content in files().items():
            (raw / name).write_bytes(content)
    return tmp_path


def pixels(dataset: MNIST, split: Any) -> torch.Tensor:
    x = dataset.read(split).x
    assert isinstance(x, torch.Tensor)
    return x


@pytest.mark.parametrize("plugin", [MNIST, FashionMNIST])
@pytest.mark.parametrize(("split", "part"), [("train", "train"), ("test", "t10k")])
def test_reads_what_the_files_hold(data_dir: Path, plugin: type[MNIST], split: Any, part: str) -> None:
    samples = plugin(data_dir=data_dir, image_size=28).read(split)
    assert isinstance(samples.x, torch.Tensor)
    assert samples.x.dtype == torch.uint8
    assert np.array_equal(samples.x[:, 0].numpy(), images(part))
    assert samples.y is not None
    assert samples.y.tolist() == labels(part).tolist()
    assert samples.spec.shape == (1, 28, 28)
    assert len(samples.spec.classes) == 10


def test_spec(data_dir: Path) -> None:
    spec = MNIST(data_dir=data_dir).read("test").spec
    assert spec.shape == (1, 32, 32)
    assert spec.classes == tuple("0123456789")
    assert spec.likelihood == Gaussian(bounded=True)
    assert MNIST(data_dir=data_dir, likelihood="bernoulli").read("test").spec.likelihood == Bernoulli()
    assert FashionMNIST(data_dir=data_dir).read("test").spec.classes[-1] == "Ankle boot"


@pytest.mark.parametrize("size", [28, 32, 37])
def test_pad_is_zeros_around_the_image(data_dir: Path, size: int) -> None:
    left, right = (size - 28) // 2, (size - 28) - (size - 28) // 2
    expected = F.pad(torch.from_numpy(images("t10k"))[:, None].double(), (left, right, left, right))
    assert torch.equal(pixels(MNIST(data_dir=data_dir, image_size=size), "test").double(), expected)


@pytest.mark.parametrize("size", [14, 32])
def test_resize_is_antialiased(data_dir: Path, size: int) -> None:
    got = pixels(MNIST(data_dir=data_dir, image_size=size, fit="resize"), "test")
    pil = [Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR) for image in images("t10k")]
    expected = torch.from_numpy(np.stack([np.array(image) for image in pil]))[:, None]
    assert got.dtype == torch.uint8
    assert (got.int() - expected.int()).abs().max() <= 1


def test_splits_are_disjoint_and_settings_change_the_fingerprint(data_dir: Path) -> None:
    dataset = MNIST(data_dir=data_dir, image_size=28)
    parts = [dataset.load(name).x for name in ("train", "validation", "test")]
    rows = torch.cat([part.flatten(1) for part in parts if isinstance(part, torch.Tensor)])
    assert [len(part) for part in parts] == [18, 2, 8]
    assert len(torch.unique(rows, dim=0)) == 28
    variants = [
        dataset,
        MNIST(data_dir=data_dir),
        MNIST(data_dir=data_dir, fit="resize"),
        MNIST(data_dir=data_dir, validation=0.2),
    ]
    assert len({variant.load("train").fingerprint() for variant in variants}) == 4
    assert dataset.load("train").fingerprint() == dataset.load("train").fingerprint()


def test_pad_smaller_than_the_images(data_dir: Path) -> None:
    with pytest.raises(UserError, match=r"--image-size 20: --fit pad .*28 or more, or --fit resize"):
        MNIST(data_dir=data_dir, image_size=20).read("train")


def test_the_default_folder_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIME_DATA", raising=False)
    assert MNIST().data_dir == Path("data")
    monkeypatch.setenv("DIME_DATA", "elsewhere")
    assert MNIST().data_dir == Path("elsewhere")


@pytest.mark.parametrize("plugin", [MNIST, FashionMNIST])
def test_missing(tmp_path: Path, plugin: type[MNIST]) -> None:
    with pytest.raises(UserError) as error:
        plugin(data_dir=tmp_path).read("train")
    for word in (
        plugin.__name__,
        str(tmp_path / plugin.__name__ / "raw"),
        "does not exist",
        "--download",
        "--data-dir",
    ):
        assert word in str(error.value)


def test_one_file_missing(data_dir: Path) -> None:
    (data_dir / "MNIST/raw/train-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="MNIST/raw is incomplete or damaged; --download"):
        MNIST(data_dir=data_dir).read("test")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[:-100],
    "header only": lambda content: content[:6],
    "empty": lambda content: b"",
    "wrong magic": lambda content: b"GIF89a" + content,
    "wrong type": lambda content: b"\0\0\x0a\x03" + content[4:],
    "too long": lambda content: content + b"0",
    "of labels": lambda content: idx(labels("train")),
    "fewer images": lambda content: idx(images("train")[:-1]),
    "no images": lambda content: idx(images("train")[:0]),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("download", [False, True])
def test_damaged_images(data_dir: Path, damage: str, download: bool) -> None:
    path = data_dir / "MNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(
        UserError, match=r"^MNIST: the files in .*MNIST/raw cannot be read \(.+\); delete .*--download$"
    ):
        MNIST(data_dir=data_dir, download=download).read("train")


def test_a_label_out_of_range(data_dir: Path) -> None:
    (data_dir / "MNIST/raw/train-labels-idx1-ubyte").write_bytes(idx(labels("train") + 1))
    with pytest.raises(UserError, match="a train label is 10, the largest allowed is 9"):
        MNIST(data_dir=data_dir).read("train")


def test_the_download_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(DimeError) as error:
        MNIST(data_dir=tmp_path, download=True).read("train")
    assert not isinstance(error.value, UserError)
    assert "\n" not in str(error.value)
    for word in ("MNIST: the download failed", "https://ossci-datasets", "not known", MNIST.home, str(tmp_path)):
        assert word in str(error.value)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/", folder
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("intact", [True, False])
def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path], intact: bool) -> None:
    url, folder = server
    resources = []
    for name, content in files().items():
        packed = gzip.compress(content)
        (folder / f"{name}.gz").write_bytes(packed if intact else packed[:-1])
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [url])
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    dataset = MNIST(data_dir=tmp_path / "data", download=True, image_size=28)
    if intact:
        assert np.array_equal(pixels(dataset, "train")[:, 0].numpy(), images("train"))
        assert len(MNIST(data_dir=tmp_path / "data").read("test")) == COUNT["t10k"]
    else:
        with pytest.raises(DimeError, match=r"MNIST: the download failed .*corrupted"):
            dataset.read("train")
