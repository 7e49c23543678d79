"""`dime bo`: searches the codes of a run for sentences that are good at something."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import Field

from dimecli.cli.common import RUNS, AsJson, Config, DryRun, OneRun, Quiet, Runs, print_json
from dimecli.cli.found import print_found, summary, tell
from dimecli.cli.grammar import complete_grammar
from dimecli.cli.layers import Layer
from dimecli.cli.line import Line
from dimecli.cli.options import completer
from dimecli.cli.parsed import Parsed
from dimecli.console import Reporter
from dimecli.defaults import Role, default, optional
from dimecli.errors import UserError
from dimecli.grammar.languages import find_language
from dimecli.plugin import Executor, Language, Problem
from dimecli.registry import entry_of, find, names
from dimecli.search.settings import SearchSettings

if TYPE_CHECKING:
    from dimecli.run.run import Run

KINDS = ("problem", "search", "executor", "density")


def complete_protocol(incomplete: str) -> list[str]:
    """What a shell offers for a protocol: the installed ones."""
    return completer(names("protocol"))(incomplete)


GrammarOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Grammar, by name or file, whose newest run is searched; one is trained first if there is none. "
        "[dim]\\[default: that of the newest run of any][/dim]",
        autocompletion=complete_grammar,
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run's newest search that was interrupted, with its options.")
]
Protocol = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Repeat a published comparison instead; it has options of its own.",
        autocompletion=complete_protocol,
    ),
]


class BoSettings(SearchSettings):
    """The options of `dime bo` that belong to no plugin; the table [bo] of a TOML file."""

    baselines: list[str] | None = Field(
        None,
        description="Searches that spend the same budget, to compare with. "
        "Default: the simplest ones where the problem is cheap, else none.",
    )
    top: int = Field(10, ge=1, description="Sentences to show.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where networks compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")


@dataclass(frozen=True)
class Target:
    """What is searched: a run, or a grammar of which there is no run yet.

    Args:
        path: The run's folder, None if one has to be trained.
        grammar: Its grammar, a name or a file.
        max_length: Of its derivations, where that is not the grammar's own.
    """

    path: Path | None
    grammar: str
    max_length: int | None = None

    @cached_property
    def language(self) -> Language:
        """The grammar, and what its sentences mean."""
        return find_language(self.grammar, self.max_length)


def bo(
    parsed: Parsed,
    *,
    run: OneRun = None,
    grammar: GrammarOption = None,
    resume: Resume = False,
    protocol: Protocol = None,
    config: Config = None,
    runs: Runs = RUNS,
    dry_run: DryRun = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Searches, compares with the baselines, and says what was found and where it is written.

    What `--protocol` asks for is another command, which `build` returns.
    """
    from dimecli.machine import set_up

    reporter = Reporter(quiet)
    target = _target(run, grammar, runs)
    plugins = {kind: parsed.settings(kind) for kind in KINDS}
    settings = parsed.settings("bo")
    baselines = _baselines(settings, plugins["problem"])
    set_up(settings.threads)
    _check(plugins["problem"], target)
    if dry_run:
        tables = {kind: {"name": entry_of(plugin).name, **plugin.options()} for kind, plugin in plugins.items()}
        print_json({**tables, "bo": settings.options()})
        reporter.say(f"Would search {target.path or f'a run of {target.grammar}, after training it'}")
        return
    from dimecli import api

    if target.path is None:
        _check_parts(plugins["problem"], plugins["executor"], settings, target.language)
    trained = _run(target, settings, runs, reporter)
    done = api.bo(trained, **plugins, baselines=baselines, settings=settings, resume=resume, reporter=reporter)
    if json:
        chosen = {kind: entry_of(plugins[kind]).name for kind in ("problem", "search")}
        print_json({"run": trained.path.name, **chosen, **summary(done, settings.top)})
    elif not quiet:
        print_found(done, trained.language, settings.top)
    tell(done, trained.path, reporter)


def build(words: Sequence[str]) -> Callable[..., None]:
    """The command for the plugins that these words name."""
    if "--protocol" in words[:-1] or any(word.startswith("--protocol=") for word in words):  # a last one has no value
        from dimecli.cli import protocol

        return protocol.build(words)
    line = Line(bo, words, KINDS)
    runs = Path(line.value("runs") or os.environ.get("DIME_RUNS") or RUNS)
    target = _target(line.word, line.value("grammar"), runs)
    if "--resume" in words:
        line.below(_layer(target, line))
    problem = line.plugin(
        "problem", lambda: target.language.problem or default("function"), "What to search for"
    ).plugin
    line.plugin("search", lambda: default("search"), "What proposes candidates")
    where: Role = "here" if getattr(problem, "cheap", False) else "elsewhere"
    line.plugin("executor", lambda: default(where), "Where sentences are evaluated")
    line.plugin("density", lambda: default("density"), "Distribution that random codes are drawn from")
    line.settings("bo", BoSettings, "Search")
    return line.callback()


