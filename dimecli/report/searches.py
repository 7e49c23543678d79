"""The searches of a run as blocks of a page: the best sentences, the searches beside each other, and their pictures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dimecli.errors import DimeError
from dimecli.evaluation.conditions import number
from dimecli.report.page import Block, Facts, Pictures, Table, Text, picture
from dimecli.run.run import Run
from dimecli.search.folder import read_search

_PICTURES = {
    "best-so-far.png": "The best value found so far, over the evaluations",
    "predicted.png": "Predicted against actual values",
}


def searches(run: Run) -> Iterator[Block]:
    """Every search in the run's `bo/`, the newest first."""
    folders = sorted((file.parent for file in (run.path / "bo").glob("*/search.json")), reverse=True)
    if not folders:
        yield Text(f"None yet: dime bo {shlex.quote(str(run.path))}")
    for folder in folders:
        try:
            yield from _search(run, folder)
        except DimeError as error:
            yield Text(str(error))


def _search(run: Run, folder: Path) -> Iterator[Block]:
    record = read_search(folder)
    config, results = record["config"], record.get("results")
    about = {kind: config[kind]["name"] for kind in ("problem", "search", "density")}
    yield Facts({**about, "state": record["state"], "began": str(record.get("created", ""))[:16]}, folder.name)
    if not isinstance(results, Mapping):
        yield Text("It has no results yet.")
        return
    yield _best(run, results)
    yield _beside(config["search"]["name"], results)
    shown = [(folder / name, alt) for name, alt in _PICTURES.items() if (folder / name).is_file()]
    if shown:
        yield Pictures([picture(file, alt, alt, chart=True) for file, alt in shown], wide=True)


def _best(run: Run, results: Mapping[str, Any]) -> Table:
    """The best sentences, and what is simpler and the same."""
    from dimecli.search.pretty import pretty

    language = run.language
    found = [(str(of["sentence"]), number(of["value"])) for of in results["best"]]
    rows = [
        (str(rank), value, sentence, pretty(sentence, language) if language else sentence)
        for rank, (sentence, value) in enumerate(found, 1)
    ]
    heads = ("rank", "value", "sentence", "simplified")
    return Table(heads, rows, numbers=(1,), caption="The best sentences that were found")


def _beside(name: str, results: Mapping[str, Any]) -> Table:
    """The search beside its baselines, at the same budget."""
    every = [{"search": name, **results}, *results["baselines"]]
    rows = [
        (
            of["search"],
            number(of["best"][0]["value"]) if of["best"] else "none",
            str(of["evaluations"]),
            *(f"{of[share]:.1%}" for share in ("valid", "novel", "distinct")),
            "none" if of["average"] is None else number(of["average"]),
        )
        for of in every
    ]
    heads = ("search", "best", "evaluations", "valid", "novel", "distinct", "average")
    return Table(heads, rows, numbers=range(1, 7), caption="The search and its baselines, with the same budget")
