"""Which lambda and gamma DIME should have by default: presets and their neighbours, measured on MNIST.

    python benchmarks/dime_presets.py --data-dir data/mnist --threads 1

Trains each setting alike (dime-conv, 16 dimensions, 5 epochs, Adam 1e-3, one seed) and measures on the
test split: the squared error per pixel, a linear classifier on the codes, how the codes spread (length
of their mean, log-potential at gamma = 2 where uniform codes have -3.51, participation ratio), and the
Frechet distance in the features of a small classifier between the test images and 10,000 samples from
each density. That distance is no FID and compares only within one result file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from dimecli.api import Run, train
from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.errors import DimeError
from dimecli.machine import describe
from dimecli.nn.potential import log_potential
from dimecli.registry import make
from dimecli.run.folder import list_runs, read_record

SETTINGS: dict[str, dict[str, Any]] = {
    "normalised AE": {"lam": 0.0},
    "paper": {"lam": 5e-4, "gamma": 5e-3},
    "lambda 1e-2, gamma 2": {"lam": 1e-2, "gamma": 2.0},
    "lambda 1e-3, gamma 2": {"lam": 1e-3, "gamma": 2.0},
    "lambda 3e-3, gamma 2": {"lam": 3e-3, "gamma": 2.0},
    "authors-code": {"lam": 5e-4, "gamma": 5e-3, "normalize": False},
}
CPU = torch.device("cpu")


def main() -> None:
    """Trains what is not trained yet, measures everything, writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/dime-presets"))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "dime-presets.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = make("dataset", "mnist", data_dir=options.data_dir)
    runs: dict[str, Run] = {}
    rows: list[dict[str, Any]] = []
    for name, settings in SETTINGS.items():
        try:
            runs[name] = trained(name, settings, dataset, options)
        except DimeError as error:  # a term that is not finite
            rows.append({"setting": name, "failed": str(error).partition(";")[0]})
    features, accuracy = classifier(next(iter(runs.values())))
    floor = frechet(features, images(runs["paper"], "train")[:10_000], images(runs["paper"], "test"))
    print(f"extractor: test accuracy {accuracy:.4f}; 10,000 training images against the test images: {floor:.2f}")
    for name, run in runs.items():
        rows.append({"setting": name, **measure(run, features)})
        print(json.dumps(rows[-1]), flush=True)
    conditions = {
        "epochs": options.epochs,
        "samples": 10_000,
        "extractor_accuracy": accuracy,
        "clean_test_floor": floor,
    }
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(
        json.dumps({"machine": describe(CPU), "conditions": conditions, "rows": rows}, indent=2) + "\n"
    )


def trained(name: str, settings: dict[str, Any], dataset: Any, options: argparse.Namespace) -> Run:
    """The run of a setting, trained now unless an earlier call did."""
    objective: Any = make("objective", "dime", **settings)
    for row in list_runs(options.runs):
        path = options.runs / row["run"]
        config = read_record(path)["config"]
        same = config["objective"] == {"name": "dime", **objective.options()}
        if row["state"] == "finished" and same and config["train"]["epochs"] == options.epochs:
            return Run(path)
    print(f"training {name}", flush=True)
    return train(objective, dataset, "dime-conv", runs=options.runs, epochs=options.epochs, reporter=Reporter())


def images(run: Run, split: Any) -> torch.Tensor:
    """All images of a split, `(N, 1, 32, 32)` in [0, 1]."""
    return torch.cat(list(Batches(run.samples(split), CPU).ordered(1000)))


def classifier(run: Run) -> tuple[nn.Sequential, float]:
    """A small convolutional classifier of the dataset without its last layer, and its accuracy on the test split."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(),
    )  # fmt: skip
    head = nn.Linear(64, 10)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], 1e-3)
    x, samples = images(run, "train"), run.samples("train")
    assert samples.y is not None
    for _ in range(3):
        for rows in torch.randperm(len(x)).split(100):
            loss = nn.functional.cross_entropy(head(body(x[rows])), samples.y[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    test = run.samples("test")
    assert test.y is not None
    with torch.no_grad():
        predicted = torch.cat([head(body(part)).argmax(1) for part in images(run, "test").split(1000)])
    return body, predicted.eq(test.y).float().mean().item()


@torch.no_grad()
def frechet(features: nn.Module, a: torch.Tensor, b: torch.Tensor) -> float:
    """`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))` of the features of two sets of images, in float64."""
    f, g = (torch.cat([features(part) for part in x.split(1000)]).double().numpy() for x in (a, b))
    cov_f, cov_g = np.cov(f, rowvar=False), np.cov(g, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(cov_f @ cov_g).real.clip(0)).sum()
    return float(np.square(f.mean(0) - g.mean(0)).sum() + np.trace(cov_f + cov_g) - 2 * root)


def measure(run: Run, features: nn.Module) -> dict[str, Any]:
    """The numbers of one run."""
    x, codes, train_codes = images(run, "test"), run.codes("test"), run.codes("train")
    labels, test_labels = run.samples("train").y, run.samples("test").y
    assert labels is not None
    assert test_labels is not None
    scaler = StandardScaler().fit(train_codes.numpy())
    probe = LogisticRegression(max_iter=300).fit(scaler.transform(train_codes.numpy()[:20_000]), labels[:20_000])
    unit = nn.functional.normalize(codes, dim=1)
    spectrum = torch.linalg.eigvalsh(torch.cov(codes.T.double()))
    spherical = run.experiment.objective.latent_space == "sphere"
    densities = ["gaussian", "gmm", *(["sphere-uniform"] if spherical else [])]
    distances = {name: round(frechet(features, run.sample(10_000, name).x, x), 2) for name in densities}
    return {
        "mse": round((run.decode(codes) - x).square().mean().item(), 5),
        "linear_accuracy": round(float(probe.score(scaler.transform(codes.numpy()), test_labels)), 4),
        "length_of_mean": round(unit.mean(0).norm().item(), 3),
        "log_potential": round(log_potential(unit[:2000], 2.0).item(), 3),
        "participation_ratio": round((spectrum.sum().square() / spectrum.square().sum()).item(), 2),
        "information_gradient_share": round(run.results["gradient_share"]["information"], 4),
        "frechet": distances,
    }


if __name__ == "__main__":
    main()
