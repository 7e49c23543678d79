"""Quality of the searches at an equal budget: expressions near 1/3 + x + sin(x*x).

    python benchmarks/search_quality.py                    # ten seeds of every search; some ten minutes on a core
    python benchmarks/search_quality.py --seeds 3 --search bo --search pcfg

Trains an autoencoder once, on expressions all worse than 0.389; every search then starts from the same 500 of
them, none of the better half, and evaluates 5 x 50 new ones. Scores are log(1 + MSE), 0 for the target. The
expressions x + constant, which most searches end with, have 0.389 at best, x + sin(x*x) has 0.105.

A search that is in the folder is not made again, so a benchmark that was killed goes on. Results, and the
curves as a PNG beside them, are written anew after each seed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dimecli.api import SEARCHED
from dimecli.console import Reporter
from dimecli.machine import describe
from dimecli.registry import make, registered
from dimecli.run.lock import lock
from dimecli.run.run import Run
from dimecli.search.lab import FolderLab
from dimecli.search.loop import search
from dimecli.search.oracle import Oracle
from dimecli.search.predictive import scores
from dimecli.search.result import Result
from dimecli.search.settings import SearchSettings
from dimecli.search.space import RunSpace

HELD_OUT, GOOD = 0.389, 0.105  # scores, rounded to three digits
TABLES: dict[str, dict[str, Any]] = {
    "objective": {"name": "dime", "latent_size": SEARCHED},
    "dataset": {"name": "sentences", "grammar": "expressions", "hold_out": HELD_OUT},
}
SETTINGS: dict[str, Any] = {"rounds": 5, "batch": 50, "initial": 500, "initial_from": "half"}
GPLEARN = (
    "gplearn, measured apart at 250 evaluations and five seeds: mean best 0.393 with the leaves x, 1, 2, 3 "
    "(0.105 once), 0.433 with x and float constants"
)
COLUMNS = ("mean best", "median best", "good", "below", "valid", "novel", "distinct", "average", "cpu seconds")


def main() -> None:
    """Searches, prints and writes the result file and the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--search", action="append", help="one of the registry; repeatable (default: every one)")
    parser.add_argument(
        "--train-seed", type=int, default=0, help="of the autoencoder; another one needs its own folder"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs/search-quality"), help="default: %(default)s")
    default = Path(__file__).parent / "results" / "search-quality.json"
    parser.add_argument("--output", type=Path, default=default, help="result file (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = options.search or sorted(entry.name for entry in registered("search"))
    options.folder.mkdir(parents=True, exist_ok=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with lock(options.folder, "worked on"):
        lab = FolderLab(options.folder, Reporter())
        run = lab.train("dime", {**TABLES, "train": {"seed": options.train_seed}})
        space = RunSpace(run, make("density", "gmm"))
        found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names}
        for seed in range(options.seeds):
            for name in names:
                found[name].append(lab.result(f"{name}, seed {seed}", partial(numbers, space, name, seed)))
                best = found[name][-1]["curve"][-1]
                print(f"seed {seed}  {name:10} best {best:.4f}  {found[name][-1]['sentence']}", flush=True)
            write(options.output, run, found)
    print(table(found))
    print(GPLEARN)


def numbers(space: RunSpace, name: str, seed: int) -> dict[str, Any]:
    """What one search found."""
    problem, strategy = make("problem", "expression-regression"), make("search", name)
    settings = SearchSettings(seed=seed, **SETTINGS)
    started = time.process_time()
    with Oracle(problem, space.language, make("executor", "serial"), None) as oracle:
        result = search(space, oracle, problem, strategy, settings)
    seconds = time.process_time() - started
    best = result.best_so_far
    return {
        "options": strategy.options(),
        "curve": [best[min(evaluations, result.calls) - 1].item() for evaluations in checkpoints()],
        "sentence": result.best(1)[0][0],
        "initial best": result.initial_best,
        "evaluations": result.calls,
        "valid": result.valid_rate,
        "novel": result.novel_rate,
        "distinct": result.distinct_rate,
        "average": result.average,
        "cpu seconds": seconds,
        "predicted": predicted(result),
    }


def checkpoints() -> list[int]:
    """Numbers of evaluations after which the best so far is noted: at the end of each round."""
    return [SETTINGS["batch"] * number for number in range(1, SETTINGS["rounds"] + 1)]


def predicted(result: Result) -> list[dict[str, float]]:
    """How far what the search expected is from what it found, in each round; nothing if it expects nothing.

    Models may learn of bad scores only
    that they are bad, so the rank correlation tells more than the error.
    """
    from scipy.stats import spearmanr

    rounds = []
    for number in result.rounds.unique().tolist():
        told = (result.rounds == number) & ~result.mean.isnan() & result.valid
        if told.sum() > 2:
            values, mean, variance = result.values[told], result.mean[told], result.std[told].square()
            rank = float(spearmanr(values, mean).statistic)
            found = scores(values, mean, variance)
            rounds.append({"round": number, **found, "rank correlation": 0.0 if math.isnan(rank) else rank})
    return rounds


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of a search over its seeds."""
    curves = torch.tensor([numbers["curve"] for numbers in found], dtype=torch.float64)
    best = curves[:, -1]
    means = {
        name: math.fsum(numbers[name] for numbers in found) / len(found)
        for name in ("valid", "novel", "distinct", "average", "cpu seconds")
    }
    return {
        "seeds": len(found),
        "mean best": best.mean().item(),
        "median best": best.quantile(0.5).item(),
        "good": (best.round(decimals=3) <= GOOD).double().mean().item(),
        "below": (best.round(decimals=3) < HELD_OUT).double().mean().item(),
        **means,
        "curve": dict(zip(map(str, checkpoints()), curves.mean(0).tolist(), strict=True)),
        "predicted": mean_predicted(found),
    }


def mean_predicted(found: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The means over the seeds of `predicted`, round by round."""
    rounds: dict[int, list[Mapping[str, float]]] = {}
    for numbers in found:
        for row in numbers["predicted"]:
            rounds.setdefault(row["round"], []).append(row)
    return [{key: math.fsum(row[key] for row in rows) / len(rows) for key in rows[0]} for rows in rounds.values()]


def write(output: Path, run: Run, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """The result file, and the curves beside it."""
    packages = {name: version(name) for name in ("dimecli", "torch", "scipy")}
    about = {
        "machine": describe(torch.device("cpu")) | packages | {"load": os.getloadavg()[1]},
        "run": {"config": run.record["config"], "weights": run.record["weights"], "results": run.results},
        "settings": SETTINGS,
        "columns": {"good": f"share of seeds at or under {GOOD}", "below": f"share of seeds under {HELD_OUT}"},
        "gplearn": GPLEARN,
    }
    rows = {name: summary(seeds) | {"each": list(seeds)} for name, seeds in found.items()}
    output.write_text(json.dumps({**about, "searches": rows}, indent=2) + "\n")
    draw(output.with_suffix(".png"), rows)


def draw(file: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """The mean best so far against the evaluations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="evaluations", ylabel="mean best log(1 + MSE)", xticks=checkpoints())
    for name, row in sorted(rows.items(), key=lambda item: item[1]["mean best"]):
        axes.plot(checkpoints(), list(row["curve"].values()), marker="o", label=f"{name} {row['mean best']:.3f}")
    axes.axhline(HELD_OUT, color="grey", linestyle=":", label=f"x + constant {HELD_OUT}")
    axes.legend()
    figure.savefig(file, dpi=150)


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The summaries in Markdown, the best search first."""
    titles = {"good": f"<= {GOOD}", "below": f"< {HELD_OUT}"}
    header = ["search", *(titles.get(column, column) for column in COLUMNS)]
    rows = {name: summary(seeds) for name, seeds in found.items()}
    lines = [header, ["---"] * len(header)]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["mean best"]):
        lines.append([name, *(f"{row[column]:.3f}" for column in COLUMNS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
