"""Time and peak memory of DIME's log-potential and its gradient, beside the whole square of distances.

    python benchmarks/potential.py                    # CPU, one thread; a few minutes
    python benchmarks/potential.py --device cuda

Codes are uniform on the unit sphere in 16 dimensions, in float32. Every measurement is a process of
its own: seconds of the processor (of the clock on a GPU), the fastest of the repeats, for value and
gradient together, and what the process held more at its peak than before. The whole square is not
measured beyond 4,096 codes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dimecli.machine import describe
from dimecli.nn.potential import log_potential

DIMENSIONS, GAMMA = 16, 2.0
COUNTS = (100, 1_000, 4_096, 16_384, 65_536)
LARGEST_SQUARE = 4_096
SYSTEMS = ("dimecli", "whole square")


def main() -> None:
    """Measures, prints a table and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20, help="of batches below 16,384; larger ones run once")
    parser.add_argument("--output", type=Path, help="result file (default: benchmarks/results/potential-DEVICE.json)")
    parser.add_argument("--one", nargs=2, metavar=("SYSTEM", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        system, count = options.one
        print(json.dumps(measure(system, int(count), options)))
        return
    rows = [
        row(system, count, options)
        for count in COUNTS
        for system in SYSTEMS
        if system == "dimecli" or count <= LARGEST_SQUARE
    ]
    output = options.output or Path(__file__).parent / "results" / f"potential-{options.device}.json"
    output.parent.mkdir(exist_ok=True)
    conditions = {"threads": options.threads, "repeats": options.repeats, "load": os.getloadavg()[1]}
    conditions |= {"dimensions": DIMENSIONS, "gamma": GAMMA}
    machine = describe(torch.device(options.device))
    output.write_text(json.dumps({"machine": machine, "conditions": conditions, "rows": rows}, indent=2) + "\n")
    print(f"wrote {output}")


def row(system: str, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """A row of the table, measured in a process of its own and printed."""
    command = [sys.executable, __file__, "--one", system, str(count)]
    for name in ("device", "threads", "repeats"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    measured: dict[str, float] = json.loads(done.stdout)
    print(
        f"{count:6} codes  {system:12}  {measured['seconds']:9.5f} s  {measured['peak_mb']:7.0f} MB more  "
        f"value {measured['value']:.5f}",
        flush=True,
    )
    return {"codes": count, "system": system, **measured}


def measure(system: str, count: int, options: argparse.Namespace) -> dict[str, float]:
    """Value and gradient of one batch."""
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    function: Callable[[torch.Tensor, float], torch.Tensor] = log_potential if system == "dimecli" else whole_square
    noise = torch.randn(count, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    z = torch.nn.functional.normalize(noise, dim=1).to(device).requires_grad_()
    function(z[:10], GAMMA).backward()  # loads what is loaded once
    before, clock = peak_mb(device), time.process_time if device.type == "cpu" else time.perf_counter
    seconds, value = math.inf, math.nan
    for _ in range(options.repeats if count < 16_384 else 1):
        started = clock()
        result = function(z, GAMMA)
        result.backward()
        value = result.item()
        seconds = min(seconds, clock() - started)
    return {"seconds": seconds, "peak_mb": peak_mb(device) - before, "value": value}


def whole_square(z: torch.Tensor, gamma: float) -> torch.Tensor:
    """Eq. 6 with all distances at once, as one would write it."""
    squares = z.square().sum(1)
    distances = (squares[:, None] + squares[None, :] - 2 * z @ z.T).clamp_min(0)
    others = distances.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), math.inf)
    return torch.logsumexp(-gamma * others, dim=(0, 1)) - math.log(len(z) * (len(z) - 1))


def peak_mb(device: torch.device) -> float:
    """Most memory that this process, or its tensors on the GPU, ever held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
