"""A search with all that belongs to it: the run's space, the oracle, the baselines, the folder, the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dimecli.plugin import Density, Executor, Outcome, Problem, Search
from dimecli.registry import entry_of, make
from dimecli.run.run import Run
from dimecli.search.folder import SearchFolder, create_search, describe, resume_search
from dimecli.search.initial import initial_from
from dimecli.search.loop import Observer, search
from dimecli.search.oracle import Oracle
from dimecli.search.plots import plot_best_so_far, plot_predictions
from dimecli.search.result import Result
from dimecli.search.settings import SearchSettings
from dimecli.search.space import RunSpace

Watch = Callable[[str, bool], Observer]
"""Gives who is told how the search of that name goes, and whether it is a baseline."""


@dataclass(frozen=True)
class Study:
    """A finished search and its baselines, at the same budget.

    Args:
        path: Its folder in the run.
        name: Of the search.
        result: What it found.
        baselines: What the others found, by name.
        files: What was written for a person to look at.
    """

    path: Path
    name: str
    result: Result
    baselines: Mapping[str, Result]
    files: tuple[Path, ...]


def study(
    run: Run,
    problem: Problem,
    strategy: Search,
    density: Density,
    executor: Executor,
    settings: SearchSettings,
    baselines: Iterable[str] = (),
    resume: Path | None = None,
    watch: Watch | None = None,
) -> Study:
    """Search the codes of a run, then let the baselines spend the same budget; outcomes are shared, budgets are not.

    Args:
        run: Of sentences of a grammar.
        problem: What to search for.
        strategy: What proposes candidates.
        density: What random codes are drawn from.
        executor: Where sentences are evaluated.
        settings: How to search.
        baselines: Names of searches, with their default options.
        resume: The folder of a search to go on with; None begins a new one.
        watch: Who is told how it goes.

    Raises:
        UserError: the parts do not suit each other, or the search in `resume` was another one.
        DimeError: the log is damaged or cannot be written, or the executor fails.
    """
    initial_from(problem, settings)  # before there is a folder
    space = RunSpace(run, density)
    about = describe(run, problem, strategy, density, settings)
    opened: AbstractContextManager[SearchFolder]
    opened = create_search(run.path, about) if resume is None else resume_search(resume, about)
    name, outcomes = entry_of(strategy).name, dict[str, Outcome]()
    with Oracle(problem, space.language, executor, settings.timeout) as oracle, opened as folder:

        def one(strategy: Search, name: str, log: str | None) -> Result:
            observer = watch(name, log is not None) if watch else None
            return search(space, oracle, problem, strategy, settings, folder.log(log), observer, outcomes)

        result = one(strategy, name, None)
        others = {other: one(make("search", other), other, other) for other in baselines if other != name}
        title = f"{run.path.name}, {entry_of(problem).name}"
        files = [folder.path / "results.jsonl", plot_best_so_far(folder.path, {name: result, **others}, title)]
        if (predictions := plot_predictions(folder.path, result, f"{title}, {name}")) is not None:
            files.append(predictions)
        folder.finish(_results(result, others))
    return Study(folder.path, name, result, others, tuple(files))


def _results(result: Result, baselines: Mapping[str, Result]) -> dict[str, Any]:
    """What `search.json` keeps of the results, and `--json` prints."""
    return {
        **result.summary(),
        "baselines": [{"search": name, **other.summary(top=1)} for name, other in baselines.items()],
    }
