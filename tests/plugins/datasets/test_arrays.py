from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli_plugins.datasets.arrays import Arrays

RNG = np.random.default_rng(0)


def values(samples: Samples) -> torch.Tensor:
    assert isinstance(samples.x, torch.Tensor)
    return samples.x


def labels(samples: Samples) -> list[int]:
    assert samples.y is not None
    return samples.y.tolist()


def npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path / "data.npz", **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its options
    return path / "data.npz"


def halves(path: Path, x: np.ndarray, **options: Any) -> tuple[Samples, Samples]:
    """x as both splits, in order."""
    dataset = Arrays(path=npz(path, x_train=x, x_test=x[:1]), **options)
    return dataset.read("train"), dataset.read("test")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "bool", ">f4", "longdouble"])
def test_vectors_are_taken_as_they_are(tmp_path: Path, dtype: str) -> None:
    x = (RNG.random((6, 4)) * 100).astype(dtype)
    train, test = halves(tmp_path, x)
    assert train.spec.modality == "vector"
    assert train.spec.shape == (4,)
    assert train.spec.likelihood == Gaussian()
    assert values(train).dtype == torch.float32
    assert values(train).tolist() == x.astype("float32").tolist()
    assert values(test).tolist() == x[:1].astype("float32").tolist()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((5, 8, 9), None),
        ((5, 8, 9, 1), (0, 3, 1, 2)),
        ((5, 8, 9, 3), (0, 3, 1, 2)),
        ((5, 1, 8, 9), (0, 1, 2, 3)),
        ((5, 3, 8, 9), (0, 1, 2, 3)),
        ((5, 3, 8, 3), (0, 1, 2, 3)),
    ],
)
def test_images_have_their_channels_first(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], order: tuple[int, ...] | None
) -> None:
    x = RNG.integers(0, 256, shape).astype("uint8") if dtype == "uint8" else RNG.random(shape).astype(dtype)
    train, _ = halves(tmp_path, x)
    expected = x[:, None] if order is None else x.transpose(order)
    assert train.spec.modality == "image"
    assert train.spec.shape == expected.shape[1:]
    assert train.spec.likelihood == Gaussian(bounded=True)
    assert values(train).dtype == (torch.uint8 if dtype == "uint8" else torch.float32)
    assert values(train).is_contiguous()
    assert values(train).tolist() == expected.astype("uint8" if dtype == "uint8" else "float32").tolist()


def test_bernoulli(tmp_path: Path) -> None:
    for x in (RNG.random((6, 4)), RNG.integers(0, 2, (6, 4)), RNG.random((6, 4, 4))):
        assert halves(tmp_path, x, likelihood="bernoulli")[0].spec.likelihood == Bernoulli()
    with pytest.raises(UserError, match=r"data\.npz: x_train\[1, 2\] is -0\.5; allowed: \[0, 1\]"):
        halves(tmp_path, np.array([[0, 0, 1], [1, 0, -0.5]]), likelihood="bernoulli")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("share", [None, 0.3])
