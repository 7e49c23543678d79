"""How well codes of sentences reconstruct and what can be drawn from them, objective by objective.

    python benchmarks/sentences.py --threads 1

Trains each setting alike on a grammar's sentences (16 dimensions, Adam 1e-3, batches of 100, one seed) and
measures on test sentences that were not seen: the share that is reconstructed exactly, in all and by the
length of the derivation. Of 1,000 codes from each density, decoded by argmax with and without the reserve
rule, it gives the shares `dimecli.run.sentences.Rates` defines. The last rows of a setting decode random
codes of norm 40, which no encoder ever gave.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dimecli.api import Run, train
from dimecli.console import Reporter
from dimecli.machine import describe
from dimecli.registry import make
from dimecli.run.decoding import Decoding
from dimecli.run.reconstruct import exact_match, reconstruct
from dimecli.run.sentences import rates

DATA: dict[str, dict[str, Any]] = {
    "gvae": {"source": "gvae", "size": 20_000},
    "length": {"source": "length", "size": 20_000},
}
SETTINGS = {
    "dime": ("dime", "grammar-transformer"),
    "vae": ("vae", "grammar-transformer"),
    "ae": ("ae", "grammar-transformer"),
    "dime, conv-gru": ("dime", "grammar-conv-gru"),
    "character vae": ("vae", "character"),
    "character dime": ("dime", "character"),
}
N = 1000


def main() -> None:
    """Trains and measures every setting on both kinds of data, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grammar", default="expressions")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--runs", type=Path, default=Path("runs/sentences"))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "sentences-cpu.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for data, how in DATA.items():
        dataset = make("dataset", "sentences", grammar=options.grammar, **how)
        for name, (objective, network) in SETTINGS.items():
            run = train(
                objective, dataset, network, runs=options.runs, epochs=options.epochs, reporter=Reporter(quiet=True)
            )
            rows.append({"data": data, "setting": name, **measure(run)})
            print(json.dumps(rows[-1]), flush=True)
            about = {"machine": describe(torch.device("cpu")), "epochs": options.epochs, "n": N, "data": DATA}
            options.output.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")


def measure(run: Run) -> dict[str, Any]:
    """Exact reconstruction of N test sentences, and the rates of N sentences from each density."""
    exact = exact_match(run, reconstruct(run, "test", N))
    row: dict[str, Any] = {
        "seconds": run.results["seconds"],
        "exact": exact.exact,
        "by_length": {length: share for length, (_, share) in exact.by_length.items()},
    }
    productions = run.model.spec.likelihood.name == "productions"
    densities = ["gmm", "gaussian", *(["prior"] if run.prior else [])]
    for reserve in (True, False) if productions else (True,):
        word, decoding = "" if reserve else ", no reserve", Decoding(reserve=reserve)
        for density in densities:
            row[density + word] = asdict(rates(run, run.sample(N, density, decoding=decoding).x))
        far = 40 * torch.nn.functional.normalize(torch.randn(N, run.model.latent_size), dim=1)
        row["norm 40" + word] = asdict(rates(run, run.decode(far, decoding)))
    return row


if __name__ == "__main__":
    main()
