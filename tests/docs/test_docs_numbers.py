"""The tables of measured numbers are those of the files that they name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAPERS = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def presets() -> Iterator[str]:
    names = {
        "normalised AE": "lambda 0",
        "paper": "the paper's",
        "authors-code": "the released program",
        **{f"lambda 1e-{n}, gamma 2": f"lambda 0.{'0' * (n - 1)}1, gamma 2" for n in (2, 3)},
        "lambda 3e-3, gamma 2": "lambda 0.003, gamma 2",
    }
    for one in result("dime-presets")["rows"]:
        share, uniform = one["information_gradient_share"], one["frechet"].get("sphere-uniform")
        digits = 1 if share == 0 or share > 0.1 else 2
        yield row(
            names[one["setting"]],
            f"{one['mse']:.4f}",
            f"{100 * one['linear_accuracy']:.1f} %",
            f"{100 * share:.{digits}f} %",
            f"{one['log_potential']:.3g}",
            f"{one['frechet']['gmm'] + 1e-9:.1f}",
            "" if uniform is None else f"{uniform:.0f}",
        )


def comparison() -> Iterator[str]:
    names = {"dime lambda 0": "`dime`, lambda 0", "dime lambda 0.003": "`dime`"}
    found: dict[str, dict[str, float]] = {}
    for metric in result("comparison")["metrics"]:
        of = metric["metric"].partition("/")[2]
        found[f"{of} {metric['conditions'].get('density', {}).get('name', '')}".strip()] = metric["values"]
    columns = ("samples gmm", "samples gaussian", "reconstruction", "interpolation")
    for label in found["interpolation"]:
        values = [found[column][label] for column in columns]
        texts = (f"{value:.1f}" if column in (0, 2) else f"{value:.0f}" for column, value in enumerate(values))
        yield row(names.get(label, f"`{label}`"), *texts)


def classification() -> Iterator[str]:
    names = {
        "ae": "`ae`",
        "sphere-ae": "`dime`, lambda 0",
        "dime-paper": "`dime`, the paper's lambda and gamma",
        "dime-authors": "`dime`, the same not normalised",
        "dime-effective": "`dime`, default",
        "vae": "`vae`",
        "rae-l2": "`rae-l2`",
    }
    rows = [one for one in result("classification")["rows"] if one["network"] == "mlp"]
    for setting, name in names.items():
        of = [one["accuracy"] for one in rows if one["setting"] == setting]
        assert len(of) == 3
        yield row(name, *(f"{100 * mean(one[key] for one in of):.1f}" for key in ("linear", "head")))


def sentences() -> Iterator[str]:
    def percent(share: float | None) -> str:
        return "" if share is None else f"{100 * share:.3g} %"

    data = {"gvae": "published", "length": "all lengths alike"}
    names = {"dime": "`dime`", "vae": "`vae`", "character vae": "`vae`, `character`"}
    for one in result("sentences-cpu")["rows"]:
        if one["setting"] in names and (one["setting"], one["data"]) != ("character vae", "gvae"):
            columns = ("gmm", "gaussian", "norm 40", "gmm, no reserve")
            rates = (percent(one.get(column, {}).get("valid")) for column in columns)
            yield row(names[one["setting"]], data[one["data"]], percent(one["exact"]), *rates)


def searches() -> Iterator[str]:
    for name, one in result("search-quality")["searches"].items():
        bests = (f"{one[key]:.3f}" for key in ("mean best", "median best"))
        yield row(f"`{name}`", *bests, f"{100 * one['good']:.0f} %", f"{one['average']:.2f}")


def infomax() -> Iterator[str]:
    for one in result("infomax-table1")["rows"]:
        information = f"{one['information_below']:.2f} to {one['information_above']:.2f}"
        numbers = (f"{one['log_likelihood']:.1f}", information, f"{one['kl']:.1f}", str(one["active_units"]))
        yield row(str(one["latent_size"]), f"`{one['objective']}`", *numbers)


@pytest.mark.parametrize("table", [presets, comparison, classification, sentences, searches, infomax])
def test_a_table_is_that_of_its_file(table: Any) -> None:
    rows = list(table())
    assert rows
    missing = [line for line in rows if line not in PAPERS]
    assert not missing, "\n".join(missing)


def test_mim_is_as_is_said() -> None:
    cases = result("mim-toy")["as in the paper"]
    assert all(case["bound"] for case in cases.values())
    assert [name for name, case in cases.items() if not case["information"]] == ["figure 4, latent 2"]
