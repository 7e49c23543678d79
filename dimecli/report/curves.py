"""How a training went: every term of the loss, in training and in validation, from `history.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dimecli.errors import DimeError
from dimecli.run.files import whole_lines
from dimecli.run.style import new_figure, title_of, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dimecli.run.run import Run

_ORDERS = 30.0  # a greater ratio of positive values is drawn on a logarithmic axis
_ACROSS = 3  # panels in a row
_PANEL = (3.4, 2.5)  # inches
_SHARES = "share of the encoder's gradient"
_MARKED = 12  # points that are marked one by one


@dataclass(frozen=True)
class Curve:
    """Values of a term after each epoch.

    Args:
        epochs: At least 1.
        values: As many.
    """

    epochs: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class History:
    """The terms of a training, each over its epochs.

    Args:
        train: Averages over the steps of an epoch, while the weights changed.
        validation: Averages over the validation samples at the end of an epoch.
        shares: Which share of the encoder's gradient each term had, at the epochs at which that was measured.
    """

    train: Mapping[str, Curve]
    validation: Mapping[str, Curve]
    shares: Mapping[str, Curve]

    @property
    def terms(self) -> list[str]:
        """Names of the terms; without the total where it is the only one."""
        names = list(dict.fromkeys((*self.validation, *self.train)))
        return [name for name in names if name != "total" or len(names) != 2]


def read_history(path: Path) -> History:
    """The history of the run in that folder.

    Raises:
        DimeError: there is none, or it is damaged; names the line.
    """
    file = path / "history.jsonl"
    curves: dict[str, dict[str, dict[float, float]]] = {"train": {}, "validation": {}, "gradient_share": {}}
    for number, line in enumerate(whole_lines(file), 1):
        try:
            record = json.loads(line)
            epoch = float(record["epoch"])
            for part, terms in curves.items():
                for name, value in record.get(part, {}).items():
                    if not math.isfinite(float(value)):
                        raise ValueError(f"{part}.{name} is {value}")
                    terms.setdefault(name, {})[epoch] = float(value)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise DimeError(f"{file}:{number}: damaged: {type(error).__name__}: {error}") from error
    if not curves["train"]:
        raise DimeError(f"{file} has no epoch")
    found = [{name: Curve([*of], [*of.values()]) for name, of in terms.items()} for terms in curves.values()]
    return History(*found)


def plot_curves(run: Run) -> Path:
    """Write `figures/curves.png`: a panel for each term, and one for the shares of the gradient; returns its path.

    Raises:
        DimeError: as `read_history`.
    """
    found = panels(read_history(run.path))
    across = min(_ACROSS, len(found))
    down = -(-len(found) // across)
    figure = new_figure((_PANEL[0] * across, _PANEL[1] * down))
    for place, (title, curves) in enumerate(found.items(), 1):
        axes = figure.add_subplot(down, across, place)
        _draw(axes, title, curves)
        axes.legend(fontsize=8, frameon=False)
    figure.suptitle(title_of(run, "Training"), fontsize=10)
    return write_figure(figure, run.path / "figures" / "curves.png")


def panels(history: History) -> dict[str, dict[str, Curve]]:
    """The curves that belong together, by their names, under the names of the terms; and the shares, if of several."""
    parts = {"training": history.train, "validation": history.validation}
    found = {term: {name: of[term] for name, of in parts.items() if term in of} for term in history.terms}
    return found | ({_SHARES: dict(history.shares)} if len(history.shares) > 1 else {})


def draw_curves(title: str, curves: Mapping[str, Curve]) -> Figure:
    """One panel, with the names of the curves below it."""
    figure = new_figure((4, 3.5))
    _draw(figure.add_subplot(), title, curves)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _draw(axes: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    """Lines, marked where they have few points; the axis is logarithmic where positive values span orders."""
    from matplotlib.ticker import MaxNLocator

    for name, curve in curves.items():
        few = len(curve.epochs) <= _MARKED
        axes.plot(curve.epochs, curve.values, label=name, linewidth=1.6, marker="o" if few else "", markersize=3.5)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("epoch", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if _spans_orders(value for curve in curves.values() for value in curve.values):
        axes.set_yscale("log")
    if title == _SHARES:
        axes.set_ylim(-0.03, 1.03)


def _spans_orders(values: Iterable[float]) -> bool:
    found = list(values)
    return min(found) > 0 and max(found) > _ORDERS * min(found)
