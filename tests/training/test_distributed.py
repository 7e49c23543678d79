"""Two gloo processes train as one: the loss, the gradients and whole runs, batch-wide terms included."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dimecli.api import train
from dimecli.registry import make
from dimecli.run.folder import list_runs, read_record

GRADIENTS = """
import os, sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from safetensors.torch import save_file
from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.distributed import average, rank
from dimecli.registry import make
from dimecli.training.step import Step

torch.set_num_threads(1)
dist.init_process_group("gloo")
objective = make("objective", "dime", lam=0.5)
torch.manual_seed(0)
spec = Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True))
model = objective.build(spec, make("network", "mlp", widths=(8,))).double()
x = torch.rand(100, 1, 4, 4, dtype=torch.float64)
step = DistributedDataParallel(Step(objective, model, torch.Generator()))
terms = step(x[50 * rank() : 50 * (rank() + 1)])
torch.stack(tuple(terms.values())).sum().backward()
losses = average(torch.stack(tuple(terms.values())).detach())
if rank() == 0:
    save_file({"loss": losses, **{name: p.grad for name, p in model.named_parameters()}}, sys.argv[1])
dist.barrier()
os._exit(0)  # gloo's threads may abort the interpreter's own exit
"""


def two_processes(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this Python in two processes that know each other."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*torchrun, sys.executable, *command],
        check=True,
        env=environment,
        timeout=180,
        text=True,
        stdout=subprocess.PIPE,
    )


def train_two(runs: Path, *options: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """`dime train` in two processes; returns what it printed and the history."""
    common = ["--epochs", "3", "--device", "cpu", "--threads", "1", "--runs", str(runs), "--json"]
    printed = json.loads(two_processes("-m", "dimecli", "train", *options, *common).stdout)
    history = (runs / list_runs(runs)[0]["run"] / "history.jsonl").read_text().splitlines()
    return printed, [json.loads(line) for line in history]


def test_loss_and_gradients_equal_those_of_one_process(tmp_path: Path) -> None:
    two_processes("-c", GRADIENTS, str(tmp_path / "two.safetensors"))
    two = load_file(tmp_path / "two.safetensors")

    from dimecli.data.likelihood import Gaussian
    from dimecli.data.spec import Spec

    objective = make("objective", "dime", lam=0.5)
    torch.manual_seed(0)
    spec = Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True))
    model = objective.build(spec, make("network", "mlp", widths=(8,))).double()
    x = torch.rand(100, 1, 4, 4, dtype=torch.float64)
    loss = objective.loss(model, x, torch.Generator())
    loss.total.backward()
    torch.testing.assert_close(two["loss"], torch.stack(tuple(loss.terms.values())).detach(), rtol=1e-12, atol=1e-14)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(two[name], parameter.grad, rtol=1e-9, atol=1e-13, msg=name)


GATHERED = """
import os, sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from safetensors.torch import save_file
from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.registry import make

torch.set_num_threads(1)
rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
objective = make("objective", sys.argv[2], latent_size=3, **eval(sys.argv[3]))
torch.manual_seed(0)
spec = Spec(modality="vector", shape=(4,), likelihood=Gaussian())
model = objective.build(spec, make("network", "mlp", widths=(8,))).double()
x = torch.randn(40, 4, dtype=torch.float64).chunk(world)[rank]

real = torch.randn
def rows(*shape, **options):  # what one process would draw, and of that the rows of this one
    size = shape[0] if len(shape) == 1 else torch.Size(shape)
    if not options.get("generator"):
        return real(size, **options)
    return real((size[0] * world, *size[1:]), **options).chunk(world)[rank]
torch.randn = rows

