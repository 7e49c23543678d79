"""Every objective on MNIST, on the bundled digits and on expressions: seconds, terms, a linear probe, samples.

    python benchmarks/survey.py --data-dir data/mnist --runs runs/survey

Default options, three epochs (digits: ten), one thread. It stops where a term is not finite, and says of
every row whether the validation loss fell. Each run is sampled with its prior, `gaussian` and `gmm`; the pictures
lie in the runs. The error is the squared error of an image decoded from its own code, summed over pixels, the mean of
1,000 test images; of sentences it is the share that is not decoded exactly. The probe is a logistic regression on
standardised codes of 10,000 training images, its accuracy that on the test images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from dimecli import api
from dimecli.api import Run
from dimecli.errors import UserError
from dimecli.machine import describe
from dimecli.registry import make, names
from dimecli.run.files import read_tensors
from dimecli.run.reconstruct import squared_error

CASES: dict[str, dict[str, Any]] = {
    "mnist": {"dataset": "mnist", "network": "mlp", "epochs": 3},
    "digits": {"dataset": "digits", "network": "mlp", "epochs": 10},
    "expressions": {"dataset": "sentences", "network": "grammar-transformer", "epochs": 3},
}
PROBED = 10_000
RECONSTRUCTED = 1_000


def main() -> None:
    """Trains what the command line asks for, prints a line each and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="data", help="folder that holds MNIST/raw")
    parser.add_argument("--runs", type=Path, default=Path("runs/survey"), help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--objectives", nargs="+", default=names("objective"))
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    default = Path(__file__).parent / "results" / "survey-cpu.json"
    parser.add_argument("--output", type=Path, default=default, help="result file (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for case in options.cases:
        for name in options.objectives:
            rows.append(survey(case, name, options))
            about = {"machine": describe(torch.device("cpu")), "cases": CASES, "rows": rows}
            options.output.write_text(json.dumps(about, indent=2) + "\n")
    print(f"wrote {options.output}")


def survey(case: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Trains one objective on one dataset and tells what came out."""
    chosen = dict(CASES[case])
    kind = chosen.pop("dataset")
    dataset = make("dataset", kind, **({"data_dir": options.data_dir} if case == "mnist" else {}))
    run = api.train(name, dataset, chosen.pop("network"), runs=options.runs, **chosen)
    lines = [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]
    totals = [line["validation"]["total"] for line in lines]
    row = {
        "case": case,
        "objective": name,
        "seconds_per_epoch": round(run.results["seconds"] / len(lines), 2),
        "terms": {term: round(value, 4) for term, value in run.results["terms"].items()},
        "loss_fell": totals[-1] < totals[0],
        "error": error(run),
        "probe": probe(run) if case != "expressions" else None,
        "densities": [density for density in ("prior", "gaussian", "gmm") if sampled(run, density)],
    }
    told = ", ".join(f"{term} {value:.4g}" for term, value in run.results["terms"].items())
    accuracy = f"probe {row['probe']:.1%}" if row["probe"] else ""
    fell = "" if row["loss_fell"] else "  LOSS DID NOT FALL"
    start = f"{case:12} {name:18} {row['seconds_per_epoch']:6.2f} s/epoch  error {row['error']:7.4g}"
    print(f"{start}  {accuracy:12} {told}{fell}", flush=True)
    return row


def error(run: Run) -> float:
    """How far test samples are from what their codes decode to."""
    found = api.reconstruct(run, n=RECONSTRUCTED)
    if run.model.spec.modality == "sentence":
        return round(float((found.originals != found.reconstructions).any(1).float().mean()), 4)
    return round(squared_error(found), 4)


def probe(run: Run) -> float:
    """Test accuracy of a linear classifier on the codes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (codes, labels), (test_codes, test_labels) = (encoded(run, split) for split in ("train", "test"))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(codes[:PROBED].numpy(), labels[:PROBED].numpy())
    return round(float(classifier.score(test_codes.numpy(), test_labels.numpy())), 4)


def encoded(run: Run, split: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and labels of a split."""
    run.codes(split)
    tensors, _ = read_tensors(run.path / "codes" / f"{split}.safetensors")
    return tensors["codes"], tensors["labels"]


def sampled(run: Run, density: str) -> bool:
    """Whether the run could be sampled so; a deterministic one has no prior."""
    try:
        drawn = run.sample(64, density)
    except UserError as error:
        if "has no prior" not in str(error):
            raise
        return False
    api.save_samples(run, drawn)
    return True


if __name__ == "__main__":
    main()
