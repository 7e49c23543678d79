"""Time of a training step of every objective over that of the plain autoencoder, and beside pythae's.

    pip install -e '.[benchmark]'
    python benchmarks/objectives.py --data-dir data/mnist             # every objective; three networks
    python benchmarks/objectives.py --objectives rae-l2 wae-mmd --networks mlp

All train on the same digits in batches of 100 with the same networks of the registry, on one thread. The
systems take turns in one process, so that load on the machine meets all of them alike; a figure is the
least CPU time per step over the turns. It holds all that a system does in its loop: reading batches, the
loss, its gradients, the optimiser, records; not the validation at the end of an epoch.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dimecli.console import QUIET
from dimecli.data.batches import Batches
from dimecli.data.samples import Samples
from dimecli.machine import describe
from dimecli.registry import make, names
from dimecli.training.settings import TrainSettings
from dimecli.training.trainer import Trainer

BATCH = 100
LATENT = 16
CPU = torch.device("cpu")
STEPS = {"mlp-small": 60, "mlp": 60, "dime-conv": 6}
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp-small": {"name": "mlp", "widths": (64,)},
    "mlp": {"name": "mlp", "widths": (512, 256)},
    "dime-conv": {"name": "dime-conv"},
}

PYTHAE: dict[str, tuple[str, str, dict[str, Any]]] = {  # model, trainer, options that make the work the same
    "ae": ("AE", "Base", {}),
    "vae": ("VAE", "Base", {}),
    "beta-vae": ("BetaVAE", "Base", {}),
    "infovae": ("INFOVAE_MMD", "Base", {}),
    "wae-mmd": ("WAE_MMD", "Base", {}),
    "aae": ("Adversarial_AE", "Adversarial", {}),
    "rae-l2": ("RAE_L2", "CoupledOptimizer", {}),
    "rae-gp": ("RAE_GP", "Base", {}),
    "svae": ("SVAE", "Base", {}),
    "hamiltonian-vae": ("HVAE", "Base", {"n_lf": 3}),
    "vae-planar": ("VAE_LinNF", "Base", {"flows": ["Planar"] * 5}),
    "vae-iaf": ("VAE_IAF", "Base", {}),
    "vampprior": ("VAMP", "Base", {"number_components": 500}),
}
"""pythae's models of the same names. Its planar flows have no amortised parameters, its IAF no context, and no
gradient passes through its Hamiltonian dynamics, which saves it the second derivatives."""

OURS: dict[str, dict[str, Any]] = {
    "aae": {"discriminator_widths": (256,)},
    "hamiltonian-vae": {"steps": 3},
    "vampprior": {"components": 500},
}
"""Options that make our work the same as pythae's."""


def main() -> None:
    """Measures what the command line asks for, prints a table and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data", help="folder that holds MNIST/raw")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--objectives", nargs="+", default=names("objective"))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    default = Path(__file__).parent / "results" / "objectives-cpu.json"
    parser.add_argument("--output", type=Path, default=default, help="result file (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable()
    warnings.simplefilter("ignore")
    rows = [row for network in options.networks for row in compare(network, options)]
    conditions = {"batch": BATCH, "latent_size": LATENT, "threads": options.threads, "turns": options.turns}
    about = {"machine": describe(CPU), "conditions": conditions, "rows": rows}
    options.output.write_text(json.dumps(about, indent=2) + "\n")
    print(f"wrote {options.output}")


def compare(network: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per objective: milliseconds of CPU time per step of ours and of pythae's, and ratios."""
    samples = make("dataset", "mnist", data_dir=options.data_dir).read("train").take(range(BATCH * STEPS[network]))
    chosen = list(dict.fromkeys(["ae", *options.objectives]))
    systems: dict[tuple[str, str], Callable[[], float]] = {}
    for name in chosen:
        systems[name, "dimecli"] = dimecli(name, network, samples)
        if name in PYTHAE:
            systems[name, "pythae"] = pythae(name, network, samples)
    best: dict[tuple[str, str], float] = {}
    for turn in range(options.turns + 1):
        for key, run in systems.items():
            seconds = run()
            if turn:  # the first turn warms up
                best[key] = min(best.get(key, seconds), seconds)
    rows = []
    for name in chosen:
        ours, theirs = (best.get((name, system)) for system in ("dimecli", "pythae"))
        assert ours is not None
        row = {
            "network": network,
            "objective": name,
            "ms_per_step": round(1e3 * ours / STEPS[network], 3),
            "over_ae": round(ours / best["ae", "dimecli"], 3),
            "pythae_ms_per_step": theirs and round(1e3 * theirs / STEPS[network], 3),
            "faster_than_pythae": theirs and round(theirs / ours, 3),
        }
        rows.append(row)
        beside = f"{row['pythae_ms_per_step']:9.2f}  {row['faster_than_pythae']:5.2f}" if theirs else ""
        print(f"{network:10} {name:18} {row['ms_per_step']:9.2f} ms  {row['over_ae']:6.2f} of ae  {beside}", flush=True)
    return rows


