"""How every figure looks: legible axes, a title that names the run, its objective and its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dimecli.run.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dimecli.run.run import Run

DOTS = 120
"""Pixels per inch of every figure."""


def title_of(run: Run, what: str) -> str:
    """What a picture shows and of which run, in two short lines."""
    config = run.record["config"]
    data = run.experiment.dataset.label or config["dataset"]["name"]
    return f"{what}\n{run.path.name}: {config['objective']['name']} on {data}"


def new_figure(size: tuple[float, float] = (7, 4.5), layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure, in inches, that no window shows; without a layout the caller places everything."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def new_axes(title: str, x: str, y: str, size: tuple[float, float] = (7, 4.5)) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; x and y name what is drawn, and its unit."""
    figure = new_figure(size)
    axes: Any = figure.add_subplot(xlabel=x, ylabel=y)
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    return figure, axes


def write_figure(figure: Figure, file: Path) -> Path:
    """Write the figure as what the file's suffix says, atomically; returns the path.

    One without a layout becomes as large as what stands on it, titles and labels with it.
    """
    box = "tight" if figure.get_layout_engine() is None else None
    return write_atomic(file, lambda temporary: figure.savefig(temporary, dpi=DOTS, bbox_inches=box))
