"""The Python API, for notebooks and programs; the command line is a thin layer over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from dimecli.console import Reporter
from dimecli.defaults import default
from dimecli.errors import PluginError, UserError
from dimecli.evaluation.classify import Classified
from dimecli.evaluation.classify import classify as classify_codes
from dimecli.evaluation.evaluate import Evaluation
from dimecli.evaluation.evaluate import evaluate as evaluate_subject
from dimecli.evaluation.subject import Subject
from dimecli.plugin import (
    Classifier,
    Dataset,
    Density,
    Executor,
    Metric,
    Network,
    Objective,
    Plugin,
    Problem,
    Search,
    Split,
    Tracker,
)
from dimecli.registry import entry_of, find, make, names
from dimecli.report.compare import Comparison
from dimecli.report.compare import compare as compare_runs
from dimecli.report.report import Report, report
from dimecli.run.embed import embed
from dimecli.run.folder import find_run, runs_folder
from dimecli.run.interpolate import interpolate
from dimecli.run.reconstruct import reconstruct
from dimecli.run.run import Drawn, Run
from dimecli.run.save import save_samples
from dimecli.run.sentences import Rates, first_different, rates, texts, write_sentences
from dimecli.run.traverse import traverse
from dimecli.search.folder import find_search
from dimecli.search.settings import SearchSettings
from dimecli.search.study import Study, study
from dimecli.search.watch import Watch
from dimecli.settings import Settings, checked
from dimecli.training.experiment import Experiment
from dimecli.training.settings import TrainSettings
from dimecli.training.start import resume as resume_training
from dimecli.training.start import start

_S = TypeVar("_S", bound=Settings)

SEARCHED = 32
"""Dimensions of the codes: in 16 a Gaussian process that knows 500 expressions tells little about 1,000 others
(a rank correlation of 0.28; 0.45 in 32, 0.50 in 64, where searches found no more; one run of each)."""

__all__ = [
    "Classified",
    "Comparison",
    "Drawn",
    "Evaluation",
    "Rates",
    "Report",
    "Run",
    "Study",
    "bo",
    "classify",
    "compare",
    "embed",
    "evaluate",
    "first_different",
    "interpolate",
    "load_run",
    "rates",
    "reconstruct",
    "report",
    "resume",
    "save_samples",
    "texts",
    "train",
    "train_on",
    "traverse",
    "write_sentences",
]


def train(
    objective: Objective | str | None = None,
    dataset: Dataset | str | None = None,
    network: Network | str | None = None,
    *,
    runs: Path | str | None = None,
    settings: TrainSettings | None = None,
    trackers: Sequence[Tracker | str] = (),
    reporter: Reporter | None = None,
    **options: Any,
) -> Run:
    """Train a model and return its run.

    Args:
        objective: A name, or a plugin with options, such as `make("objective", "mine", latent_size=8)`; None takes
            the default, that of `dime train`, here and for all plugins below.
        dataset: The same.
        network: The same; None takes the one that fits the dataset.
        runs: Folder for the run folder; default `$DIME_RUNS` or `runs`.
        settings: How to train; or give its fields as further keywords, such as `epochs=20`.
        trackers: Names, or plugins with options: what else is told the numbers of `history.jsonl`.
        reporter: Told how it goes; by default nobody is.
        **options: Fields of `TrainSettings`; none of them together with `settings`.

    Raises:
        UserError: a name, an option or the data is wrong.
        DimeError: training failed.
    """
    data = _plugin("dataset", dataset or default("dataset"))
    experiment = Experiment(
        _plugin("objective", objective or default("objective")),
        data,
        _plugin("network", network or data.fitting_network()),
        _settings(settings, options),
        {entry_of(tracker).name: tracker for tracker in (_plugin("tracker", given) for given in trackers)},
    )
    return Run(start(experiment, runs_folder(runs), reporter or Reporter(quiet=True)), None)


def train_on(grammar: str, *, runs: Path | str | None = None, reporter: Reporter | None = None, **options: Any) -> Run:
    """Train what `bo` searches best: the default objective, codes in `SEARCHED` dimensions, sentences of a grammar.

    Args:
        grammar: A name or a file.
        runs: As for `train`.
        reporter: As for `train`.
        **options: Fields of `TrainSettings`.

    Raises:
        UserError: there is no such grammar, or an option is wrong.
        DimeError: training failed.
    """
    objective = make("objective", default("objective"), latent_size=SEARCHED)
    sentences = make("dataset", default("sentences"), grammar=grammar)
    return train(objective, sentences, runs=runs, reporter=reporter, **options)


def bo(
    run: Run,
    problem: Problem | str | None = None,
    search: Search | str | None = None,
    *,
    density: Density | str | None = None,
    executor: Executor | str | None = None,
    baselines: Sequence[str] = (),
    settings: SearchSettings | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
    **options: Any,
) -> Study:
    """Search the codes of a run for sentences that are good at something.

    Args:
        run: Of sentences of a grammar.
        problem: A name, or a plugin with options; None takes that of the grammar.
        search: The same; None takes the default.
        density: The same; what random codes are drawn from.
        executor: The same; None takes this process where the problem is cheap, others where it is not.
        baselines: Names of searches that spend the same budget, to compare with.
        settings: How to search; or give its fields as further keywords, such as `rounds=10`.
        resume: Go on with the newest search of the run that was interrupted.
        reporter: Told how it goes; by default nobody is.
        **options: Fields of `SearchSettings`; none of them together with `settings`.

    Raises:
        UserError: a name or an option is wrong, or the parts do not suit each other.
        DimeError: the search failed.
    """
    named = problem or (run.language and run.language.problem)
    if named is None:
        raise UserError(f"the grammar of run {run.path.name} has no problem of its own; name one")
    task: Problem = _plugin("problem", named)
    told = reporter or Reporter(quiet=True)
    return study(
        run,
        task,
        _plugin("search", search or default("search")),
        _plugin("density", density or default("density")),
        _plugin("executor", executor or default("here" if task.cheap else "elsewhere")),
        _one_of(SearchSettings, settings, options, "bo"),
        baselines,
        find_search(run.path) if resume else None,
        lambda name, baseline: Watch(told, name, baseline),
    )


def evaluate(
    run: Run,
    metrics: Mapping[str, Metric] | Sequence[str] | None = None,
    density: Density | str | None = None,
    *,
    n: int = 10_000,
    split: Split = "test",
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Measure a run; its folder keeps every number with its conditions.

    Args:
        run: What to measure.
        metrics: Names, or plugins with options by their names; all that are installed by default.
        density: A name, or a plugin with options; what samples are drawn from. None takes the default.
        n: Samples to draw, and samples of the split to look at (all, where it has fewer).
        split: The samples to compare with.
        seed: Of the choice of samples and of all draws.
        reporter: Told how it goes; by default nobody is.

    Raises:
        UserError: there is no such metric or density. What goes wrong with one metric is told in `failures`.
    """
    told = reporter or Reporter(quiet=True)
    if metrics is None:
        metrics = _all_metrics(told)
    elif not isinstance(metrics, Mapping):
        metrics = {name: cast("Metric", make("metric", name)) for name in metrics}
    return evaluate_subject(Subject(run, density, n, split, seed, told), metrics)