class Timed(Trainer):
    """Notes when the steps of an epoch are done."""

    def _end_epoch(self, *arguments: Any) -> None:
        self.stepped = time.process_time()
        super()._end_epoch(*arguments)


def dimecli(name: str, network: str, samples: Samples) -> Callable[[], float]:
    """A function that trains one epoch, as `dime train` does, and returns its CPU seconds."""
    training, validation = Batches(samples, CPU), Batches(samples.take(range(BATCH)), CPU)
    objective: Any = make("objective", name, latent_size=LATENT, **OURS.get(name, {}))

    def run() -> float:
        torch.manual_seed(0)
        model = objective.build(samples.spec, make("network", **NETWORKS[network]))
        trainer = Timed(objective, model, TrainSettings(epochs=1), training, validation, CPU, QUIET)
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            trainer.fit(Path(folder))
            return trainer.stepped - started

    return run


def pythae(name: str, network: str, samples: Samples) -> Callable[[], float]:
    """The same with pythae's model of the same name, the same networks and its own trainer."""
    import pythae.models
    import pythae.trainers
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    plugin: Any = make("network", **NETWORKS[network])
    model_name, trainer_name, extra = PYTHAE[name]
    deterministic = model_name in ("AE", "WAE_MMD", "RAE_L2", "RAE_GP")
    features = LATENT if deterministic else LATENT + 1 if model_name == "SVAE" else 2 * LATENT

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = plugin.encoder(samples.spec, features)

        def forward(self, x: torch.Tensor) -> Any:
            code = self.net(x.reshape(-1, *samples.spec.shape))
            if deterministic:
                return ModelOutput(embedding=code)
            if model_name == "SVAE":
                return ModelOutput(embedding=code[:, :-1], log_concentration=code[:, -1:])
            return ModelOutput(embedding=code[:, :LATENT], log_covariance=code[:, LATENT:])

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = plugin.decoder(samples.spec, LATENT)

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=self.net(z))

    config_name = f"{model_name}_Config" if "_" in model_name else f"{model_name}Config"
    config = getattr(pythae.models, config_name)(input_dim=samples.spec.shape, latent_dim=LATENT, **extra)
    assert isinstance(samples.x, torch.Tensor)
    data = BaseDataset(samples.x.float() / 255, torch.zeros(len(samples)))
    trainer_class = getattr(pythae.trainers, f"{trainer_name}Trainer")
    config_class = getattr(pythae.trainers, f"{trainer_name}TrainerConfig")

    def run() -> float:
        torch.manual_seed(0)
        model = getattr(pythae.models, model_name)(config, Encoder(), Decoder())
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            about = config_class(output_dir=folder, per_device_train_batch_size=BATCH, no_cuda=True)
            trainer = trainer_class(model, train_dataset=data, training_config=about)
            trainer.prepare_training()
            started = time.process_time()
            trainer.train_step(epoch=1)
            return time.process_time() - started

    return run


if __name__ == "__main__":
    main()
