"""MIM beside a VAE of the same layers on mixtures of five Gaussians: Figures 3 and 4 of the MIM paper, made small.

    pip install -e '.[benchmark]'
    python benchmarks/mim_toy.py                  # three seeds; some six minutes of one core
    python benchmarks/mim_toy.py --seeds 10 --epochs 200

Encoder and decoder have two tanh layers; both predict means and variances (`--noise predicted`). Figure 3:
data and codes of 2 dimensions, 5, 20 or 500 hidden units. Figure 4: data of 20 dimensions, 100 hidden
units (the paper does not say), codes of 2 to 20. Means and standard deviations over the seeds, on the
test split:

information     mutual information of x and one draw z of q(z|x), nats; KSG estimator with 5 neighbours
error           root of the mean of |x - x'|^2, x' a draw of p(x|z)
accuracy        of the component, by the 5 nearest training draws of z
bound           -(log p(x|z) + log p(z) - log q(z|x)), nats: the negative ELBO, by which the paper judges
nll             -log p(x) by importance sampling with q(z|x), 64 draws for 2,000 samples, nats
posterior std   geometric mean of the standard deviations of q(z|x)

With a posterior much narrower than that of the decoder, `nll` is an upper bound and no more. In 20 dimensions
the KSG estimator says far too little, as the result file shows on Gaussians: it ranks, and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from dimecli.api import Run, train
from dimecli.evaluation.information import ksg
from dimecli.machine import describe
from dimecli.registry import make
from dimecli_plugins.datasets.gaussian_mixture import STD

NEIGHBOURS = 5
SAMPLES = 4_000  # of the 10,000 for testing, where the distances of all pairs are needed
OBJECTIVES: dict[str, dict[str, Any]] = {"mim": {}, "vae": {"beta": 1.0}}
FIGURES: dict[str, list[dict[str, int]]] = {
    "figure 3": [{"dimension": 2, "latent": 2, "hidden": hidden} for hidden in (5, 20, 500)],
    "figure 4": [{"dimension": 20, "latent": latent, "hidden": 100} for latent in (2, 5, 10, 20)],
}
AXES = {"figure 3": "hidden", "figure 4": "latent"}
PAPER = {"information": 1, "error": -1, "accuracy": 1, "bound": 1}
"""The sign of MIM's number less that of the VAE, as section 6.2 of the paper says of both figures."""


def main() -> None:
    """Trains, measures, prints and writes the result file and the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15, help="of 9,000 samples (default: %(default)s; the paper 200)")
    parser.add_argument("--threads", type=int, default=1)
    default = Path(__file__).parent / "results" / "mim-toy.json"
    parser.add_argument("--output", type=Path, default=default, help="result file (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    about = {
        "machine": describe(torch.device("cpu"))
        | {name: version(name) for name in ("dimecli", "scikit-learn")}
        | {"load": os.getloadavg()[1]},
        "conditions": {"seeds": options.seeds, "epochs": options.epochs, "neighbours": NEIGHBOURS, "samples": SAMPLES},
        "ksg of correlated Gaussians": known_information(),
        "entropy of the data": entropies(),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for figure, settings in FIGURES.items():
        for setting in settings:
            for objective in OBJECTIVES:
                started = time.process_time()
                each = [measure(objective, setting, seed, options.epochs) for seed in range(options.seeds)]
                seconds = {"cpu seconds": time.process_time() - started}
                rows.append({"figure": figure, "objective": objective, **setting, **summary(each), **seconds})
                print(line(rows[-1]), flush=True)
            found = about | {"as in the paper": agreement(rows), "rows": rows}
            options.output.write_text(json.dumps(found, indent=2) + "\n")
    draw(options.output.with_suffix(".png"), rows)
    print(json.dumps(agreement(rows), indent=2))


def measure(objective: str, setting: Mapping[str, int], seed: int, epochs: int) -> dict[str, float]:
    """The numbers of one run."""
    widths = (setting["hidden"],) * 2
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            make("objective", objective, latent_size=setting["latent"], **OBJECTIVES[objective]),
            make("dataset", "gaussian-mixture", dimension=setting["dimension"], noise="predicted", data_seed=seed),
            make("network", "mlp", widths=widths, activation="tanh"),
            runs=folder,
            epochs=epochs,
            batch_size=128,
            warm_up=3,
            seed=seed,
            device="cpu",
        )
        return numbers(run, torch.Generator().manual_seed(seed))


@torch.no_grad()
def numbers(run: Run, rng: torch.Generator) -> dict[str, float]:
    """Measures on the test split."""
    model: Any = run.model
    (x, labels), (known, classes) = (samples(run, split) for split in ("test", "train"))
    z, _ = model.infer(x, rng)
    neighbours = KNeighborsClassifier(NEIGHBOURS).fit(model.infer(known, rng)[0].numpy(), classes)
    error = (model.sample(z, rng) - x).square().sum(1).mean().sqrt()
    return {
        "information": ksg(x[:SAMPLES], z[:SAMPLES], NEIGHBOURS),
        "error": error.item(),
        "accuracy": float(neighbours.score(z.numpy(), labels)),
        "bound": -model.log_weight(x, rng).mean().item(),
        "nll": -model.log_prob(x[:2000], rng, 64).mean().item(),
        "posterior std": (model.posterior(x).log_variance.mean() / 2).exp().item(),
    }


def samples(run: Run, split: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The data and the components that they were drawn from."""
    read = run.samples(split)
    assert isinstance(read.x, torch.Tensor)
    assert read.y is not None
    return read.x, read.y


