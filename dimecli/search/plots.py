"""Pictures of a search: the best value so far, and what was predicted against what was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from dimecli.run.style import new_axes, write_figure
from dimecli.search.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ORDERS = 30.0  # a greater ratio of positive values is drawn on a logarithmic axis


def plot_best_so_far(folder: Path, results: Mapping[str, Result], title: str) -> Path:
    """Draw the best value against the evaluations, a line for each search; returns `best-so-far.png`."""
    figure, axes = new_axes(title, "evaluations", "")
    first = next(iter(results.values()))
    for name, result in results.items():
        axes.step(range(1, result.calls + 1), result.best_so_far, where="post", label=name)
    if first.initial_best is not None:
        label = f"best of the {len(first.initial)} it started from"
        axes.axhline(first.initial_best, color="0.6", linestyle="--", label=label)
    if first.problem.optimum is not None:
        axes.axhline(first.problem.optimum, color="0.3", linestyle=":", label="optimum")
    axes.set_ylabel(f"best {first.problem.value_name} so far")
    shown = torch.cat([result.best_so_far for result in results.values()])
    _logarithmic(axes, shown[shown.isfinite()], first.problem.optimum)
    axes.legend()
    return write_figure(figure, folder / "best-so-far.png")


def plot_predictions(folder: Path, result: Result, title: str) -> Path | None:
    """Draw values against what the search expected, with a standard deviation; `predicted.png`, None without any."""
    known = (result.valid & result.mean.isfinite()).nonzero().squeeze(1)
    if not len(known):
        return None
    mean, std, value = result.mean[known], result.std[known].nan_to_num(0.0), result.values[known]
    name = result.problem.value_name
    figure, axes = new_axes(title, f"predicted {name}", f"actual {name}")
    axes.errorbar(mean, value, xerr=std, fmt="none", ecolor="0.8", zorder=1)
    points = axes.scatter(mean, value, c=result.rounds[known], s=14, cmap="viridis", zorder=2)
    figure.colorbar(points, label="round", ticks=result.rounds[known].unique().tolist())
    ends = torch.cat([mean, value]).aminmax()
    axes.axline((ends.min.item(),) * 2, slope=1.0, color="0.4", linewidth=1, label="as predicted")
    axes.legend()
    return write_figure(figure, folder / "predicted.png")


def _logarithmic(axes: Axes, values: torch.Tensor, optimum: float | None) -> None:
    """Let small positive values be told apart where there are large ones; an optimum of 0 needs an axis that has it."""
    if len(values) and values.min() >= 0 and values.max() > _ORDERS * (least := values[values > 0].amin().item()):
        if optimum == 0 or values.min() == 0:
            axes.set_yscale("symlog", linthresh=least)
        else:
            axes.set_yscale("log")
