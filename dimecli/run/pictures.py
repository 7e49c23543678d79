"""Pictures that a person looks at: images in a grid, vectors as points."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F

_READABLE = 64  # pixels: smaller images are enlarged to about this side in a picture


def image_grid(images: torch.Tensor, file: Path, columns: int | None = None) -> None:
    """Write `(n, C, H, W)` images in [0, 1] as a grid, nearly square by default, small ones enlarged and smoothed."""
    from torchvision.utils import make_grid, save_image

    scale = max(1, round(_READABLE / max(images.shape[-2:])))
    large = F.interpolate(images, scale_factor=scale, mode="bicubic").clamp(0, 1)
    if large.shape[1] not in (1, 3):
        large = large.mean(1, keepdim=True)  # channels that no screen has
    save_image(make_grid(large, nrow=columns or math.ceil(math.sqrt(len(images))), pad_value=0.5), file)


def scatter(data: torch.Tensor, samples: torch.Tensor, title: str, file: Path) -> None:
    """Draw the first two coordinates of `(n, D)` data and samples into one picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title, xlabel="x[0]", ylabel="x[1]" if data.shape[1] > 1 else "x[0]")
    for points, label, color in ((data, "test data", "0.7"), (samples, "samples", "tab:blue")):
        axes.scatter(points[:, 0], points[:, min(1, points.shape[1] - 1)], s=8, color=color, label=label)
    axes.legend()
    figure.savefig(file, dpi=120)