def known_information() -> list[dict[str, float]]:
    """What `ksg` says of pairs of correlated Gaussians, of which the truth is known."""
    rng, found = torch.Generator().manual_seed(0), []
    for dimension in (2, 20):
        for correlation in (0.0, 0.6, 0.99):
            x, noise = torch.randn(2, SAMPLES, dimension, generator=rng)
            z = correlation * x + math.sqrt(1 - correlation**2) * noise
            truth = -dimension / 2 * math.log(1 - correlation**2)
            found.append(
                {"dimension": dimension, "correlation": correlation, "nats": truth, "ksg": ksg(x, z, NEIGHBOURS)}
            )
    return found


def entropies() -> dict[str, float]:
    """Mean -log P(x) of the test samples under the mixture itself, which no model can beat."""
    found = {}
    for dimension in (2, 20):
        dataset: Any = make("dataset", "gaussian-mixture", dimension=dimension)
        x, means = dataset.read("test").x.double(), dataset.means().double()
        squares = (x[:, None] - means).square().sum(2) / (2 * STD**2)
        log_normaliser = dimension / 2 * math.log(2 * math.pi * STD**2) + math.log(len(means))
        log_prob = torch.logsumexp(-squares, 1) - log_normaliser
        found[str(dimension)] = -log_prob.mean().item()
    return found


def summary(each: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over the seeds."""
    values = {name: np.array([numbers[name] for numbers in each]) for name in each[0]}
    return {name: {"mean": float(of.mean()), "std": float(of.std(ddof=1))} for name, of in values.items()}


def agreement(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, bool]]:
    """For each setting, whether MIM and the VAE are ordered as in the paper."""
    found = {}
    for mim, vae in zip(rows[::2], rows[1::2], strict=True):
        where = f"{mim['figure']}, {AXES[mim['figure']]} {mim[AXES[mim['figure']]]}"
        found[where] = {name: sign * (mim[name]["mean"] - vae[name]["mean"]) > 0 for name, sign in PAPER.items()}
    return found


def line(row: Mapping[str, Any]) -> str:
    """A row in a line of text."""
    means = "  ".join(f"{name} {of['mean']:.3f}" for name, of in row.items() if isinstance(of, dict))
    return f"{row['figure']}  {row['objective']}  latent {row['latent']:2}  hidden {row['hidden']:3}  {means}"


def draw(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The paper's panels: a row per figure, MIM blue, VAE red."""
    from matplotlib.figure import Figure

    panels = ("information", "nll", "error", "accuracy")
    figure = Figure(figsize=(14, 6), layout="constrained")
    for axes, (name, panel) in zip(
        figure.subplots(2, 4).flat, ((name, panel) for name in FIGURES for panel in panels), strict=True
    ):
        for objective, colour in (("mim", "tab:blue"), ("vae", "tab:red")):
            chosen = [row for row in rows if row["figure"] == name and row["objective"] == objective]
            means, stds = ([row[panel][of] for row in chosen] for of in ("mean", "std"))
            ticks = [str(row[AXES[name]]) for row in chosen]
            axes.errorbar(ticks, means, stds, color=colour, marker="o", capsize=3, label=objective)
        axes.set(title=f"{panel}, {name}", xlabel={"hidden": "hidden units", "latent": "dimensions of z"}[AXES[name]])
    axes.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
