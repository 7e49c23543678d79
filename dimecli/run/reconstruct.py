"""How well a run gives back what it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from dimecli.data.batches import Batches
from dimecli.data.samples import Split
from dimecli.data.sentences import Characters, Sentences
from dimecli.run.decoding import drawn
from dimecli.run.pictures import image_table, paths
from dimecli.run.run import Run
from dimecli.run.style import title_of, write_figure
from dimecli.seeds import generator

_COLUMNS, _ROWS = 16, 4  # images in a picture, and below each its reconstruction
_POINTS, _BACKGROUND = 300, 1000  # vectors in a picture, and behind others
_BATCH = 500


@dataclass(frozen=True)
class Reconstructed:
    """Some samples of a split and what the model makes of their codes.

    Args:
        split: Where they are from.
        indices: `(n,)` places of the samples in the split.
        originals: `(n, *shape)`, as they were shown to the model.
        reconstructions: `(n, *shape)`, decoded from their codes.
    """

    split: Split
    indices: torch.Tensor
    originals: torch.Tensor
    reconstructions: torch.Tensor


@dataclass(frozen=True)
class Exact:
    """How many sentences came back word for word.

    Args:
        exact: Share of all.
        symbols: Share of the symbols, productions or characters without padding, that came back in their place.
        by_length: For each number of productions its sentences, and the share of them that are exact; of
            characters the number that parsing gives, 0 where it gives none.
        wrong: Sentence and reconstruction where they differ; None is a derivation that did not end.
    """

    exact: float
    symbols: float
    by_length: dict[int, tuple[int, float]]
    wrong: list[tuple[str, str | None]]


def reconstruct(run: Run, split: Split = "test", n: int | None = None, seed: int = 0) -> Reconstructed:
    """Encode and decode n samples of a split, chosen by the seed; all of them by default.

    Raises:
        UserError: there is no such split, or the data changed since the run was trained.
    """
    indices = choose(len(run.samples(split)), n, seed)
    shown = observed(run, split, indices, seed)
    return Reconstructed(split, indices, shown, run.decode(run.encode(shown), seed=seed))


def choose(count: int, n: int | None, seed: int) -> torch.Tensor:
    """`(min(n, count),)` ascending places of n samples among `count`, chosen by the seed; all of them by default."""
    return torch.randperm(count, generator=generator(seed, "reconstruct"))[:n].sort().values


def observed(run: Run, split: Split, indices: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """`(n, *shape)` samples at these places of a split, as they are shown to the model.

    Raises:
        UserError: there is no such split, or the data changed since the run was trained.
    """
    samples = run.samples(split).take(indices.tolist())
    batches = Batches(samples, torch.device("cpu"), workers=run.experiment.train.workers)
    rng = generator(seed, "reconstruct observe")
    return torch.cat([run.model.spec.likelihood.observe(x, rng) for x in batches.ordered(_BATCH)])


def background(run: Run, split: Split) -> torch.Tensor:
    """At most 1,000 samples of a split, for a picture to show behind others.

    Raises:
        UserError: as `observed`.
    """
    return observed(run, split, choose(len(run.samples(split)), _BACKGROUND, 0))


def squared_error(found: Reconstructed) -> float:
    """Squared error of one sample, summed over its elements, averaged over the samples."""
    return squared_errors(found).mean().item()


def squared_errors(found: Reconstructed) -> torch.Tensor:
    """`(n,)` squared errors of the samples, each summed over its elements, float64."""
    pairs = zip(found.originals.split(_BATCH), found.reconstructions.split(_BATCH), strict=True)
    return torch.cat([(x - y).double().square().flatten(1).sum(1) for x, y in pairs])


def save_comparison(run: Run, found: Reconstructed) -> Path:
    """Write `figures/reconstruction-test.png`, and return its path.

    Of images it shows at most 64, in rows, and below each its reconstruction. Of vectors it shows the first
    two coordinates of at most 300, each joined to its reconstruction.
    """
    title = title_of(run, f"Reconstructions of {found.split} samples{drawn(run.model)}")
    if run.model.spec.modality == "vector":
        pairs = torch.stack([found.originals, found.reconstructions], 1)[:_POINTS]  # (n, 2, D)
        names = ("sample (ring) and its reconstruction",)
        figure = paths(found.originals, pairs, title, names, f"{found.split} data")
    else:
        columns = min(_COLUMNS, len(found.originals))
        shown = min(_ROWS, len(found.originals) // columns) * columns
        rows = zip(found.originals[:shown].split(columns), found.reconstructions[:shown].split(columns), strict=True)
        images = torch.stack([row for pair in rows for row in pair])
        labels = ("data", "decoded") * (len(images) // 2)
        figure = image_table(images, labels, [""] * columns, title)
    return write_figure(figure, run.path / "figures" / f"reconstruction-{found.split}.png")


def exact_match(run: Run, found: Reconstructed) -> Exact:
    """What `Exact` says about the sentences that were reconstructed."""
    likelihood = run.model.spec.likelihood
    assert isinstance(likelihood, Sentences)
    before, after = likelihood.text(found.originals), likelihood.text(found.reconstructions)
    same = torch.tensor([a == b for a, b in zip(before, after, strict=True)])
    lengths = productions(likelihood, found.originals)
    by_length = {
        int(length): (int((chosen := lengths == length).sum()), same[chosen].float().mean().item())
        for length in lengths.unique()
    }
    pad = likelihood.parameters(run.model.spec.shape)[-1] - 1
    real = found.originals != pad
    return Exact(
        exact=same.float().mean().item(),
        symbols=(found.originals == found.reconstructions)[real].float().mean().item(),
        by_length=by_length,
        wrong=[(str(a), b) for a, b in zip(before, after, strict=True) if a != b],
    )


def productions(likelihood: Sentences, x: torch.Tensor) -> torch.Tensor:
    """`(n,)` lengths of the derivations of `(n, T)` ids; characters are parsed to know them."""
    grammar = likelihood.compiled
    if isinstance(likelihood, Characters):
        x = torch.from_numpy(grammar.parse_all([str(text) for text in likelihood.text(x)])[0])
    return (x != grammar.pad).sum(1)
