"""What several runs make, as blocks of a page: beside each other, or below each other where it is wide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import torch

from dimecli.report.page import Block, Picture, Pictures, Strips, Table, Text, dots, picture, reason_of
from dimecli.report.seen import Seen
from dimecli.run.embed import Embedded, draw_points, embed
from dimecli.run.interpolate import interpolate, save_interpolation, told
from dimecli.run.pictures import image_grid
from dimecli.run.reconstruct import reconstruct, save_comparison
from dimecli.run.run import Run
from dimecli.run.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 13  # images in a strip
_PAIRS = 2
_SENTENCES = 12
_VECTORS = 300
_EMBEDDED = 1000

_T = TypeVar("_T")

Beside = Mapping[str, Seen]
"""Runs by their labels."""


def samples(beside: Beside) -> Iterator[Block]:
    """Draws of the same density, fitted to the codes of each."""
    drawn, failed = each(beside, lambda seen: seen.drawn)
    yield from failed
    if not drawn:
        return
    modality = _modality(beside)
    if modality == "sentence":
        yield _columns({label: told(beside[label].run, of.x[:_SENTENCES]) for label, of in drawn.items()})
    else:
        shown = [picture(beside[label].sample_picture(), f"Samples of {label}", label) for label in drawn]
        yield Pictures(shown, wide=modality == "vector")
    yield Text(f"Each shows {beside[next(iter(drawn))].sampling}.")


def reconstructions(beside: Beside) -> Iterator[Block]:
    """The same test samples, decoded from the codes of each."""
    modality = _modality(beside)
    count = {"image": _COLUMNS, "sentence": _SENTENCES, "vector": _VECTORS}[modality]
    found, failed = each(beside, lambda seen: reconstruct(seen.run, "test", count, seen.seed))
    yield from failed
    if not found:
        return
    first = next(iter(found))
    if modality == "vector":
        shown = [(label, save_comparison(beside[label].run, of)) for label, of in found.items()]
        yield Pictures([picture(file, f"Reconstructions of {label}", label) for label, file in shown], wide=True)
    elif modality == "image":
        strips = {label: of.reconstructions for label, of in found.items()}
        yield _strips({"data": found[first].originals, **strips}, "Test samples decoded from their codes")
    else:
        columns = {label: told(beside[label].run, of.reconstructions) for label, of in found.items()}
        yield _columns({"data": told(beside[first].run, found[first].originals), **columns})


def interpolations(beside: Beside) -> Iterator[Block]:
    """The same pairs of test samples, and what each decodes on the arcs between their codes."""
    modality = _modality(beside)
    found, failed = each(beside, lambda seen: interpolate(seen.run, _PAIRS, _COLUMNS - 2, seed=seen.seed))
    yield from failed
    if not found:
        return
    if modality == "vector":
        shown = [(label, save_interpolation(beside[label].run, of)) for label, of in found.items()]
        yield Pictures([picture(file, f"Interpolations of {label}", label) for label, file in shown], wide=True)
    elif modality == "image":
        whole = {label: torch.cat([of.ends[:, :1], of.x, of.ends[:, 1:]], 1) for label, of in found.items()}
        yield _strips({label: of.flatten(0, 1) for label, of in whole.items()}, "Between two test samples")
        yield Text("At the ends are test samples; between them is what is decoded on the arc between their codes.")
    else:
        yield _columns({label: told(beside[label].run, of.x[0]) for label, of in found.items()})


def codes(beside: Beside) -> Iterator[Block]:
    """The codes of the same test samples in two dimensions."""
    found, failed = each(beside, lambda seen: embed(seen.run, n=_EMBEDDED, seed=seen.seed))
    yield from failed
    if not found:
        return
    alt = "Codes of {} in two dimensions"
    yield Pictures([dots(_plane(beside[label].run, of), alt.format(label), label) for label, of in found.items()])
    axes = dict.fromkeys(" and ".join(of.axes) for of in found.values())
    yield Text(f"Codes of the same test samples, at most {_EMBEDDED}. The axes are {', or '.join(axes)}.")


def each(beside: Beside, make: Callable[[Seen], _T]) -> tuple[dict[str, _T], list[Text]]:
    """What is made of each run by its label, and why nothing is made of others."""
    found, failed = {}, []
    for label, seen in beside.items():
        try:
            found[label] = make(seen)
        except Exception as error:  # of a plugin: whatever it is, the others are shown
            failed.append(Text(f"{label}: {reason_of(error)}"))
    return found, failed


def _modality(beside: Beside) -> str:
    return next(iter(beside.values())).modality


def _plane(run: Run, found: Embedded) -> Figure:
    """The points, small enough to stand beside others."""
    figure = new_figure((3.4, 3.6))
    axes = figure.add_subplot()
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    draw_points(run, found, axes)
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", ncols=5, fontsize=7, markerscale=1.5, frameon=False)
    return figure


def _strips(images: Mapping[str, torch.Tensor], alt: str) -> Strips:
    """Rows of images, named."""
    return Strips([_strip(of, f"{alt}: {label}", label) for label, of in images.items()])


def _strip(images: torch.Tensor, alt: str, label: str) -> Picture:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "strip.png"
        image_grid(images, file, _COLUMNS)
        return picture(file, alt, label)


def _columns(columns: Mapping[str, Sequence[str]]) -> Table:
    """Sentences beside each other, a column for each run."""
    rows = [(str(place), *row) for place, row in enumerate(zip_longest(*columns.values(), fillvalue=""), 1)]
    return Table(("", *columns), rows)
