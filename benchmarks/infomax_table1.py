"""Mutual information, KL and active units of InfoMax-VAE beside vae, beta-vae and infovae (InfoMax-VAE, Table 1).

    python benchmarks/infomax_table1.py --data-dir data/mnist

Bernoulli pixels of 28 x 28, the paper's networks of Table 5 and its weights of the information; far fewer epochs
than it took. The information that a draw z from q(z|x) has of its image lies between two numbers, `lower` and
`upper` of the metric `mi`; the first is at most log N = 9.21 for the N = 10,000 test images. The paper's own numbers
are the lower bound of a trained critic (MINE), whose order need not be that of the information. An active unit is
a dimension whose posterior means have a variance of 0.05 or more over the test images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from dimecli.api import evaluate
from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.machine import describe
from dimecli.registry import make
from dimecli.run.run import Run
from dimecli.search.lab import FolderLab

CPU = torch.device("cpu")
OBJECTIVES = ("vae", "beta-vae", "infovae", "infomax-vae")
PAPER = {  # log-likelihood, mutual information (by MINE), KL, active units
    2: {
        "vae": (-131.36, 2.8882, 6.8113, 2),
        "beta-vae": (-140.26, 1.8139, 4.4933, 2),
        "infovae": (-197.60, 0.3199, 9.8007, 2),
        "infomax-vae": (-131.50, 3.6180, 24.186, 2),
    },
    20: {
        "vae": (-82.96, 2.6255, 18.3929, 10),
        "beta-vae": (-123.34, 1.7995, 5.2494, 13),
        "infovae": (-85.12, 2.1803, 132.5293, 20),
        "infomax-vae": (-83.36, 4.1612, 23.4517, 20),
    },
}
SETTINGS: dict[int, dict[str, Any]] = {
    2: {"network": "infomax-mlp", "infomax-vae": {"alpha": 10.0}},
    20: {"network": "infomax-conv", "infomax-vae": {"alpha": 20.0}},
}


def main() -> None:
    """Trains and measures all four in both dimensions, prints a table and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data", help="folder that holds MNIST/raw")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SETTINGS))
    parser.add_argument("--folder", type=Path, default=Path("runs/infomax"), help="default: %(default)s")
    default = Path(__file__).parent / "results" / "infomax-table1.json"
    parser.add_argument("--output", type=Path, default=default, help="result file (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for size in options.sizes:
        for name in OBJECTIVES:
            rows.append(row(size, name, options))
            about = {"machine": describe(CPU), "epochs": options.epochs, "rows": rows}
            options.output.write_text(json.dumps(about, indent=2) + "\n")
    print(f"wrote {options.output}")


def row(size: int, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Trains one objective, unless that is done, and measures it on the test images."""
    pixels = {"image_size": 28, "likelihood": "bernoulli"}
    tables = {
        "objective": {"name": name, "latent_size": size, **SETTINGS[size].get(name, {})},
        "dataset": {"name": "mnist", "data_dir": str(Path(options.data_dir).absolute()), **pixels},
        "network": {"name": SETTINGS[size]["network"]},
        "train": {"epochs": options.epochs},
    }
    run = FolderLab(options.folder, Reporter()).train(f"{name}-{size}", tables)
    found = measure(run)
    log_likelihood, information, kl, units = PAPER[size][name]
    print(
        f"z {size:2}  {name:12}  log-likelihood {found['log_likelihood']:8.2f} ({log_likelihood})  "
        f"MI {found['information_below']:.2f} to {found['information_above']:.2f} ({information})  "
        f"KL {found['kl']:7.3f} ({kl})  active units {found['active_units']} ({units})",
        flush=True,
    )
    paper = dict(zip(("log_likelihood", "mutual_information", "kl", "active_units"), PAPER[size][name], strict=True))
    return {
        "latent_size": size,
        "options": run.experiment.objective.options(),
        "objective": name,
        **found,
        "paper": paper,
    }


def measure(run: Run) -> dict[str, float]:
    """The numbers of Table 1 on the test images."""
    options: dict[str, dict[str, Any]] = {"mi": {"estimators": ("lower", "upper")}, "kl": {}, "active-units": {}}
    metrics: Any = {name: make("metric", name, **given) for name, given in options.items()}
    found = {entry.name: entry.value for entry in evaluate(run, metrics).entries}
    return {
        "log_likelihood": round(log_likelihood(run), 3),
        "information_below": round(found["mi/lower"], 3),
        "information_above": round(found["mi/upper"], 3),
        "kl": round(found["kl"], 4),
        "active_units": int(found["active-units"]),
    }


@torch.no_grad()
def log_likelihood(run: Run) -> float:
    """The mean of `log p(x|z)` in nats, z a draw of the posterior of each test image."""
    model: Any = run.model
    rng = torch.Generator().manual_seed(0)
    batches = Batches(run.samples("test"), CPU).ordered(500)
    return -torch.cat([model.nll(x, model.infer(x, rng)[0]) for x in batches]).mean().item()


if __name__ == "__main__":
    main()
