"""The options of the likelihood that datasets share, and binarised pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from dimecli.data.likelihood import Bernoulli, Gaussian, Laplace
from dimecli.data.logistic import Logistic
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli_plugins.datasets.arrays import Arrays
from dimecli_plugins.datasets.digits import Digits
from dimecli_plugins.datasets.gaussian_mixture import GaussianMixture
from dimecli_plugins.datasets.image_folder import ImageFolder


@pytest.fixture
def pixels(tmp_path: Path) -> Path:
    """300 grey images of 4 x 4 pixels, for training and for testing the same ones."""
    x = np.random.default_rng(0).integers(0, 256, (300, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "pixels.npz", x_train=x, x_test=x)
    return tmp_path / "pixels.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    return tmp_path


def values(samples: Samples) -> torch.Tensor:
    return torch.stack([samples.x[i] for i in range(len(samples))])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Gaussian(bounded=True)),
        ({"variance": 0.1, "noise": "predicted"}, Gaussian(variance=0.1, noise="predicted", bounded=True)),
        ({"likelihood": "laplace", "noise": "learned"}, Laplace(noise="learned", bounded=True)),
        ({"likelihood": "logistic"}, Logistic(noise="learned", levels=17)),
        ({"likelihood": "logistic", "noise": "fixed"}, Logistic(noise="fixed", levels=17)),
        ({"likelihood": "bernoulli", "binarize": "dynamic"}, Bernoulli(dynamic=True)),
        ({"likelihood": "bernoulli", "binarize": "static"}, Bernoulli()),
    ],
)
def test_images_have_the_likelihood_that_was_asked_for(options: dict[str, Any], expected: Any) -> None:
    assert Digits.model_validate(options).read("test").spec.likelihood == expected


def test_vectors_have_the_likelihood_that_was_asked_for(tmp_path: Path) -> None:
    laplace = GaussianMixture(likelihood="laplace", noise="predicted", samples=10).read("train")
    assert laplace.spec.likelihood == Laplace(noise="predicted")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(10, 3)))
    arrays = Arrays(path=tmp_path / "x.npy", variance=0.2, noise="learned")
    assert arrays.read("train").spec.likelihood == Gaussian(variance=0.2, noise="learned")


def test_the_logistic_of_arrays_is_for_pixels_of_eight_bits(pixels: Path, tmp_path: Path) -> None:
    assert Arrays(path=pixels, likelihood="logistic").read("train").spec.likelihood == Logistic(noise="learned")
    for x in (np.zeros((5, 3)), np.zeros((5, 4, 4), dtype=np.float32), np.zeros((5, 3), dtype=np.int64)):
        np.save(tmp_path / "x.npy", x)
        with pytest.raises(UserError, match=r"--likelihood logistic is for images of 8-bit pixels, uint8; .*x is"):
            Arrays(path=tmp_path / "x.npy", likelihood="logistic").read("train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "bernoulli", "variance": 0.1}, "--variance 0.1 is not for --likelihood bernoulli"),
        ({"likelihood": "bernoulli", "noise": "fixed"}, "--noise fixed is not for --likelihood bernoulli"),
        ({"binarize": "dynamic"}, "--binarize dynamic needs --likelihood bernoulli, got gaussian"),
        ({"likelihood": "logistic", "binarize": "static"}, "--binarize static needs --likelihood bernoulli"),
    ],
)
def test_what_makes_no_sense_together_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Digits.model_validate(options)


def test_static_pixels_are_drawn_once_with_their_values_as_probabilities(pixels: Path) -> None:
    plain = Arrays(path=pixels, likelihood="bernoulli")
    static = Arrays(path=pixels, likelihood="bernoulli", binarize="static")
    probability = torch.cat([values(plain.load(split)) for split in ("train", "validation")]).double() / 255
    train, validation = (values(static.load(split)) for split in ("train", "validation"))
    drawn = torch.cat([train, validation])
    assert drawn.dtype == torch.uint8
    assert set(drawn.unique().tolist()) == {0, 255}
    residual = drawn.double() / 255 - probability
    for part in (residual, residual * (probability - 0.5)):  # neither biased, nor drawn with another probability
        assert part.mean().abs() <= 5 * part.std() / part.numel() ** 0.5
    again = Arrays(path=pixels, likelihood="bernoulli", binarize="static")
    assert torch.equal(values(again.load("train")), train)
    assert again.load("test").fingerprint() == static.load("test").fingerprint() != plain.load("test").fingerprint()
    assert not torch.equal(values(static.load("test")).sum(0), drawn.sum(0))  # the same images, other draws


def test_static_digits_stay_float32() -> None:
    x = values(Digits(likelihood="bernoulli", binarize="static").load("test"))
    assert x.dtype == torch.float32
    assert set(x.unique().tolist()) == {0, 1}


def test_static_files_are_binarised_when_they_are_read(folder: Path) -> None:
    def dataset() -> ImageFolder:
        return ImageFolder(path=folder, likelihood="bernoulli", binarize="static")

    train = dataset().load("train")
    x = values(train)
    assert x.dtype == torch.uint8
    assert set(x.unique().tolist()) == {0, 255}
    assert torch.equal(values(train), x)
    assert torch.equal(values(dataset().load("train")), x)
    assert len({str(image.tolist()) for image in x}) == len(x)
    plain = ImageFolder(path=folder, likelihood="bernoulli").load("train")
    assert train.fingerprint() == dataset().load("train").fingerprint() != plain.fingerprint()
