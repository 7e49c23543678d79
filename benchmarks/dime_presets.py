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

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from dimecli.api import Run, train
from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.errors import DimeError
from dimecli.evaluation.distances import frechet
from dimecli.evaluation.extractor import trained as trained_extractor
from dimecli.evaluation.features import Extractor, Part, features
from dimecli.evaluation.subject import Subject
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
    subject = Subject(runs["paper"], reporter=Reporter())
    extractor = trained_extractor(subject)
    accuracy, floor = extractor.conditions["extractor_accuracy"], distance(subject, extractor, "floor")
    print(f"extractor: test accuracy {accuracy:.4f}; 10,000 training images against the test images: {floor:.2f}")
    for name, run in runs.items():
        rows.append({"setting": name, **measure(run, extractor)})
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


def distance(subject: Subject, extractor: Extractor, part: Part) -> float:
    """The Fréchet distance of the features of something from those of the test images."""
    return frechet(features(subject, extractor, part), features(subject, extractor, "data"))


def measure(run: Run, extractor: Extractor) -> dict[str, Any]:
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
    distances = {name: round(distance(Subject(run, name), extractor, "samples"), 2) for name in densities}
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