def classify(
    run: Run,
    classifier: Classifier | str | None = None,
    *,
    repeats: int = 5,
    seed: int = 0,
    standardize: bool = True,
    reporter: Reporter | None = None,
) -> Classified:
    """Fit a classifier to the codes of a run; its folder keeps the accuracy with its conditions.

    Args:
        run: Of samples that have classes.
        classifier: A name, or a plugin with options; None takes the default.
        repeats: Fits, each with draws of its own; a classifier that draws nothing is fitted once.
        seed: Of the draws.
        standardize: Subtract the mean of the training codes, and divide by their standard deviation.
        reporter: Told how it goes; by default nobody is.

    Raises:
        UserError: the samples have no classes or all the same one, or a name or an option is wrong.
        DimeError: the codes are not finite.
    """
    return classify_codes(
        run,
        _plugin("classifier", classifier or default("classifier")),
        repeats=repeats,
        seed=seed,
        standardize=standardize,
        reporter=reporter or Reporter(quiet=True),
    )


def compare(runs: Sequence[Path | str], metrics: Sequence[str] = ()) -> list[Comparison]:
    """Put the numbers of finished runs beside each other, those of equal conditions only.

    Args:
        runs: Their folders.
        metrics: Names, of metrics or of single numbers; none are all.

    Raises:
        UserError: a run is not finished, or nothing of that name was measured.
    """
    return compare_runs([Path(run) for run in runs], metrics)


def resume(path: Path | str, *, reporter: Reporter | None = None) -> Run:
    """Go on with a run that was killed, interrupted or failed; it ends with the bits of one that was not."""
    return Run(resume_training(Path(path), reporter or Reporter(quiet=True)), None)


def load_run(run: Path | str | None = None, *, runs: Path | str | None = None, device: str = "auto") -> Run:
    """A finished run by its path or name; without one, the newest in `runs`."""
    return Run(find_run(None if run is None else str(run), runs_folder(runs)), device)


def _all_metrics(reporter: Reporter) -> dict[str, Metric]:
    """Those that work, with their defaults; of deprecated ones nobody is warned, because nobody chose them."""
    found: dict[str, Metric] = {}
    for name in names("metric"):
        try:
            found[name] = cast("Metric", checked(find("metric", name).plugin, {}, f"metric '{name}'"))
        except PluginError as error:
            reporter.say(f"Warning: left out: {error}")
    return found


def _plugin(kind: str, given: Plugin | str) -> Any:
    return make(kind, given) if isinstance(given, str) else given


def _one_of(kind: type[_S], given: _S | None, options: dict[str, Any], function: str) -> _S:
    if given and options:
        raise UserError(f"{function}() got settings and also {', '.join(options)}; give one of the two")
    return given or checked(kind, options)


def _settings(given: TrainSettings | None, options: dict[str, Any]) -> TrainSettings:
    settings = _one_of(TrainSettings, given, options, "train")
    if settings.threads not in (None, torch.get_num_threads()):
        raise UserError(
            f"threads: set torch.set_num_threads({settings.threads}) yourself; the command line's --threads does"
        )
    return settings
