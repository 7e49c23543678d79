"""The page of one run: what it is, how it trained, what it makes, and what was measured of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from dimecli import __version__
from dimecli.evaluation.conditions import flat, number, written
from dimecli.evaluation.record import Entry, kept
from dimecli.fields import show
from dimecli.report.curves import draw_curves, panels, plot_curves, read_history
from dimecli.report.page import Block, Facts, Lines, Page, Pictures, Section, Table, Text, drawing, section
from dimecli.report.searches import searches
from dimecli.report.seen import Seen
from dimecli.run.origin import packages_of
from dimecli.run.run import Run

_ACCURACY = "accuracy["  # numbers of classifiers are called after them


def one(seen: Seen) -> Page:
    """All sections about the run."""
    run = seen.run
    parts: dict[str, Callable[[], Iterable[Block]]] = {
        "About": lambda: about(run),
        "Training": lambda: training(run),
        "Samples": seen.samples,
        "Reconstructions": seen.reconstructions,
        "Interpolations": seen.interpolations,
        "Traversals": seen.traversals,
        "Codes": seen.codes,
        "Measurements": lambda: measurements(run),
        "Classification": lambda: classification(run),
        "Nearest training samples": seen.neighbours,
        **({"Searches": lambda: searches(run)} if seen.modality == "sentence" else {}),
        "Settings": lambda: settings(run),
        "Make it again": lambda: again(run),
    }
    config = run.record["config"]
    subtitle = f"{config['objective']['name']} on {data_of(run)}, network {config['network']['name']}"
    return Page(run.path.name, subtitle, made(parts, seen), footer())


def made(parts: Mapping[str, Callable[[], Iterable[Block]]], seen: Seen) -> list[Section]:
    """The sections, with progress told."""
    sections = []
    with seen.reporter.progress("writing the report", len(parts), "section", transient=True) as bar:
        for done, (title, make) in enumerate(parts.items()):
            bar.update(done)
            sections.append(section(title, make))
    return sections


def footer() -> str:
    """What made the page, and when."""
    return f"Made by dimecli {__version__} on {datetime.now().astimezone():%Y-%m-%d %H:%M}."


def data_of(run: Run) -> str:
    """What the data of a run are called."""
    return str(run.experiment.dataset.label or run.record["config"]["dataset"]["name"])


def about(run: Run) -> Iterator[Block]:
    """Objective, data, network, machine, times and versions."""
    record, objective = run.record, run.experiment.objective
    config, machine, results, data = record["config"], record["machine"], record["results"], record["data"]
    yield Facts(
        {
            "objective": config["objective"]["name"],
            "data": data_of(run),
            "network": config["network"]["name"],
            "codes": f"{run.model.latent_size} dimensions, {objective.latent_space}",
            "parameters": f"{sum(weights.numel() for weights in run.model.parameters()):,}",
            "samples": f"{data.get('training', 0):,} to train on, {data.get('validation', 0):,} to validate on",
            "seed": show(run.experiment.train.seed),
            "state": record["state"],
            "began": datetime.fromisoformat(record["created"]).strftime("%Y-%m-%d %H:%M"),
            "took": f"{timedelta(seconds=round(results['seconds']))}, {results.get('steps', 0):,} steps",
            "machine": written(_some(machine, "device", "threads", "platform")),
            "versions": ", ".join([packages_of(record), written(_some(machine, "torch", "python"))]),
        }
    )
    for note in run.notes:
        yield Text(f"Note: {note}")


def training(run: Run) -> Iterator[Block]:
    """The terms of the weights that were kept, and the curves of all terms."""
    shares = run.results["gradient_share"]
    rows = [
        (name, number(value), f"{shares[name]:.1%}" if name in shares else "")
        for name, value in run.results["terms"].items()
    ]
    heads = ("term", "validation", "share of the encoder's gradient")
    yield Table(heads, rows, numbers=(1, 2), caption="With the weights that were kept")
    plot_curves(run)
    found = panels(read_history(run.path))
    yield Pictures(
        [drawing(draw_curves(title, of), f"Curves of {title} over the epochs") for title, of in found.items()]
    )
    yield Text(
        "Training values are averages over an epoch, while the weights changed; validation values are of its end."
    )


def measurements(run: Run) -> Iterator[Block]:
    """Every number that was measured, with its conditions."""
    entries = [entry for entry in kept(run.path, run.record["weights"]) if not entry.name.startswith(_ACCURACY)]
    yield _numbers(entries) if entries else Text(f"None yet: dime evaluate {_shell(run)}")


def classification(run: Run) -> Iterator[Block]:
    """How well classifiers tell the classes from the codes."""
    if not run.model.spec.classes:
        yield Text("The data have no classes.")
        return
    entries = [entry for entry in kept(run.path, run.record["weights"]) if entry.name.startswith(_ACCURACY)]
    yield _numbers(entries) if entries else Text(f"None yet: dime classify {_shell(run)}")


def settings(run: Run) -> Iterator[Block]:
    """All options as they were resolved, a table for each plugin."""
    for table, options in run.record["config"].items():
        told = dict(flat({key: value for key, value in options.items() if key != "name"}))
        yield Facts(told, f"{table}: {options['name']}" if "name" in options else table)


def again(run: Run) -> Iterator[Block]:
    """The commands that give the same run, and the same numbers."""
    record = shlex.quote(str(run.path / "run.json"))
    yield Lines(f"dime train --config {record}\ndime evaluate {_shell(run)}\ndime report {_shell(run)}")
    yield Text(
        "The same versions, device and number of threads give the same bits. The fingerprints of the data: "
        + written(run.record["data"]["fingerprints"])
        + "."
    )


def _numbers(entries: Sequence[Entry]) -> Table:
    """Numbers with their units and conditions; what all share is said once."""
    entries = sorted(entries, key=lambda entry: entry.key)
    conditions = [dict(flat(entry.conditions)) for entry in entries]
    shared = {key: value for key, value in conditions[0].items() if all(of.get(key) == value for of in conditions)}
    own = [written({key: value for key, value in of.items() if key not in shared}) for of in conditions]
    better = {"higher": "higher", "lower": "lower", None: ""}
    rows = [
        (entry.name, number(entry.value), entry.unit, better[entry.direction], told)
        for entry, told in zip(entries, own, strict=True)
    ]
    return Table(
        ("metric", "value", "unit", "better", "conditions"),
        rows,
        numbers=(1,),
        remarks={place: entry.remark for place, entry in enumerate(entries)},
        caption=f"All: {written(shared)}" if shared else "",
    )


def _some(of: Mapping[str, object], *keys: str) -> dict[str, str]:
    return {key: show(of[key]) for key in keys if key in of}


def _shell(run: Run) -> str:
    return shlex.quote(str(run.path))
