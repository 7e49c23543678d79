"""Samples as files: a PNG that a person looks at and an .npz that a program reads."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from dimecli.data.batches import Batches
from dimecli.errors import DimeError
from dimecli.run.files import write_atomic
from dimecli.run.run import Drawn, Run

_SHOWN = 400  # images in a picture; the .npz has all
_READABLE = 64  # pixels: smaller images are enlarged to about this side in a picture


def save_samples(run: Run, drawn: Drawn) -> list[Path]:
    """Write `samples/001-gmm.png` and `.npz` (samples, codes, conditions as JSON) into the run; returns the paths.

    Of more than 400 samples the picture shows the first, and is called `001-gmm-first-400.png`.
    """
    arrays = _claim(run.path / "samples", drawn.conditions["density"]["name"])
    conditions = np.array(json.dumps(drawn.conditions))
    samples, codes = drawn.x.numpy(), drawn.codes.numpy()
    try:
        write_atomic(
            arrays, lambda file: np.savez_compressed(file, samples=samples, codes=codes, conditions=conditions)
        )
    except BaseException:
        arrays.unlink()
        raise
    capped = f"-first-{_SHOWN}" if len(drawn.x) > _SHOWN else ""
    png = arrays.with_name(f"{arrays.stem}{capped}.png")
    if run.model.spec.modality == "image":
        picture = write_atomic(png, lambda file: image_grid(drawn.x[:_SHOWN], file))
    else:
        data = next(Batches(run.samples("test"), torch.device("cpu")).ordered(len(drawn.x[:_SHOWN])))
        picture = write_atomic(png, lambda file: scatter(data, drawn.x[:_SHOWN], run.path.name, file))
    return [picture, arrays]


def _claim(folder: Path, density: str) -> Path:
    """An empty file for the next samples, whose name no other process has."""
    try:
        folder.mkdir(exist_ok=True)
        taken = [re.match(r"[0-9]+(?=-)", file.name) for file in folder.glob("*.npz")]
        number = max((int(found[0]) for found in taken if found), default=0)
        while True:
            number += 1
            file = folder / f"{number:03d}-{density}.npz"
            with suppress(FileExistsError), file.open("x"):
                return file
    except OSError as error:
        raise DimeError(f"cannot write into {folder}: {error.strerror}") from error


def image_grid(images: torch.Tensor, file: Path) -> None:
    """Write `(n, C, H, W)` images in [0, 1] as a nearly square grid, small ones enlarged and smoothed."""
    from torchvision.utils import make_grid, save_image

    scale = max(1, round(_READABLE / max(images.shape[-2:])))
    large = F.interpolate(images, scale_factor=scale, mode="bicubic").clamp(0, 1)
    if large.shape[1] not in (1, 3):
        large = large.mean(1, keepdim=True)  # channels that no screen has
    save_image(make_grid(large, nrow=math.ceil(math.sqrt(len(images))), pad_value=0.5), file)


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
