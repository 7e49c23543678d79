"""What `dime bo` says at the end: the best sentences, the search beside its baselines, and what to mind."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dimecli.cli.another import another
from dimecli.cli.common import print_table
from dimecli.console import Reporter, printable
from dimecli.plugin import Language
from dimecli.registry import entry_of, file_options

if TYPE_CHECKING:
    from dimecli.api import Study
    from dimecli.search.result import Result


def print_found(done: Study, language: Language | None, top: int) -> None:
    """The best sentences, and the search beside its baselines."""
    from dimecli.search.pretty import pretty

    name = done.result.problem.value_name
    best = done.result.best(top)
    simple = [pretty(sentence, language) if language else sentence for sentence, _ in best]
    rows = [
        (str(rank), f"{value:.6g}", printable(sentence), printable(short))
        for rank, ((sentence, value), short) in enumerate(zip(best, simple, strict=True), 1)
    ]
    if not rows:
        print("No sentence has a value.")
    elif any(sentence != short for (sentence, _), short in zip(best, simple, strict=True)):
        print_table(("rank", name, "sentence", "simplified"), rows)
    else:
        print_table(("rank", name, "sentence"), [row[:3] for row in rows])
    print()
    columns = ("search", f"best {name}", "evaluations", "proposals", "valid", "novel", "distinct", "average")
    print_table(columns, [_row(label, result) for label, result in {done.name: done.result, **done.baselines}.items()])


def _row(name: str, result: Result) -> tuple[str, ...]:
    best = [f"{value:.6g}" for _, value in result.best(1)] or ["none"]
    rates = (f"{rate:.1%}" for rate in (result.valid_rate, result.novel_rate, result.distinct_rate))
    return (
        name,
        best[0],
        str(result.calls),
        str(result.proposals),
        *rates,
        "none" if math.isnan(result.average) else f"{result.average:.4g}",
    )


def summary(done: Study, top: int) -> dict[str, Any]:
    """The numbers of the search and of its baselines, as JSON values."""
    baselines = [{"search": name, **result.summary(top=1)} for name, result in done.baselines.items()]
    return {**done.result.summary(top), "baselines": baselines, "files": [str(file) for file in done.files]}


def tell(done: Study, run: Path, reporter: Reporter) -> None:
    """What a person should know beside the numbers."""
    result, problem = done.result, done.result.problem
    sign = 1 if problem.direction == "max" else -1
    best = [value for _, value in result.best(1)]
    for name, other in done.baselines.items():
        if (theirs := other.best(1)) and (not best or sign * theirs[0][1] > sign * best[0]):
            reporter.say(f"Warning: {name} found better in {other.calls} evaluations: {theirs[0][1]:.6g}")
    first = result.initial_best
    if first is not None and not (best and sign * best[0] > sign * first):
        reporter.say(f"Warning: nothing better than the best that it started from was found: {first:.6g}")
    if best and problem.optimum is not None and abs(best[0] - problem.optimum) < 1e-9:
        reporter.say("The best value there is was found")
    invalid = [evaluation.reason for evaluation in result.found if not evaluation.valid]
    if invalid:
        most = max(set(invalid), key=invalid.count)
        of = f"evaluations of problem '{entry_of(problem).name}'"
        reporter.say(f"Warning: {len(invalid)} of {result.calls} {of} are invalid, mostly: {most}")
    reporter.say(f"Wrote {', '.join(map(str, done.files))}")
    if choice := another("search", done.name):
        again = f"dime bo {shlex.quote(str(run))}{choice}{file_options()}"
        reporter.say(f"Next, to compare: {again}; 'dime plugins list search' lists every search")