class Step(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model
    def forward(self, x):
        return objective.loss(self.model, x, torch.Generator().manual_seed(3)).total

step = Step()
if world > 1:
    dist.init_process_group("gloo")
    step = DistributedDataParallel(step, find_unused_parameters=True)
step(x).backward()
if rank == 0:
    save_file({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, sys.argv[1])
if world > 1:
    dist.barrier()
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("wae-mmd", {}), ("infovae", {}), ("vae-iaf", {"free_bits": 0.2})])
def test_batch_wide_terms_are_those_of_one_process(tmp_path: Path, name: str, options: dict[str, float]) -> None:
    """Given the same draws; a discrepancy of half of the batch, or free bits of it, would be another loss."""
    two_processes("-c", GATHERED, str(tmp_path / "two.safetensors"), name, repr(options))
    command = [sys.executable, "-c", GATHERED, str(tmp_path / "one.safetensors"), name, repr(options)]
    subprocess.run(command, check=True, timeout=120)
    two, one = load_file(tmp_path / "two.safetensors"), load_file(tmp_path / "one.safetensors")
    assert one.keys() == two.keys()
    for weight, gradient in one.items():
        torch.testing.assert_close(two[weight], gradient, rtol=1e-8, atol=1e-12, msg=weight)


PLAYERS = """
import os, sys, torch, torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from safetensors.torch import save_file
from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.plugin import Loss, Objective
from dimecli.registry import make
from dimecli.training.players import Players
from dimecli.training.settings import TrainSettings
from dimecli.training.step import Step

class Duel(Objective):
    @property
    def players(self):
        return {"critic": 0.05}

    def build(self, spec, network):
        model = super().build(spec, network)
        model.critic = nn.Linear(self.latent_size, 1)
        return model

    def loss(self, model, x, rng):
        seen = model.critic(model.encode(x))
        reconstruction = self.reconstruction(model, x, model.encode(x))
        return Loss(reconstruction=reconstruction, seen=-seen.mean(), players={"critic": (seen - 1).square().mean()})

torch.set_num_threads(1)
rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
objective = Duel(latent_size=3)
torch.manual_seed(0)
spec = Spec(modality="vector", shape=(4,), likelihood=Gaussian())
model = objective.build(spec, make("network", "mlp", widths=(8,))).double()
players = Players(objective, model, TrainSettings(lr=0.02), torch.device("cpu"))
step = Step(objective, model, torch.Generator())
if world > 1:
    dist.init_process_group("gloo")
    step = DistributedDataParallel(step)
for number in range(5):
    x = torch.randn(40, 4, dtype=torch.float64).chunk(world)[rank]
    terms = step(x)
    players.step(terms, torch.stack(tuple(terms.values())), 1.0, 1.0)
if rank == 0:
    save_file(model.state_dict(), sys.argv[1])
if world > 1:
    dist.barrier()
os._exit(0)
"""


def test_further_players_of_two_processes_are_those_of_one(tmp_path: Path) -> None:
    """Two backward passes of one forward pass, each on the weights of one player."""
    two_processes("-c", PLAYERS, str(tmp_path / "two.safetensors"))
    subprocess.run([sys.executable, "-c", PLAYERS, str(tmp_path / "one.safetensors")], check=True, timeout=120)
    two, one = load_file(tmp_path / "two.safetensors"), load_file(tmp_path / "one.safetensors")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-9, atol=1e-13, msg=name)


@pytest.mark.slow
def test_a_run_of_two_processes_is_the_run_of_one(tmp_path: Path) -> None:
    two, history = train_two(tmp_path / "two", "dime", "--widths", "16")
    network = make("network", "mlp", widths=(16,))
    one = train("dime", "digits", network, runs=tmp_path / "one", epochs=3, device="cpu")
    rows = list_runs(tmp_path / "two")
    assert [row["state"] for row in rows] == ["finished"], "one process writes"
    assert read_record(tmp_path / "two" / rows[0]["run"])["machine"]["processes"] == 2
    assert two["terms"] == pytest.approx(one.results["terms"], rel=1e-3, abs=1e-5)
    alone = json.loads((one.path / "history.jsonl").read_text().splitlines()[-1])
    assert history[-1]["train"] == pytest.approx(alone["train"], rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_two_processes_draw_different_noise_and_train_batch_norm(tmp_path: Path) -> None:
    _, history = train_two(tmp_path / "two", "vae", "--network", "rae-conv", "--width", "0.01")
    assert history[-1]["train"]["total"] < history[0]["train"]["total"]