def spelled_out(words: Sequence[str]) -> Iterator[str]:
    """`--problem mine.py:f` as the problem for functions and `--function mine.py:f`, `cmd:prog` with `--command`."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag != "--problem" or not (equals or rest):
            yield word
            continue
        value = value if equals else rest.pop(0)
        if ".py:" in value:
            yield from ("--problem", default("function"), "--function", value)
        elif value.startswith("cmd:"):
            yield from ("--problem", default("program"), "--command", value.removeprefix("cmd:"))
        else:
            yield from ("--problem", value)


def _target(run: str | None, grammar: str | None, runs: Path) -> Target:
    """The run that was named, or the newest one of the grammar, or of any grammar.

    Raises:
        UserError: there is no such run or grammar, or the run is not of sentences.
    """
    from dimecli.run.folder import find_run, list_runs, newest_run, read_record
    from dimecli.run.origin import require_grammar

    if run is None and grammar is None:
        known = [row["grammar"] for row in list_runs(runs) if row["state"] == "finished" and row["grammar"]]
        grammar = known[-1] if known else default("grammar")
    path = newest_run(runs, grammar) if run is None else find_run(run, runs)
    if path is None:
        assert grammar is not None
        return Target(None, grammar)
    record = read_record(path)
    dataset = record["config"]["dataset"]
    if "grammar" not in dataset:
        raise UserError(f"run {path.name} is of '{dataset['name']}', which are no sentences of a grammar")
    if grammar is not None and newest_run(runs, grammar) != path and dataset["grammar"] != grammar:
        raise UserError(
            f"--grammar {grammar}: run {path.name} is of grammar '{dataset['grammar']}'; give one of the two"
        )
    require_grammar(path, record)
    return Target(path, dataset["grammar"], dataset.get("max_length"))


def _layer(target: Target, line: Line) -> Layer:
    """The options of the search to go on with, and its number of threads, on which bits depend.

    Raises:
        UserError: it would execute what only the record names.
    """
    from dimecli.search.folder import find_search, read_search, require_plugins

    if target.path is None:
        raise UserError(f"--resume: there is no run of grammar '{target.grammar}' to go on with")
    search = find_search(target.path)
    record = read_search(search)
    require_plugins(search, record)
    config = record["config"]
    problem = config["problem"]
    code: str = getattr(find("problem", problem["name"]).plugin, "executes", "")
    if problem.get(code) and not line.gives("problem", code):
        again = f"--problem {shlex.quote(problem['name'])} --{code.replace('_', '-')} {shlex.quote(str(problem[code]))}"
        raise UserError(f"--resume {search.name}: it calls code that a record is not trusted with; say again {again}")
    return Layer(f"search {search.name}", {**config, "bo": {**config["bo"], "threads": record["threads"]}})


def _check(problem: Problem, target: Target) -> None:
    """Raise a UserError, before anything is trained, if the problem cannot be evaluated on the grammar."""
    if entry_of(problem).name == optional("function") and not getattr(problem, "function", None):
        raise UserError(
            f"grammar '{target.grammar}' has no problem of its own; name one: --problem FILE.py:FUNCTION, "
            "--problem 'cmd:PROGRAM {}', or a name of 'dime plugins'"
        )
    problem.check(target.language)


def _check_parts(problem: Problem, executor: Executor, settings: BoSettings, language: Language) -> None:
    """Raise, before anything is trained, what a search of a run that is there tells at once."""
    from dimecli.search.initial import initial_from
    from dimecli.search.oracle import Oracle

    initial_from(problem, settings)
    with Oracle(problem, language, executor, settings.timeout):
        pass


def _baselines(settings: BoSettings, problem: Problem) -> list[str]:
    chosen = settings.baselines
    for name in chosen or ():
        find("search", name)
    if chosen is None:
        return (optional("baselines") or "").split(",") if problem.cheap else []
    return chosen


def _run(target: Target, settings: BoSettings, runs: Path, reporter: Reporter) -> Run:
    from dimecli import api

    if target.path is not None:
        return api.load_run(target.path, device=settings.device)
    command = f"dime train --grammar {shlex.quote(target.grammar)} --latent-size {api.SEARCHED}"
    reporter.say(f"No run of grammar '{target.grammar}' in {runs}, so one is trained first: {command}")
    run = api.train_on(target.grammar, runs=runs, reporter=reporter, device=settings.device)
    reporter.say(f"Wrote {run.path} in {run.results['seconds']:.1f} s")
    return run