def test_a_share_is_split_off(tmp_path: Path, suffix: str, share: float | None) -> None:
    x = np.arange(40.0).reshape(20, 2)
    path = tmp_path / f"x{suffix}"
    np.save(path, x) if suffix == ".npy" else np.savez(path, x=x, y=np.arange(20) % 4)
    dataset = Arrays(path=path, test=share)
    train, test = dataset.read("train"), dataset.read("test")
    assert [len(train), len(test)] == ([16, 4] if share is None else [14, 6])
    assert sorted(values(train).tolist() + values(test).tolist()) == x.tolist()
    for part in (train, test):
        if suffix == ".npz":
            assert labels(part) == (values(part)[:, 0].long() // 2 % 4).tolist()
        else:
            assert part.y is None
    assert dataset.read("test").fingerprint() == test.fingerprint()
    assert [len(dataset.load(split)) for split in ("train", "validation")] == [
        len(train) - round(len(train) / 10),
        round(len(train) / 10),
    ]


@pytest.mark.parametrize(
    ("y_train", "y_test", "classes", "train", "test"),
    [
        ([3, 1, 3, 1], [3, 1], ("1", "3"), [1, 0, 1, 0], [1, 0]),
        ([-1, 1, 1, 1], [5, 1], ("-1", "1", "5"), [0, 1, 1, 1], [2, 1]),
        (["cat", "ape", "dog", "ape"], ["dog", "cat"], ("ape", "cat", "dog"), [1, 0, 2, 0], [2, 1]),
    ],
)
def test_labels(
    tmp_path: Path, y_train: list[Any], y_test: list[Any], classes: tuple[str, ...], train: list[int], test: list[int]
) -> None:
    x = RNG.random((4, 3))
    path = npz(tmp_path, x_train=x, x_test=x[:2], y_train=np.array(y_train), y_test=np.array(y_test))
    for split, expected in (("train", train), ("test", test)):
        samples = Arrays(path=path).read("train" if split == "train" else "test")
        assert samples.spec.classes == classes
        assert labels(samples) == expected


def test_the_fingerprint_follows_the_data(tmp_path: Path) -> None:
    x = RNG.random((10, 3))
    before = Arrays(path=npz(tmp_path, x=x)).read("train").fingerprint()
    assert Arrays(path=npz(tmp_path, x=x)).read("train").fingerprint() == before
    assert Arrays(path=npz(tmp_path, x=x), test=0.5).read("train").fingerprint() != before
    assert Arrays(path=npz(tmp_path, x=x, y=np.arange(10))).read("train").fingerprint() != before
    assert Arrays(path=npz(tmp_path, x=x + 1)).read("train").fingerprint() != before


IMAGES = np.full((4, 5, 6), 0.5)
VECTORS = np.ones((4, 3))


def changed(array: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": changed(IMAGES, (2, 0, 3), 255)}, r"x\[2, 0, 0, 3\] is 255\.0; allowed: \[0, 1\]"),
        ({"x": changed(IMAGES, (2, 1, 3), -1e-3)}, r"x\[2, 0, 1, 3\] is -0\.001; allowed: \[0, 1\]"),
        ({"x": changed(IMAGES, (0, 0, 0), np.nan)}, r"x\[0, 0, 0, 0\] is nan; allowed: \[0, 1\]"),
        ({"x": changed(VECTORS, (1, 2), np.nan)}, r"x\[1, 2\] is nan; allowed: finite numbers"),
        ({"x": changed(VECTORS, (3, 0), -np.inf)}, r"x\[3, 0\] is -inf; allowed: finite numbers"),
        ({"x": changed(VECTORS, (3, 0), 1e39)}, r"x\[3, 0\] is 1e\+39; allowed: finite .*float32"),
        ({"x": changed(VECTORS.astype("float16"), (3, 0), np.inf)}, r"x\[3, 0\] is inf; allowed: finite"),
        ({"x": IMAGES.astype("int64")}, r"x has the type int64; allowed: uint8, or floats in \[0, 1\]"),
        ({"x": VECTORS.astype("complex64")}, r"x has the type complex64; allowed: numbers"),
        ({"x": VECTORS.astype("str")}, r"x has the type <U32; allowed: numbers"),
        ({"x": np.ones(4)}, r"x has the shape \(4,\); allowed: \(N, D\)"),
        ({"x": np.ones((4, 1, 1, 1, 1))}, r"x has the shape \(4, 1, 1, 1, 1\)"),
        ({"x": np.ones((0, 3))}, r"x has the shape \(0, 3\); allowed: .*not empty"),
        ({"x": np.ones((4, 5, 6, 7))}, r"x has the shape \(4, 5, 6, 7\); allowed: 1 or 3 channels"),
        ({"x": VECTORS, "y": np.arange(3)}, r"x has 4 samples, y 3 labels"),
        ({"x": VECTORS, "y": np.ones(4)}, r"y has the type float64 and the shape \(4,\); allowed: integers or strings"),
        ({"x": VECTORS, "y": np.ones((4, 1), int)}, r"y has the type int64 and the shape \(4, 1\)"),
        ({"x_train": VECTORS, "x_test": VECTORS[:, :2]}, r"x_train have the shape \(3,\), of x_test \(2,\)"),
        ({"x_train": VECTORS, "x_test": IMAGES * np.nan}, r"x_train have the shape \(3,\), of x_test \(5, 6\)"),
        (
            {"images": VECTORS},
            r"data\.npz holds images; allowed: x \| x y \| x_test x_train \| x_test x_train y_test y_train$",
        ),
        ({"x_train": VECTORS}, r"data\.npz holds x_train; allowed"),
        ({"x": VECTORS, "x_test": VECTORS}, r"data\.npz holds x, x_test; allowed"),
        ({"x_train": VECTORS, "x_test": VECTORS, "y_test": np.arange(4)}, r"holds x_test, x_train, y_test; allowed"),
        ({}, r"data\.npz holds nothing; allowed"),
        ({"x": np.array([[None, 1]])}, r"data\.npz cannot be read as a NumPy file \(ValueError: Object arrays"),
    ],
)
def test_what_an_array_must_be(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Arrays(path=npz(tmp_path, **arrays)).read("train")
    assert "data.npz" in str(error.value)


def test_a_test_share_of_a_file_with_test_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--test 0\.1: .*data\.npz has test samples of its own, x_test"):
        Arrays(path=npz(tmp_path, x_train=VECTORS, x_test=VECTORS), test=0.1).read("train")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("content", ["cut", "", "text", "bits"])
def test_a_damaged_file(tmp_path: Path, suffix: str, content: str) -> None:
    path = tmp_path / f"data{suffix}"
    x = RNG.random((50, 30))
    np.save(path, x) if suffix == ".npy" else np.savez_compressed(path, x=x)
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "cut": whole[:-500],
        "": b"",
        "text": b"1,2,3\n4,5,6\n" * 50,
        "bits": whole[:middle] + bytes(64) + whole[middle + 64 :] if suffix == ".npz" else whole[:8] + b"\xff" * 4,
    }
    path.write_bytes(damaged[content])
    says = "cannot be read as a NumPy file" if content in ("cut", "bits") else "is no .npy or .npz file$"
    with pytest.raises(UserError, match=rf"data\{suffix} {says}"):
        Arrays(path=path).read("train")


def test_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.npz", tmp_path):
        with pytest.raises(UserError, match=rf"--path {path}: no such file"):
            Arrays(path=path).read("train")


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    trap = np.empty(1, dtype=object)
    trap[0] = Trap(tmp_path / "sprung")
    np.save(tmp_path / "object.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "object.npz", x=trap)
    for name in ("plain.npy", "object.npy", "object.npz"):
        with pytest.raises(UserError, match=rf"{name} (cannot be read as a NumPy file|is no \.npy)"):
            Arrays(path=tmp_path / name).read("train")
    assert not (tmp_path / "sprung").exists()


def test_a_member_that_is_no_array(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x", "1,2,3")
    with pytest.raises(UserError, match=r"data\.npz: x is no array; allowed: what numpy\.savez writes"):
        Arrays(path=tmp_path / "data.npz").read("train")
