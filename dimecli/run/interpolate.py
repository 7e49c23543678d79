"""Between two codes: points on arcs and lines, and what they decode to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from dimecli.data.samples import Split
from dimecli.errors import UserError
from dimecli.run.decoding import drawn
from dimecli.run.pictures import image_table, paths
from dimecli.run.reconstruct import background, observed
from dimecli.run.run import Run
from dimecli.run.sentences import texts, write_sentences
from dimecli.run.style import title_of, write_figure
from dimecli.seeds import generator

Way = Literal["spherical", "linear"]

_PARALLEL = 1e-4  # radians: below, and as near to opposite, the arc is not defined well enough
_INCOMPLETE = "(incomplete)"


@dataclass(frozen=True)
class Interpolated:
    """Pairs of samples, and what lies between their codes.

    Args:
        split: Where the samples are from.
        path: Along arcs or lines.
        indices: `(P, 2)` places of the samples in the split.
        ends: `(P, 2, *shape)` the samples, as they were shown to the model.
        codes: `(P, K, l)` codes at even steps from the first sample's to the second's.
        x: `(P, K, *shape)` what they decode to.
    """

    split: Split
    path: Way
    indices: torch.Tensor
    ends: torch.Tensor
    codes: torch.Tensor
    x: torch.Tensor

    @property
    def shares(self) -> list[float]:
        """How far each of the K codes is on the way, from 0 to 1."""
        return torch.linspace(0, 1, self.codes.shape[1], dtype=torch.float64).tolist()


def lerp(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    """`(n, l)` points on the straight lines from `(n, l)` codes a to b, at t from 0 to 1."""
    return torch.lerp(a, b, t)


def slerp(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    """`(n, l)` points on the arcs from `(n, l)` codes a to b, at t from 0 to 1 (Shoemake 1985).

    Directions turn evenly by `sin((1 - t) w) / sin w` and `sin(t w) / sin w`, w the angle between a and b;
    lengths change linearly from |a| to |b|. Where the two point the same way, or exactly opposite ways, or one
    is 0, there is no arc to choose: the line is taken.
    """
    long_a, long_b = (torch.linalg.vector_norm(codes, dim=1, keepdim=True) for codes in (a, b))
    u, v = a / long_a.clamp_min(1e-12), b / long_b.clamp_min(1e-12)
    angle = 2 * torch.atan2((u - v).norm(dim=1, keepdim=True), (u + v).norm(dim=1, keepdim=True))  # exact near 0 and pi
    arc = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    defined = (angle > _PARALLEL) & (angle < torch.pi - _PARALLEL) & (long_a > 0) & (long_b > 0)
    return torch.where(defined, torch.lerp(long_a, long_b, t) * arc, torch.lerp(a, b, t))


def interpolate(
    run: Run, pairs: int = 8, steps: int = 11, path: Way | None = None, split: Split = "test", seed: int = 0
) -> Interpolated:
    """Decode what lies between the codes of pairs of samples.

    Args:
        run: Whose codes.
        pairs: Pairs of different samples, chosen by the seed; no sample is in two.
        steps: Codes on each way, its two ends with them.
        path: `spherical` turns from one direction to the other (slerp), as RAE's interpolations do; `linear`
            is the straight line, which leaves the sphere where codes are on one. None is spherical.
        split: Where the samples are from.
        seed: Of the choice.

    Raises:
        UserError: the split has too few samples, there is no such split, or the data changed.
    """
    count = len(run.samples(split))
    if 2 * pairs > count:
        samples = f"{count} sample{'s' * (count != 1)}"
        raise UserError(f"--pairs {pairs}: should be at most {count // 2}, as the {split} split has {samples}")
    path = path or "spherical"
    indices = torch.randperm(count, generator=generator(seed, "interpolate"))[: 2 * pairs].view(pairs, 2)
    ends = observed(run, split, indices.flatten(), seed)
    a, b = run.encode(ends).unflatten(0, (pairs, 2)).unbind(1)
    between = slerp if path == "spherical" else lerp
    codes = torch.stack([between(a, b, step / (steps - 1)) for step in range(steps)], 1)
    x = run.decode(codes.flatten(0, 1), seed=seed).unflatten(0, (pairs, steps))
    return Interpolated(split, path, indices, ends.unflatten(0, (pairs, 2)), codes, x)


def save_interpolation(run: Run, found: Interpolated) -> Path:
    """Write `figures/interpolation-spherical-test.png`, a row for each pair, and return its path.

    Images stand between the two samples; vectors are paths in the first two coordinates; of sentences there
    is a `.txt`.
    """
    file = run.path / "figures" / f"interpolation-{found.path}-{found.split}.png"
    modality = run.model.spec.modality
    if modality == "sentence":
        return write_sentences(file.with_suffix(".txt"), interpolated_sentences(run, found))
    what, names = f"{found.path.capitalize()} interpolation between codes of {found.split} samples", _names(run, found)
    if modality == "vector":
        title = title_of(run, f"{what}, from the rings on")
        return write_figure(paths(background(run, found.split), found.x, title, names, f"{found.split} data"), file)
    images = torch.cat([found.ends[:, :1], found.x, found.ends[:, 1:]], 1)
    columns = ["data", *(f"{share:.2g}" for share in found.shares), "data"]
    return write_figure(
        image_table(images, names, columns, title_of(run, what + drawn(run.model)), "share of the way"), file
    )


def interpolated_sentences(run: Run, found: Interpolated) -> Iterator[str]:
    """Lines for each pair: its first sentence, those that differ from the one before on the way, its second."""
    for pair, (first, last) in enumerate(found.ends):
        yield f"data  {told(run, first[None])[0]}"
        yield from changes(run, found.x[pair], [f"{share:.2f}" for share in found.shares])
        yield f"data  {told(run, last[None])[0]}"
        if pair < len(found.ends) - 1:
            yield ""


def changes(run: Run, x: torch.Tensor, marks: Iterable[str]) -> Iterator[str]:
    """The sentences of `(K, T)` symbols, each behind its mark; one like that before it is left out."""
    before = None
    for mark, text in zip(marks, told(run, x), strict=True):
        if text != before:
            yield f"{mark}  {text}"
        before = text


def told(run: Run, x: torch.Tensor) -> list[str]:
    """The n sentences of `(n, T)` symbols, in words where one is incomplete."""
    return [_INCOMPLETE if text is None else text for text in texts(run, x)]


def _names(run: Run, found: Interpolated) -> list[str]:
    """A name for each pair: its classes, or its places in the split."""
    y, classes = run.samples(found.split).y, run.model.spec.classes
    if y is None:
        return [f"{first} to {last}" for first, last in found.indices.tolist()]
    return [f"{classes[first]} to {classes[last]}" for first, last in y[found.indices].tolist()]
