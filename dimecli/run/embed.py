"""Codes in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from dimecli.data.samples import Split
from dimecli.data.sentences import Sentences
from dimecli.errors import UserError
from dimecli.plugin import Fitted
from dimecli.run.reconstruct import choose, observed, productions
from dimecli.run.run import Run
from dimecli.run.style import new_figure, title_of, write_figure
from dimecli.seeds import derive, generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Method = Literal["auto", "codes", "pca", "tsne", "umap"]

MASSES = (0.5, 0.9, 0.99)
"""Shares of a prior that lie within its contours."""

_FEWEST = 4  # codes that an embedding has something to say of
_PERPLEXITY = 30.0  # of t-SNE; less where there are few codes
_DRAWS = 20_000  # of a prior, to find the density that a share of them exceeds
_GRID = 200  # points along each axis where its density is evaluated
_MANY = 3000  # points: more are drawn smaller
_CLASSES = 20  # more have no colour and no line in the legend of their own
_TITLES = {"codes": "Codes", "pca": "PCA of the codes", "tsne": "t-SNE of the codes", "umap": "UMAP of the codes"}


@dataclass(frozen=True)
class Embedded:
    """Some codes of a split as points in the plane, or as longitudes and latitudes.

    Args:
        split: Where they are from.
        method: How they were brought to two dimensions; `codes` are as they are.
        indices: `(n,)` places of the samples in the split.
        points: `(n, 2)`; radians on a globe.
        axes: What the two coordinates are.
        globe: Whether the points are longitudes and latitudes of a sphere in three dimensions.
        values: `(n,)` classes, or lengths of derivations; None where there is neither.
    """

    split: Split
    method: Method
    indices: torch.Tensor
    points: torch.Tensor
    axes: tuple[str, str]
    globe: bool
    values: torch.Tensor | None


def embed(run: Run, method: Method = "auto", split: Split = "test", n: int = 2000, seed: int = 0) -> Embedded:
    """Bring the codes of n samples of a split, chosen by the seed, to two dimensions.

    Args:
        run: Whose codes.
        method: `codes` are drawn as they are: of two dimensions, or of three on the sphere as a map. `pca` are
            the two directions of the largest variance; `tsne` and `umap` keep neighbours near each other.
            `auto` is `codes` where they can be drawn so, else `tsne`.
        split: Where the codes are from.
        n: How many at most.
        seed: Of the choice and of the method.

    Raises:
        UserError: the method does not suit the codes or is not installed, there are too few or all are the same,
            there is no such split, or the data changed.
    """
    codes = run.codes(split)
    indices = choose(len(codes), n, seed)
    codes = codes[indices]
    size = codes.shape[1]
    if size == 1:
        raise UserError(f"--method {method}: the codes have 1 dimension; at least 2 are drawn")
    globe = size == 3 and run.experiment.objective.latent_space == "sphere"
    drawable = size == 2 or globe
    if method == "auto":
        method = "codes" if drawable else "tsne"
    if method == "codes" and not drawable:
        raise UserError(f"--method codes: the codes have {size} dimensions; it draws 2, or 3 on the sphere")
    if method != "codes":
        _check(codes, method)
    points, axes = _METHODS[method](codes, derive(seed, "embed") % 2**32)
    return Embedded(split, method, indices, points, axes, globe and method == "codes", _values(run, split, indices))


def _check(codes: torch.Tensor, method: Method) -> None:
    if len(codes) < _FEWEST:
        raise UserError(f"--method {method}: needs at least {_FEWEST} codes, got {len(codes)}")
    if (codes == codes[0]).all():
        raise UserError(f"--method {method}: all codes that it got are the same; the encoder has collapsed")


def _as_they_are(codes: torch.Tensor, seed: int) -> tuple[torch.Tensor, tuple[str, str]]:
    """Two dimensions, or the longitude and latitude of three."""
    if codes.shape[1] == 2:
        return codes, ("z[0]", "z[1]")
    x, y, z = codes.T
    return torch.stack([torch.atan2(y, x), z.clamp(-1, 1).asin()], 1), ("longitude", "latitude")


def _pca(codes: torch.Tensor, seed: int) -> tuple[torch.Tensor, tuple[str, str]]:
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full")
    points = torch.from_numpy(pca.fit_transform(codes.double().numpy())).float()
    first, second = pca.explained_variance_ratio_
    return points, (f"component 1 ({first:.1%} of the variance)", f"component 2 ({second:.1%} of the variance)")


def _tsne(codes: torch.Tensor, seed: int) -> tuple[torch.Tensor, tuple[str, str]]:
    """Van der Maaten and Hinton 2008, from the PCA on."""
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(codes) - 1) / 3)
    points = TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(codes.numpy())
    return torch.from_numpy(points), ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)")


def _umap(codes: torch.Tensor, seed: int) -> tuple[torch.Tensor, tuple[str, str]]:
    """McInnes et al. 2018."""
    try:
        from umap import UMAP
    except ImportError as error:
        raise UserError("--method umap: umap-learn is not installed: pip install 'dimecli[umap]'") from error

    points = UMAP(n_neighbors=min(15, len(codes) - 1), random_state=seed, n_jobs=1).fit_transform(codes.numpy())
    return torch.from_numpy(points), ("UMAP 1 (no unit)", "UMAP 2 (no unit)")


_METHODS = {"codes": _as_they_are, "pca": _pca, "tsne": _tsne, "umap": _umap}


def _values(run: Run, split: Split, indices: torch.Tensor) -> torch.Tensor | None:
    """Classes of images and vectors, numbers of productions of sentences."""
    likelihood = run.model.spec.likelihood
    if isinstance(likelihood, Sentences):
        return productions(likelihood, observed(run, split, indices))
    y = run.samples(split).y
    return None if y is None else y[indices]


def save_embedding(run: Run, found: Embedded) -> Path:
    """Write `figures/embedding-tsne-test.png`: the points coloured by class, or by length; returns its path.

    Over two-dimensional codes are contours within which shares of the prior lie, where there is a prior.
    """
    figure = new_figure((9, 5) if found.globe else (8, 6))
    axes: Any = figure.add_subplot(projection="mollweide" if found.globe else None)
    axes.set_title(title_of(run, f"{_TITLES[found.method]} of {len(found.points)} {found.split} samples"), fontsize=10)
    axes.set_xlabel(found.axes[0])
    axes.set_ylabel(found.axes[1])
    axes.grid(alpha=0.3)
    if not found.globe:
        axes.set_aspect("equal", adjustable="datalim")
    draw_points(run, found, axes)
    if found.method == "codes" and not found.globe:
        _draw_space(run, found, axes)
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside right center", fontsize=9, markerscale=2, frameon=False)
    return write_figure(figure, run.path / "figures" / f"embedding-{found.method}-{found.split}.png")


def draw_points(run: Run, found: Embedded, axes: Axes) -> None:
    """Draw the points in the colours of their classes, with a legend, or of their values, with a bar."""
    from matplotlib import colormaps

    classes = run.model.spec.classes
    size = 9 if len(found.points) <= _MANY else 4
    x, y = found.points.T
    if found.values is None:
        axes.scatter(x, y, s=size, linewidths=0)
    elif 0 < len(classes) <= _CLASSES:
        colours = colormaps["tab10" if len(classes) <= 10 else "tab20"]
        for number, name in enumerate(classes):
            of = found.values == number
            axes.scatter(x[of], y[of], s=size, color=colours(number), linewidths=0, alpha=0.8, label=name)
    else:
        drawn = axes.scatter(x, y, s=size, c=found.values, cmap="viridis", linewidths=0, alpha=0.8)
        axes.figure.colorbar(drawn, ax=axes, label="class" if classes else "productions in the derivation")


def _draw_space(run: Run, found: Embedded, axes: Axes) -> None:
    """The circle that two-dimensional codes lie on, or the prior that they are asked to have, if any."""
    from matplotlib.patches import Circle

    if run.experiment.objective.latent_space == "sphere":
        axes.add_patch(Circle((0, 0), 1, fill=False, color="0.6"))
    elif run.prior is not None:
        _draw_prior(axes, run.prior, found.points, run.device)


def _draw_prior(axes: Axes, prior: Fitted, points: torch.Tensor, device: torch.device) -> None:
    """Contours of the prior's density over the points and most of its draws."""
    draws, levels = contour_levels(prior, device)
    if not (levels.diff() > 0).all():  # a flat density has no contours
        return
    inside = draws[prior.log_prob(draws.to(device)).cpu() >= levels[0]]
    low, high = torch.cat([points, inside]).aminmax(dim=0)
    margin = 0.05 * (high - low)
    x, y = (torch.linspace(*ends, _GRID) for ends in zip(low - margin, high + margin, strict=True))
    grid = torch.cartesian_prod(x, y)
    heights = prior.log_prob(grid.to(device)).cpu().view(_GRID, _GRID).T
    lines = axes.contour(x, y, heights, levels=levels.tolist(), colors="0.2", linestyles="solid", linewidths=1)
    names = [f"{mass:.0%}" for mass in sorted(MASSES, reverse=True)]
    axes.clabel(lines, fmt=dict(zip(lines.levels, names, strict=True)), fontsize=8)
    axes.plot([], [], color="0.2", linewidth=1, label="prior: share inside")


def contour_levels(prior: Fitted, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws of the prior, and the `len(MASSES)` ascending log-densities in nats that shares MASSES of it exceed.

    The smallest region of that mass is where the density is above its quantile over draws (Hyndman 1996).
    """
    draws = prior.sample(_DRAWS, generator(0, "prior contours", device))
    shares = torch.tensor(sorted(1 - mass for mass in MASSES), dtype=torch.float64)
    return draws.cpu(), prior.log_prob(draws).double().cpu().quantile(shares)
