"""Images and vectors as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dimecli.run.pictures import image_grid, image_table, paths, scatter
from dimecli.run.style import write_figure

COLOURS = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, 0], [1, 1, 0], [0, 1, 1]]])  # (2, 3, RGB)


def table(channels: int, side: int) -> torch.Tensor:
    """A table of two rows and three columns of images of one colour each."""
    images = COLOURS[..., None, None].expand(2, 3, 3, side, side)
    return images if channels == 3 else images.mean(2, keepdim=True).expand(2, 3, channels, side, side)


@pytest.mark.parametrize(("side", "shown"), [(8, 64), (32, 64), (64, 64), (100, 100), (256, 128)])
def test_a_table_has_its_images_pixel_by_pixel(tmp_path: Path, side: int, shown: int) -> None:
    figure = image_table(table(3, side), ["a", "b"], ["1", "2", "3"], "A title that is wider than all the images", "x")
    with Image.open(write_figure(figure, tmp_path / "x.png")) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    for row in range(2):
        for column in range(3):
            there = (np.abs(pixels - 255 * COLOURS[row, column].numpy()) < 3).all(2)
            if row or column < 2:  # black is also that of letters, which is not counted here
                there &= bool(COLOURS[row, column].sum() > 0)
            if there.any():
                assert there.sum(0).max() == there.sum(1).max() == shown


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_are_grey(tmp_path: Path, channels: int) -> None:
    figure = image_table(table(channels, 16), ["", ""], ["", "", ""], "t")
    with Image.open(write_figure(figure, tmp_path / "x.png")) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == pixels[..., :1]).all()
    assert (pixels[..., 0] == 85).sum() > 3 * 60 * 60  # a third: red, green and blue


def test_a_grid_is_of_the_images_alone(tmp_path: Path) -> None:
    image_grid(torch.ones(5, 1, 8, 8), tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        assert image.size == (3 * 66 + 2, 2 * 66 + 2)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_points_and_paths(tmp_path: Path, size: int) -> None:
    data = torch.rand(30, size, generator=torch.Generator().manual_seed(0))
    figure = scatter(data, data + 1, "title")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("x[0]", "x[1]" if size > 1 else "x[0]", "title")
    shown = [np.asarray(points.get_offsets()) for points in axes.collections]
    expected = data[:, [0, min(1, size - 1)]].numpy()
    np.testing.assert_allclose(shown[0], expected)
    np.testing.assert_allclose(shown[1], expected + 1)
    figure = paths(data, data.view(3, 10, size), "title", ("a", "b", "c"), "data")
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines[::2]] == ["a", "b", "c"]
    np.testing.assert_allclose(np.asarray(lines[0].get_xydata()), expected[:10])
    np.testing.assert_allclose(np.asarray(lines[1].get_xydata()), expected[:1])  # the ring
    assert write_figure(figure, tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_paths_of_one_name_have_one_colour() -> None:
    data = torch.rand(30, 2, generator=torch.Generator().manual_seed(0))
    axes = paths(data, data.view(15, 2, 2), "title", ("all",), "data").axes[0]
    assert {line.get_color() for line in axes.lines} == {"tab:blue"}
    assert axes.get_legend_handles_labels()[1] == ["data", "all"]
