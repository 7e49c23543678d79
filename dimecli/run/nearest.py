"""The training samples that are nearest to others: a model that copies what it was trained on is seen by them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dimecli.data.batches import Batches
from dimecli.data.samples import Samples
from dimecli.data.sentences import Sentences
from dimecli.errors import UserError
from dimecli.nn.distances import squared_distances
from dimecli.run.edit_distance import nearest_rows
from dimecli.run.pictures import image_table, paths
from dimecli.run.reconstruct import choose
from dimecli.run.run import Drawn, Run
from dimecli.run.style import title_of, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 1000
_ROWS = 32  # samples in a picture, or read at a time


@dataclass(frozen=True)
class Nearest:
    """Samples, and which k training samples are nearest to each, the nearest first.

    Args:
        drawn: The n samples.
        distances: `(n, k)`: Euclidean over the values, pixels in [0, 1]; of sentences the edit distance.
        indices: `(n, k)` places in the training split.
    """

    drawn: Drawn
    distances: torch.Tensor
    indices: torch.Tensor

    def first(self, n: int) -> Nearest:
        """The same of the first n samples."""
        drawn = Drawn(self.drawn.x[:n], self.drawn.codes[:n], self.drawn.conditions)
        return Nearest(drawn, self.distances[:n], self.indices[:n])

    def neighbours(self, run: Run) -> torch.Tensor:
        """`(n, k, *shape)`: the training samples themselves."""
        return _taken(run.samples("train"), self.indices)


def nearest(run: Run, drawn: Drawn, neighbours: int = 5) -> Nearest:
    """The training samples that are nearest to each sample.

    Raises:
        UserError: there are fewer training samples than `neighbours`, or they changed since training.
    """
    return Nearest(drawn, *nearest_training(run, drawn.x, neighbours))


def nearest_training(
    run: Run, x: torch.Tensor, k: int, most: int | None = None, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """`(n, k)` distances of `(n, *shape)` data to the nearest training samples, and the places of these.

    Images are compared as the dataset has them, grey also where the model is shown binary draws.

    Args:
        run: Whose training samples.
        x: What to find neighbours of.
        k: How many.
        most: Look at so many training samples at most, chosen by the seed; None: all.
        seed: Of that choice.

    Raises:
        UserError: as `nearest`.
    """
    samples = run.samples("train")
    places = choose(len(samples), most, seed)
    if k > len(places):
        raise UserError(f"--neighbours {k}: should be at most the number of training samples, {len(places)}")
    if len(places) < len(samples):
        samples = samples.take(places.tolist())
    likelihood = run.model.spec.likelihood
    if isinstance(likelihood, Sentences):
        pad = likelihood.parameters(run.model.spec.shape)[-1] - 1
        distances, found = nearest_rows(x, values(samples), pad, k)
    else:
        distances, found = _nearest_points(x, samples, k, run.device)
    return distances, places[found]


def values(samples: Samples) -> torch.Tensor:
    """`(n, *shape)`: all of the samples at once, as the dataset has them, pixels in [0, 1]."""
    return torch.cat(list(Batches(samples, torch.device("cpu")).ordered(_BATCH)))


def _nearest_points(
    x: torch.Tensor, samples: Samples, k: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `nearest_rows`, by Euclidean distance; the samples may be streamed.

    Which are nearest is told by products of matrices; the distances to these k are then taken by differences,
    so that those of copies are 0.
    """
    points, center = x.flatten(1).to(device), x.flatten(1).mean(0).to(device)
    best = torch.full((len(x), 0), torch.inf, device=device)
    indices, start = best.long(), 0
    for batch in Batches(samples, device).ordered(_BATCH):
        squared = squared_distances(points - center, batch.flatten(1) - center)
        places = torch.arange(start, start + len(batch), device=device).expand_as(squared)
        merged = torch.cat([best, squared], 1).topk(min(k, best.shape[1] + len(batch)), largest=False)
        best, indices = merged.values, torch.cat([indices, places], 1).gather(1, merged.indices)
        start += len(batch)
    indices = indices.cpu()
    parts = zip(x.split(_ROWS), indices.split(_ROWS), strict=True)
    distances = torch.cat([(_taken(samples, at) - rows[:, None]).flatten(2).norm(dim=2) for rows, at in parts])
    order = distances.argsort(dim=1, stable=True)
    return distances.gather(1, order), indices.gather(1, order)


def _taken(samples: Samples, indices: torch.Tensor) -> torch.Tensor:
    """`(n, k, *shape)`: the samples at `(n, k)` places."""
    return values(samples.take(indices.flatten().tolist())).view(*indices.shape, *samples.spec.shape)


def save_nearest(run: Run, found: Nearest) -> Path:
    """Write `figures/nearest-gmm.png`: a row for each of at most 32 images that were drawn, then its neighbours.

    Vectors are joined to the nearest training vector, in the first two coordinates.
    """
    density = found.drawn.conditions["density"]["name"]
    draw = _draw_images if run.model.spec.modality == "image" else _draw_vectors
    return write_figure(draw(run, found.first(_ROWS), density), run.path / "figures" / f"nearest-{density}.png")


def _draw_images(run: Run, found: Nearest, density: str) -> Figure:
    images = torch.cat([found.drawn.x[:, None], found.neighbours(run)], 1)  # (n, 1 + k, C, H, W)
    title = title_of(run, f"Samples of {density} and their nearest training images, with the distances")
    columns = ["sample", *map(str, range(1, images.shape[1]))]
    figure = image_table(images, [""] * len(images), columns, title)
    axes = figure.axes[0]
    half = axes.get_ylim()[0] - axes.get_yticks()[-1]  # from the middle of an image to its lower edge
    box = {"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1}
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "color": "white", "fontsize": 6, "bbox": box}
    for y, row in zip(axes.get_yticks(), found.distances.tolist(), strict=True):
        for x, distance in zip(axes.get_xticks()[1:], row, strict=True):
            axes.text(x, y + 0.9 * half, f"{distance:.3g}", **style)
    return figure


def _draw_vectors(run: Run, found: Nearest, density: str) -> Figure:
    training = run.samples("train")
    behind = values(training.take(choose(len(training), _BATCH, 0).tolist()))
    pairs = torch.stack([found.drawn.x, found.neighbours(run)[:, 0]], 1)  # (n, 2, D)
    title = title_of(run, f"Samples of {density}, each joined to the nearest training vector")
    return paths(behind, pairs, title, ["a sample, as a ring, and its neighbour"], "training data")
