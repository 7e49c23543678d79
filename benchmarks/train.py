"""Training speed and peak memory beside a hand-written loop and pythae, on the same networks and batches.

    pip install -e '.[benchmark]'
    python benchmarks/train.py --data-dir data/mnist                  # CPU, one thread
    python benchmarks/train.py --data-dir data/mnist --device cuda    # the 60,000 digits resident

Every measurement is a process of its own; the systems take turns, so that load on the machine meets
all of them alike: compare within one run only. Rates are images per CPU-second (per second on a GPU)
over everything that a system does to train: its loop, validation, records. The hand loop is what a
person would write who knows the tricks (resident tensor, fused Adam, channels-last) and wants nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.data.samples import Samples
from dimecli.machine import describe
from dimecli.registry import make
from dimecli.training.settings import TrainSettings
from dimecli.training.trainer import Trainer

BATCH = 100
CONV_IMAGES = 12_000  # of the 60,000, where a convolution would take minutes
NETWORKS = {"mlp": {"widths": (512, 256)}, "dime-conv": {}}
SYSTEMS: dict[str, dict[str, Any]] = {
    "dimecli": {},
    "hand loop": {},
    "pythae": {},
    "dimecli bf16": {"precision": "bf16"},
    "dimecli compiled": {"compile": True},
    "dimecli bf16 compiled": {"precision": "bf16", "compile": True},
}


def main() -> None:
    """Measures what the command line asks for, prints a table and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data", help="folder that holds MNIST/raw")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--objectives", nargs="+", default=["ae", "vae"])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--systems", nargs="+", default=None)
    parser.add_argument("--output", type=Path, help="result file (default: benchmarks/results/train-DEVICE.json)")
    parser.add_argument("--one", nargs=3, metavar=("SYSTEM", "OBJECTIVE", "NETWORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.systems is None:
        options.systems = list(SYSTEMS)[: 4 if options.device == "cpu" else None]
    if options.one:
        system, objective, network = options.one
        print(json.dumps(measure(system, objective, network, options)))
        return
    rows = [
        row
        for objective in options.objectives
        for network in options.networks
        for row in compare(objective, network, options)
    ]
    output = options.output or Path(__file__).parent / "results" / f"train-{options.device}.json"
    output.parent.mkdir(exist_ok=True)
    machine = describe(torch.device(options.device)) | {"processor_name": processor()}
    conditions = {"batch": BATCH, "threads": options.threads, "repeats": options.repeats}
    output.write_text(json.dumps({"machine": machine, "conditions": conditions, "rows": rows}, indent=2) + "\n")
    print(f"wrote {output}")


def compare(objective: str, network: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per system: medians over repeats in which the systems took turns."""
    found: dict[str, list[dict[str, float]]] = {system: [] for system in options.systems}
    for _ in range(options.repeats):
        for system in options.systems:
            command = [sys.executable, "-W", "ignore", __file__, "--one", system, objective, network]
            for name in ("data_dir", "device", "threads"):
                command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
            done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
            found[system].append(json.loads(done.stdout.splitlines()[-1]))
    rows: list[dict[str, Any]] = []
    for system, results in found.items():
        median = {key: statistics.median(result[key] for result in results) for key in results[0]}
        rows.append({"objective": objective, "network": network, "system": system, **median})
    hand = next((row["rate"] for row in rows if row["system"] == "hand loop"), float("nan"))
    for row in rows:
        row["to_hand_loop"] = row["rate"] / hand
        row["step_overhead_us"] = 1e6 * BATCH * (1 / row["rate"] - 1 / hand)
        print(
            f"{objective:5} {network:10} {row['system']:22} {row['rate']:9.0f} images/s  {row['to_hand_loop']:5.2f} of "
            f"hand loop  {row['step_overhead_us']:8.0f} us/step more  {row['peak_mb']:6.0f} MB  loss {row['loss']:.4f}",
            flush=True,
        )
        if math.isnan(row["loss"]):
            del row["loss"]
    return rows


def measure(system: str, objective: str, network: str, options: argparse.Namespace) -> dict[str, float]:
    """Trains one epoch after a short warm-up; peak memory is that of the process, or of the GPU."""
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    dataset = make("dataset", "mnist", data_dir=options.data_dir)
    images = 60_000 if device.type == "cuda" or network == "mlp" else CONV_IMAGES
    samples = dataset.read("train").take(range(images))
    run: Callable[..., float] = {"hand loop": hand_loop, "pythae": pythae}.get(system, dimecli)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    run(objective, network, samples.take(range(10 * BATCH)), device, SYSTEMS[system])
    torch.manual_seed(0)
    started = clock()
    loss = run(objective, network, samples, device, SYSTEMS[system])
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = clock() - started
    peak = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else peak_mb()
    return {"images": images, "rate": images / seconds, "peak_mb": peak, "loss": loss}


def dimecli(objective: str, network: str, samples: Samples, device: torch.device, settings: dict[str, Any]) -> float:
    """The trainer of this project, as `dime train` runs it."""
    chosen: Any = make("objective", objective)
    model = chosen.build(samples.spec, make("network", network, **NETWORKS[network]))
    train = TrainSettings(epochs=1, batch_size=BATCH, **settings)
    training, validation = Batches(samples, device), Batches(samples.take(range(BATCH)), device)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(chosen, model, train, training, validation, device, Reporter(quiet=True))
        trainer.fit(Path(folder))
        lines = (Path(folder) / "history.jsonl").read_text().splitlines()
    return float(json.loads(lines[-1])["train"]["total"])


def hand_loop(objective: str, network: str, samples: Samples, device: torch.device, settings: dict[str, Any]) -> float:
    """Twenty lines by hand."""
    plugin: Any = make("network", network, **NETWORKS[network])
    encoder = plugin.encoder(samples.spec, 32 if objective == "vae" else 16)
    model = torch.nn.ModuleList([encoder, plugin.decoder(samples.spec, 16)])
    model = model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    assert isinstance(samples.x, torch.Tensor)
    data = samples.x.to(device)
    total = torch.zeros((), device=device)
    for rows in torch.randperm(len(data)).to(device).view(-1, BATCH):
        x = data[rows].float() / 255
        code, kl = model[0](x), torch.zeros((), device=device)
        if objective == "vae":
            mean, log_variance = code.chunk(2, 1)
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
            code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        loss = (model[1](code) - x).square().flatten(1).sum(1).mean() + 0.1 * kl  # the default beta of vae
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        total += loss.detach()
    return total.item() * BATCH / len(data)


def pythae(objective: str, network: str, samples: Samples, device: torch.device, settings: dict[str, Any]) -> float:
    """The same networks in pythae's AE or VAE, trained by its BaseTrainer."""
    import logging

    from pythae.models import AE, VAE, AEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable()
    plugin: Any = make("network", network, **NETWORKS[network])

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = plugin.encoder(samples.spec, 32 if objective == "vae" else 16)

        def forward(self, x: torch.Tensor) -> Any:
            if objective == "ae":
                return ModelOutput(embedding=self.net(x))
            mean, log_variance = self.net(x).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = plugin.decoder(samples.spec, 16)

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=self.net(z))

    config, cls = (AEConfig, AE) if objective == "ae" else (VAEConfig, VAE)
    model = cls(config(input_dim=samples.spec.shape, latent_dim=16), Encoder(), Decoder())
    assert isinstance(samples.x, torch.Tensor)
    from pythae.data.datasets import BaseDataset

    data = BaseDataset(samples.x.float() / 255, torch.zeros(len(samples)))
    with tempfile.TemporaryDirectory() as folder:
        trainer_config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            no_cuda=device.type == "cpu",
            keep_best_on_train=True,
        )
        trainer = BaseTrainer(model, train_dataset=data, training_config=trainer_config)
        with open("/dev/null", "w") as nowhere:
            sys.stderr, saved = nowhere, sys.stderr  # its progress bars
            try:
                trainer.train()
            finally:
                sys.stderr = saved
    return float("nan")  # its loss has other constants


def peak_mb() -> float:
    """Most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown"


if __name__ == "__main__":
    main()
