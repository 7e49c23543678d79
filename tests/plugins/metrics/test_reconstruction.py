"""Reconstruction errors against plain implementations in float64."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from dimecli.data.sentences import Productions
from dimecli.evaluation.subject import Subject
from dimecli.nn.masked import PixelCNNDecoder
from dimecli.plugin import Measured
from dimecli.registry import make
from dimecli.run.reconstruct import Reconstructed, reconstruct, squared_error
from dimecli.testing.runs import TinyRun

SQUARED = ["reconstruction/mse", "reconstruction/squared-error"]


def measured(subject: Any) -> dict[str, Measured]:
    return {one.name: one for one in make("metric", "reconstruction").measure(subject)}


def images(before: torch.Tensor, after: torch.Tensor, decoder: Any = None) -> Any:
    """What the metric needs of a subject."""
    model = SimpleNamespace(spec=SimpleNamespace(modality="image"), decoder=decoder)
    found = Reconstructed("test", torch.arange(len(before)), before, after)
    return SimpleNamespace(run=SimpleNamespace(model=model), reconstructed=found)


def pair(shape: tuple[int, ...], count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(sum(shape))
    before = torch.rand(count, *shape, generator=rng)
    before[0] = (before[0] > 0.7).float()  # mostly black, as digits are
    return before, (before + 0.2 * torch.randn(count, *shape, generator=rng)).clamp(0, 1)


def plain_ssim(x: Any, y: Any, window: int) -> float:
    """SSIM of two planes (Wang et al. 2004, eq. 13 with K = 0.01, 0.03), mirrored at the borders."""
    offsets = np.arange(window) - window // 2
    row = np.exp(-(offsets**2) / (2 * (1.5 * window / 11) ** 2))
    weights = np.outer(row, row) / row.sum() ** 2

    def mean(plane: Any) -> Any:
        return correlate(plane, weights, mode="mirror")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    found = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(found.mean())


@pytest.mark.parametrize(
    "shape", [(1, 32, 32), (3, 16, 16), (1, 13, 40), (1, 11, 11), (1, 8, 8), (3, 10, 10), (1, 4, 7)]
)
def test_ssim_equals_a_plain_implementation(shape: tuple[int, ...]) -> None:
    window = {8: 7, 10: 9, 4: 3}.get(shape[1], 11)
    before, after = pair(shape)
    found = measured(images(before, after))["reconstruction/ssim"]
    planes = zip(before.double().flatten(0, 1).numpy(), after.double().flatten(0, 1).numpy(), strict=True)
    assert found.value == pytest.approx(np.mean([plain_ssim(x, y, window) for x, y in planes]), abs=1e-5)
    assert found.conditions == {"n": 3, "decode": "mean", "window": window}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (1, 5, 12)])
def test_squared_errors_and_psnr_equal_loops(shape: tuple[int, ...]) -> None:
    before, after = pair(shape, 120)  # more than a batch
    per_image = ((before.double() - after.double()) ** 2).flatten(1).numpy()
    found = measured(images(before, after))
    assert found["reconstruction/mse"].value == pytest.approx(per_image.mean(), rel=1e-6)
    assert found["reconstruction/squared-error"].value == pytest.approx(per_image.sum(1).mean(), rel=1e-6)
    decibels = [10 * np.log10(1 / row.mean()) for row in per_image]
    assert found["reconstruction/psnr"].value == pytest.approx(np.mean(decibels), rel=1e-6)
    assert found["reconstruction/psnr"].unit == "dB"
    assert found["reconstruction/psnr"].conditions == {"n": 120, "decode": "mean"}


def test_images_that_are_drawn_pixel_by_pixel_say_so() -> None:
    found = measured(images(*pair((1, 8, 8)), decoder=PixelCNNDecoder.__new__(PixelCNNDecoder)))
    assert {one.conditions["decode"] for one in found.values()} == {"sample"}


def test_an_error_of_a_tenth_everywhere_is_20_decibels() -> None:
    before = torch.full((2, 1, 8, 8), 0.5)
    assert measured(images(before, before + 0.1))["reconstruction/psnr"].value == pytest.approx(20, rel=1e-5)


def test_images_that_come_back_exactly_have_no_psnr() -> None:
    before, after = pair((1, 8, 8))
    after[1:] = before[1:]
    found = measured(images(before, after))
    assert list(found) == [*SQUARED, "reconstruction/ssim"]
    remark = "no PSNR, which is infinite: 2 images came back exactly"
    assert [one.remark for one in found.values()] == [remark, "", ""]
    same = measured(images(before, before))
    assert same["reconstruction/mse"].value == 0
    assert same["reconstruction/ssim"].value == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kind", ["deterministic", "spherical", "variational"])
def test_the_squared_error_is_that_of_dime_reconstruct(tiny: dict[str, TinyRun], kind: str) -> None:
    run = tiny[f"{kind} codes of vectors"]
    found = measured(Subject(run, n=20))
    assert list(found) == SQUARED
    assert found[SQUARED[1]].value == squared_error(reconstruct(run, "test", 20))
    assert found[SQUARED[0]].value == pytest.approx(found[SQUARED[1]].value / 5)
    assert found[SQUARED[0]].remark == ""


def test_sentences_are_compared_word_for_word(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of sentences"]
    likelihood = run.model.spec.likelihood
    assert isinstance(likelihood, Productions)
    subject = Subject(run, n=40)
    after = subject.data.clone()
    after[:10] = subject.data[10]  # some of the ten may have been the same
    subject.__dict__["reconstructions"] = after
    texts = list(zip(likelihood.text(subject.data), likelihood.text(after), strict=True))
    pad = likelihood.compiled.pad
    symbols = zip(subject.data.flatten().tolist(), after.flatten().tolist(), strict=True)
    in_place = [a == b for a, b in symbols if a != pad]
    found = measured(subject)
    assert {name: one.value for name, one in found.items()} == {
        "reconstruction/exact": pytest.approx(np.mean([a == b for a, b in texts])),
        "reconstruction/symbols": pytest.approx(np.mean(in_place)),
    }
    assert all(one.conditions == {"n": 40, "decode": "argmax"} for one in found.values())
