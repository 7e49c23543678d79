"""`dime reconstruct`: encodes and decodes the samples of a run, and compares."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json, print_table
from dimecli.cli.line import Line
from dimecli.cli.parsed import Parsed
from dimecli.cli.show import show
from dimecli.console import Reporter, printable
from dimecli.registry import file_options
from dimecli.settings import Settings

if TYPE_CHECKING:
    from dimecli.api import Run
    from dimecli.run.reconstruct import Reconstructed

_EXAMPLES = 10
_ROWS = 20  # of the table of lengths; more lengths are shown in groups


class ReconstructSettings(Settings):
    """The options of `dime reconstruct`; the table [reconstruct] of a TOML file."""

    split: Literal["train", "validation", "test"] = Field("test", description="The samples to reconstruct.")
    count: int = Field(1000, ge=1, description="How many of them at most, chosen at random.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the choice.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


def reconstruct(
    parsed: Parsed,
    *,
    run: OneRun = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Reconstructs samples of a run and says how well."""
    from dimecli.run.folder import find_run

    reporter = Reporter(quiet)
    settings: ReconstructSettings = parsed.settings("reconstruct")
    path = find_run(run, runs)
    if dry_run:
        print_json({"reconstruct": settings.options()})
        reporter.say(f"Would reconstruct samples of {path}")
        return
    result = _compare(path, settings)
    if json:
        print_json(result)
    elif "files" in result:
        show(Path(result["files"][0]), reporter)
    elif not quiet:
        _print_sentences(result)
    reporter.say(_summary(result))
    reporter.say(f"Next: dime sample {shlex.quote(str(path))}{file_options()}")


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for these words."""
    line = Line(reconstruct, words, ())
    line.settings("reconstruct", ReconstructSettings, "Reconstruction", short={"count": "-n"})
    return line.callback()


def _compare(path: Path, settings: ReconstructSettings) -> dict[str, Any]:
    """Works, and returns what JSON says of it."""
    from dimecli.machine import set_up

    set_up(settings.threads)
    from dimecli import api
    from dimecli.run.decoding import AUTO
    from dimecli.run.reconstruct import save_comparison, squared_error

    run = api.load_run(path, device=settings.device)
    found = api.reconstruct(run, settings.split, settings.count, settings.seed)
    result: dict[str, Any] = {"run": path.name, "split": settings.split, "n": len(found.originals)}
    if run.model.spec.modality == "sentence":
        return result | _exact(run, found)
    about = {"squared_error": squared_error(found), "decode": AUTO.of(run.model).decode}
    return result | about | {"files": [str(save_comparison(run, found))]}


def _exact(run: Run, found: Reconstructed) -> dict[str, Any]:
    from dimecli.run.reconstruct import exact_match

    match = exact_match(run, found)
    lengths = [{"length": length, "n": n, "exact": share} for length, (n, share) in match.by_length.items()]
    wrong = [{"original": original, "reconstruction": after} for original, after in match.wrong[:_EXAMPLES]]
    return {"exact": match.exact, "symbols": match.symbols, "lengths": lengths, "wrong": wrong}


def _print_sentences(result: dict[str, Any]) -> None:
    columns = ("productions", "sentences", "exact")
    lengths = result["lengths"]
    size = -(-len(lengths) // _ROWS)
    print_table(columns, (_row(lengths[start : start + size]) for start in range(0, len(lengths), size)))
    for pair in result["wrong"]:
        after = "(incomplete)" if pair["reconstruction"] is None else printable(pair["reconstruction"])
        print(f"{printable(pair['original'])}  ->  {after}")


def _row(lengths: Sequence[dict[str, Any]]) -> tuple[str, str, str]:
    """A row of the table for one length, or for several that follow each other."""
    first, last = lengths[0]["length"], lengths[-1]["length"]
    n = sum(row["n"] for row in lengths)
    exact = sum(row["n"] * row["exact"] for row in lengths) / n
    return str(first) if first == last else f"{first}-{last}", str(n), f"{exact:.1%}"


def _summary(result: dict[str, Any]) -> str:
    start = f"{result['n']} {result['split']} samples of {result['run']}"
    if "exact" in result:
        return f"{start}: {result['exact']:.2%} exact, {result['symbols']:.2%} of the symbols in their place"
    drawn = " (of draws, as the decoder makes images pixel by pixel)" if result["decode"] == "sample" else ""
    return f"{start}: squared error {result['squared_error']:.4g} a sample{drawn}; wrote {', '.join(result['files'])}"
