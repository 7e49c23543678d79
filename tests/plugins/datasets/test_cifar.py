from __future__ import annotations

import hashlib
import pickle
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from dimecli.data.likelihood import Bernoulli
from dimecli.errors import DimeError, UserError
from dimecli_plugins.datasets.cifar10 import CIFAR10
from dimecli_plugins.datasets.cifar100 import CIFAR100

ROWS = 4
CLASSES = {"CIFAR10": 10, "CIFAR100": 100}


def batch(source: str, name: str) -> dict[str, Any]:
    rng = np.random.default_rng(len(name) + ord(name[-1]))
    rows = rng.integers(0, 256, (ROWS, 3072), dtype=np.uint8)
    labels = rng.integers(0, CLASSES[source], ROWS).tolist()
    return {"data": rows, "labels" if source == "CIFAR10" else "fine_labels": labels}


def write(monkeypatch: pytest.MonkeyPatch, root: Path, source: str) -> Path:
    """The dataset's files with other contents, and torchvision told their MD5."""
    dataset = getattr(torchvision.datasets, source)
    folder = root / str(dataset.base_folder)
    folder.mkdir()

    def save(name: str, content: object) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    for files in ("train_list", "test_list"):
        names = [name for name, _ in getattr(dataset, files)]
        monkeypatch.setattr(dataset, files, [[name, save(name, batch(source, name))] for name in names])
    meta = dict(dataset.meta)
    meta["md5"] = save(meta["filename"], {meta["key"]: [f"class {i}" for i in range(CLASSES[source])]})
    monkeypatch.setattr(dataset, "meta", meta)
    return folder


@pytest.mark.parametrize("plugin", [CIFAR10, CIFAR100])
@pytest.mark.parametrize("split", ["train", "test"])
def test_reads_what_the_files_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin: type[CIFAR10], split: Any
) -> None:
    write(monkeypatch, tmp_path, plugin.source)
    samples = plugin(data_dir=tmp_path).read(split)
    names = [name for name, _ in getattr(getattr(torchvision.datasets, plugin.source), f"{split}_list")]
    batches = [batch(plugin.source, name) for name in names]
    assert isinstance(samples.x, torch.Tensor)
    assert samples.y is not None
    assert samples.x.dtype == torch.uint8
    assert samples.spec.shape == (3, 32, 32)
    assert samples.spec.classes == tuple(f"class {i}" for i in range(CLASSES[plugin.source]))
    expected = np.concatenate([each["data"] for each in batches])
    assert np.array_equal(samples.x.numpy().reshape(-1, 3072), expected)  # red, green, blue, each row by row
    assert samples.y.tolist() == [y for each in batches for key in each if "labels" in key for y in each[key]]


def test_the_likelihood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(monkeypatch, tmp_path, "CIFAR10")
    dataset = CIFAR10(data_dir=tmp_path, likelihood="bernoulli", validation=0.3)
    assert dataset.read("train").spec.likelihood == Bernoulli()
    assert [len(dataset.load(split)) for split in ("train", "validation", "test")] == [14, 6, 4]


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_a_file_with_another_md5_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = write(monkeypatch, tmp_path, "CIFAR10")
    (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(UserError, match=r"CIFAR10: .*cifar-10-batches-py is incomplete or damaged; --download"):
        CIFAR10(data_dir=tmp_path).read("train")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("plugin", [CIFAR10, CIFAR100])
def test_missing(tmp_path: Path, plugin: type[CIFAR10]) -> None:
    with pytest.raises(UserError) as error:
        plugin(data_dir=tmp_path).read("test")
    for word in (plugin.__name__, str(tmp_path / plugin.folder), "does not exist", "--download", "--data-dir"):
        assert word in str(error.value)


def test_the_download_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(DimeError, match=r"CIFAR10: the download failed .*not known.*www\.cs\.toronto\.edu"):
        CIFAR10(data_dir=tmp_path, download=True).read("train")


def test_a_download_that_is_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"no archive")
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", hashlib.md5(b"no archive").hexdigest())
    with pytest.raises(DimeError, match=r"CIFAR10: the download failed \(.*(gzip|tar|archive)"):
        CIFAR10(data_dir=tmp_path, download=True).read("train")
