"""Speed of Bayesian optimization: a batch of 50 candidates, beside plain BoTorch.

    python benchmarks/search.py                 # CPU, one thread; about an hour, most of it BoTorch's
    python benchmarks/search.py --quick         # fewer candidates for BoTorch, a smaller table

All get the same codes on the unit sphere, the same values and the same pool. Numbers are processor
seconds, medians over the repeats; BoTorch runs once. Codes are not decoded here.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from dimecli.machine import describe
from dimecli.search.believer import choose, log_ei
from dimecli.search.gp import fit_gp
from dimecli.search.kernels import Kernel
from dimecli.search.sparse import fit_sparse
from dimecli.search.sphere import project, refine
from dimecli.search.surrogate import Surrogate

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # gpytorch compiles with torch.jit.script
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.acquisition.logei import qLogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models.gp_regression import SingleTaskGP
    from botorch.optim.optimize import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood

POINTS, DIMENSIONS, BATCH = 500, 25, 50
POOL = {"dimecli": 4_000, "BoTorch": 2_000}  # what BoTorch gets is the first half
MOST_EXACT = 2_000


def main() -> None:
    """Measures, prints and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    default = Path(__file__).parent / "results" / "search.json"
    parser.add_argument("--output", type=Path, default=default, help="result file (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [*beside_botorch(options.repeats, 5 if options.quick else BATCH), *table(options.repeats, options.quick)]
    machine = describe(torch.device("cpu")) | versions()
    conditions = {"threads": options.threads, "repeats": options.repeats, "load": os.getloadavg()[1]}
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine, "conditions": conditions, "rows": rows}, indent=2) + "\n")
    print(f"wrote {options.output}")


def beside_botorch(repeats: int, batch: int) -> list[dict[str, Any]]:
    """A round at 500 points in 25 dimensions; BoTorch's share of it is for `batch` candidates."""
    codes, values = data(POINTS, DIMENSIONS)
    pool = codes_on_sphere(POOL["dimecli"], DIMENSIONS, 2)
    best = values.max().item()
    rows = []
    for kernel in ("rbf", "ard"):
        seconds, gp = measure(partial(fit_gp, codes, values, kernel), repeats)
        rows.append(row(f"fit, {kernel}", "dimecli", seconds))
        seconds, _ = measure(partial(propose, gp, pool, best), repeats)
        rows.append(row(f"believer, {kernel}, {BATCH} of {len(pool)}", "dimecli", seconds))
        seconds, _ = measure(partial(climb, gp, pool[:BATCH], best), repeats)
        rows.append(row(f"refinement, {kernel}, {BATCH} codes, 60 steps", "dimecli", seconds))
    seconds, theirs = measure(partial(botorch_fit, codes, values), 1)
    rows.append(row("fit, ard", "BoTorch", seconds))
    few = pool[: POOL["BoTorch"]]
    seconds, _ = measure(partial(botorch_believer, theirs, few, best, batch), 1)
    rows.append(row(f"believer, {batch} of {len(few)}", "BoTorch, condition_on_observations", seconds))
    seconds, _ = measure(partial(botorch_sequential, theirs, best, 5), 1)
    rows.append(row("qLogEI, sequential, 5 in the box", "BoTorch, optimize_acqf", seconds))
    return rows


def table(repeats: int, quick: bool) -> list[dict[str, Any]]:
    """Fit and believer against the number of evaluations and the dimension; sparse where they are many."""
    rows = []
    for n in (500, 1_000) if quick else (500, 1_000, 2_000, 4_000):
        for size in (16, 64) if quick else (16, 32, 64, 128):
            codes, values = data(n, size)
            pool = codes_on_sphere(POOL["dimecli"], size, 2)
            exact = n <= MOST_EXACT
            kernels: tuple[Kernel, ...] = ("rbf", "ard") if exact else ("rbf",)
            for kernel in kernels:
                fit: Callable[[], Surrogate] = partial(fit_gp if exact else fit_sparse, codes, values, kernel=kernel)
                seconds, gp = measure(fit, 1 if n > 1_000 else repeats)
                name = f"n {n}, d {size}, {kernel}"
                system = "exact" if exact else "sparse, 500 inducing points"
                rows.append(row(f"fit, {name}", system, seconds))
                seconds, _ = measure(partial(propose, gp, pool, values.max().item()), repeats)
                rows.append(row(f"believer, {name}", system, seconds))
    return rows


def propose(gp: Surrogate, pool: torch.Tensor, best: float) -> torch.Tensor:
    """A batch of the pool."""
    return choose(gp.posterior(pool), gp.noise, best, BATCH)


def climb(gp: Surrogate, start: torch.Tensor, best: float) -> torch.Tensor:
    """What refinement adds to it."""
    space: Any = SimpleNamespace(latent_space="sphere")
    return refine(lambda z: log_ei(*gp.predict(z), best), start, space, 60)


def botorch_fit(codes: torch.Tensor, values: torch.Tensor) -> Any:
    """BoTorch's default model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # codes are not in the unit cube
        model = SingleTaskGP(codes, values[:, None])
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def botorch_believer(model: Any, pool: torch.Tensor, best: float, n: int) -> list[int]:
    """The kriging believer, a model conditioned anew for each candidate."""
    chosen: list[int] = []
    for _ in range(n):
        with torch.no_grad():
            acquisition = LogExpectedImprovement(model, best)(pool[:, None])
            acquisition[chosen] = -math.inf
            chosen.append(int(acquisition.argmax()))
            point = pool[chosen[-1:]]
            believed = model.posterior(point).mean
            best = max(best, believed.item())
            model = model.condition_on_observations(point, believed)
    return chosen


def botorch_sequential(model: Any, best: float, n: int) -> Any:
    """A batch of qLogEI, one after the other, in the box around the sphere."""
    bounds = torch.tensor([[-1.0], [1.0]], dtype=torch.float64).expand(2, DIMENSIONS)
    acquisition = qLogExpectedImprovement(model, best)
    return optimize_acqf(acquisition, bounds, q=n, num_restarts=10, raw_samples=512, sequential=True)


def data(n: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes on the unit sphere, and noisy values of a smooth function of them."""
    codes = codes_on_sphere(n, size, 0)
    rng = torch.Generator().manual_seed(1)
    direction = torch.randn(size, 3, generator=rng, dtype=torch.float64)
    values = (codes @ direction).sin().sum(1) + 0.3 * torch.randn(n, generator=rng, dtype=torch.float64)
    return codes, values


def codes_on_sphere(n: int, size: int, seed: int) -> torch.Tensor:
    """`(n, size)` uniform ones."""
    return project(torch.randn(n, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def measure(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median of the processor's seconds, and what the last run gave."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        found = run()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds), found


def row(task: str, system: str, seconds: float, **more: Any) -> dict[str, Any]:
    """A row of the table, printed."""
    print(f"{task:44} {system:36} {seconds:9.3f} CPU s", flush=True)
    return {"task": task, "system": system, "cpu_seconds": seconds, **more}


def versions() -> dict[str, str]:
    """Of the systems compared."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "botorch", "gpytorch", "scipy")}


if __name__ == "__main__":
    main()
