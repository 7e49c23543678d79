"""What becomes of a code when one dimension changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from dimecli.data.samples import Split
from dimecli.errors import UserError
from dimecli.run.decoding import drawn
from dimecli.run.interpolate import changes
from dimecli.run.pictures import image_table, paths
from dimecli.run.reconstruct import background
from dimecli.run.run import Run
from dimecli.run.sentences import write_sentences
from dimecli.run.style import title_of, write_figure


@dataclass(frozen=True)
class Traversed:
    """One code, moved along several dimensions.

    Args:
        split: Whose codes have the means and standard deviations.
        start: Place of the start in the split; None is the mean code.
        origin: `(l,)` the code that is moved.
        dimensions: `(d,)` which dimensions, that of the largest variance first.
        std: `(d,)` standard deviations of the codes along them; of latitudes in radians on the sphere.
        offsets: `(K,)` standard deviations from the mean that the moved dimension has.
        codes: `(d, K, l)`.
        x: `(d, K, *shape)` what they decode to.
        source: `(1, *shape)` what the origin decodes to.
    """

    split: Split
    start: int | None
    origin: torch.Tensor
    dimensions: torch.Tensor
    std: torch.Tensor
    offsets: torch.Tensor
    codes: torch.Tensor
    x: torch.Tensor
    source: torch.Tensor


def traverse(
    run: Run,
    start: int | None = None,
    dimensions: int = 10,
    steps: int = 7,
    span: float = 3.0,
    split: Split = "test",
) -> Traversed:
    """Decode a code while one dimension after another goes through the values that codes have there.

    Dimension d takes the values `mean_d + t std_d` of the split's codes, t from -span to span, while the
    others stay (InfoMax-VAE, appendix F). On the sphere the code turns along the great circle through it and
    the poles +-e_d: its latitude, `asin z_d`, takes these values, as far as the poles.

    Args:
        run: Whose codes.
        start: Place in the split of the sample whose code is moved; None takes the mean code.
        dimensions: How many, those along which the codes vary most.
        steps: Values of t.
        span: The largest t, in standard deviations.
        split: Where the codes are from.

    Raises:
        UserError: there is no such sample or split, or only one sample.
    """
    codes = run.codes(split)
    count = len(codes)
    if start is not None and not 0 <= start < count:
        raise UserError(f"--start {start}: should be a sample of the {split} split, from 0 to {count - 1}")
    if count < 2:
        raise UserError(f"--split {split}: it has 1 sample; a standard deviation needs 2")
    sphere = run.experiment.objective.latent_space == "sphere"
    places = (codes.clamp(-1, 1).asin() if sphere else codes).double()
    mean, std = places.mean(0), places.std(0)  # (l,)
    chosen = std.argsort(descending=True, stable=True)[:dimensions]
    origin = codes.mean(0) if start is None else codes[start]
    if sphere:
        origin = F.normalize(origin, dim=0)
    offsets = span * torch.arange(1 - steps, steps, 2, dtype=torch.float64) / (steps - 1)  # its middle is 0 exactly
    moved = torch.stack([moved_to(origin, int(d), mean[d] + offsets * std[d], sphere) for d in chosen])
    x = run.decode(moved.flatten(0, 1)).unflatten(0, moved.shape[:2])
    source = run.decode(origin[None])
    return Traversed(split, start, origin, chosen, std[chosen].float(), offsets.float(), moved, x, source)


def moved_to(code: torch.Tensor, dimension: int, values: torch.Tensor, sphere: bool) -> torch.Tensor:
    """`(K, l)` codes like the `(l,)` one, with these K values in one dimension; on the sphere they are latitudes.

    There the other coordinates keep their ratios: `z = cos(v) u + sin(v) e_d`, u the point of the equator of
    the pole e_d that is nearest to the code.
    """
    codes = code.repeat(len(values), 1)
    if sphere:
        values = values.clamp(-math.pi / 2, math.pi / 2)
        codes[:, dimension] = 0
        codes = F.normalize(codes, dim=1) * values.cos()[:, None].to(codes)
        values = values.sin()
    codes[:, dimension] = values.to(codes)
    return codes


def save_traversal(run: Run, found: Traversed) -> Path:
    """Write `figures/traversal-mean.png`, a row for each dimension, or `traversal-test-7.png` of a sample's code.

    Vectors are paths in the first two coordinates; of sentences there is a `.txt`. Returns its path.
    """
    mean = found.start is None
    file = run.path / "figures" / f"traversal-{'mean' if mean else f'{found.split}-{found.start}'}.png"
    modality = run.model.spec.modality
    if modality == "sentence":
        return write_sentences(file.with_suffix(".txt"), traversed_sentences(run, found))
    of = f"the mean {found.split} code" if mean else f"the code of {found.split} sample {found.start}"
    others = "keep their ratios" if run.experiment.objective.latent_space == "sphere" else "stay"
    what, names = f"One dimension of {of} changes, the others {others}", _names(run, found)
    if modality == "vector":
        title = title_of(run, f"{what}: {found.offsets[0]:+.2g} std (ring) to {found.offsets[-1]:+.2g} std")
        return write_figure(paths(background(run, found.split), found.x, title, names, f"{found.split} data"), file)
    images, columns = found.x, _marks(found)
    if not mean:
        images, columns = torch.cat([found.source.expand_as(found.x[:, :1]), found.x], 1), ["start", *columns]
    axis = "standard deviations of the codes from their mean"
    return write_figure(image_table(images, names, columns, title_of(run, what + drawn(run.model)), axis), file)


def traversed_sentences(run: Run, found: Traversed) -> Iterator[str]:
    """Lines for each dimension: the sentences that differ from the one before it, with the offsets of these."""
    for row, name in enumerate(_names(run, found)):
        yield name
        yield from changes(run, found.x[row], _marks(found))
        if row < len(found.dimensions) - 1:
            yield ""


def _marks(found: Traversed) -> list[str]:
    return [f"{offset:+.2g}" if offset else "0" for offset in found.offsets.tolist()]


def _names(run: Run, found: Traversed) -> list[str]:
    """Each dimension with its standard deviation, of an angle on the sphere."""
    sphere = run.experiment.objective.latent_space == "sphere"
    stds = [f"{math.degrees(std):.0f}°" if sphere else f"{std:.2g}" for std in found.std.tolist()]
    return [f"z[{d}], std {std}" for d, std in zip(found.dimensions.tolist(), stds, strict=True)]
