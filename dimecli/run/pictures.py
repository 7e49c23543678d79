"""Pictures that a person looks at: images in a grid or a table, vectors as points and paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from dimecli.run.style import DOTS, new_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_READABLE = 64  # pixels: smaller images are enlarged to about this side in a picture
_LARGEST = 128  # pixels: larger images are made smaller where many stand in a table
_GAP = 2  # pixels between images
_NAMED = 20  # paths: more have no colour and no name of their own


def image_grid(images: torch.Tensor, file: Path, columns: int | None = None) -> None:
    """Write `(n, C, H, W)` images in [0, 1] as a grid, nearly square by default, small ones enlarged and smoothed."""
    from torchvision.utils import make_grid, save_image

    nrow = columns or math.ceil(math.sqrt(len(images)))
    save_image(make_grid(_enlarged(images), nrow=nrow, pad_value=0.5), file)


def image_table(
    images: torch.Tensor, rows: Sequence[str], columns: Sequence[str], title: str, axis: str = ""
) -> Figure:
    """A figure of `(R, K, C, H, W)` images in [0, 1] with a label for each row and column.

    Small images are enlarged and smoothed, large ones made smaller; a pixel of an image is a pixel of the file.

    Args:
        images: What to show.
        rows: R labels, at the left.
        columns: K labels, above.
        title: Of the figure.
        axis: What the labels of the columns are.
    """
    from torchvision.utils import make_grid

    cells = _enlarged(images.flatten(0, 1))
    if (side := max(cells.shape[-2:])) > _LARGEST:
        cells = F.interpolate(cells, scale_factor=_LARGEST / side, mode="bicubic", antialias=True).clamp(0, 1)
    grid = make_grid(cells, nrow=images.shape[1], padding=_GAP, pad_value=1.0)  # (3, height, width)
    height, width = grid.shape[1:]
    figure = new_figure((width / DOTS, height / DOTS), layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(grid.permute(1, 2, 0).numpy(), interpolation="nearest", extent=(0, width, height, 0), aspect="auto")
    axes.set_frame_on(False)
    axes.set_xticks(_centres(images.shape[1], cells.shape[-1]), columns)
    axes.set_yticks(_centres(images.shape[0], cells.shape[-2]), rows)
    axes.tick_params(length=0, labelsize=9, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(axis, fontsize=9)
    axes.set_title(title, fontsize=10, pad=8)
    return figure


def scatter(data: torch.Tensor, samples: torch.Tensor, title: str, label: str = "test data") -> Figure:
    """A figure of the first two coordinates of `(n, D)` data and samples."""
    figure, axes = _plane(data, title, label)
    x, y = _first_two(samples).T
    axes.scatter(x, y, s=8, color="tab:blue", label="samples")
    axes.legend()
    return figure


def paths(data: torch.Tensor, points: torch.Tensor, title: str, labels: Sequence[str], label: str) -> Figure:
    """A figure of the first two coordinates of `(R, K, D)` points: R paths, each from a ring on, over `(n, D)` data.

    Args:
        data: What stands behind them.
        points: The paths.
        title: Of the figure.
        labels: A name for each path, or one for all.
        label: The data's.
    """
    figure, axes = _plane(data, title, label)
    named = len(labels) == len(points) <= _NAMED
    colours = [f"C{row % 10}" if named else "tab:blue" for row in range(len(points))]
    for row, (path, colour) in enumerate(zip(points, colours, strict=True)):
        name = labels[row] if named else labels[0] if row == 0 else None
        x, y = _first_two(path).T
        axes.plot(x, y, ".-" if named else "-", color=colour, linewidth=1, markersize=5, label=name)
        axes.plot(x[:1], y[:1], "o", color=colour, markersize=7 if named else 3, fillstyle="none")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _plane(data: torch.Tensor, title: str, label: str) -> tuple[Figure, Axes]:
    """Axes of the first two coordinates, of the same scale, with the data as grey points."""
    figure, axes = new_axes(title, "x[0]", "x[1]" if data.shape[1] > 1 else "x[0]", size=(7, 7))
    axes.set_aspect("equal", adjustable="datalim")
    x, y = _first_two(data).T
    axes.scatter(x, y, s=8, color="0.75", label=label)
    return figure, axes


def _first_two(points: torch.Tensor) -> torch.Tensor:
    """`(n, 2)` of `(n, D)`; a single coordinate is taken twice."""
    return points[:, [0, min(1, points.shape[1] - 1)]]


def _enlarged(images: torch.Tensor) -> torch.Tensor:
    """The images with 1 or 3 channels and sides that a person can see."""
    scale = max(1, round(_READABLE / max(images.shape[-2:])))
    large = F.interpolate(images, scale_factor=scale, mode="bicubic").clamp(0, 1)
    return large if large.shape[1] in (1, 3) else large.mean(1, keepdim=True)  # channels that no screen has


def _centres(count: int, side: int) -> list[float]:
    """Where the images of a row or a column have their middle, in pixels."""
    return [_GAP + side / 2 + place * (side + _GAP) for place in range(count)]
