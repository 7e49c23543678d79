"""The `dime` app, built for one command line: only the command that it names is imported, with its plugins."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from dimecli.cli.files import PluginFiles, load_files
from dimecli.cli.notices import told_in_lines
from dimecli.distributed import world
from dimecli.errors import DimeError, PluginError, PluginFailedError, UserError, did_you_mean

COMMANDS = {
    "train": "Train an autoencoder: 'dime train' alone needs no data and takes seconds.",
    "sample": "Fit a density to the codes of a run, draw from it and decode.",
    "evaluate": "Measure a run: its samples, its codes, its reconstructions; every number with its conditions.",
    "classify": "See what the codes of a run know of the classes.",
    "reconstruct": "Encode and decode the samples of a run, and compare.",
    "interpolate": "Decode the codes between those of pairs of samples.",
    "traverse": "Decode what becomes of a code when one dimension changes.",
    "embed": "Draw the codes of a run in two dimensions.",
    "nearest": "Draw samples, and show the training samples that are nearest to each.",
    "report": "Write one HTML page about a run, or about several beside each other.",
    "compare": "Put the numbers of several runs into one table.",
    "bo": "Search the codes of a run for sentences that are good at something: Bayesian optimization.",
    "grammar": "Check, show, sample and convert context-free grammars, and parse their sentences.",
    "plugins": "List the plugins that are installed, or show what one can be told.",
    "runs": "List the runs, show what one recorded, or remove it.",
}
"""One module of `dimecli.cli` each, which has `build(words)` or an `app` with sub-commands."""

INTERRUPTED = 130
_ALIKE = 0.75  # share of letters that two flags have in common; less, as Typer has it, takes --test for --betta


def main(words: Sequence[str] | None = None) -> None:
    """Runs one command line and exits: 0 done, 1 failed, 2 a mistake of the user, 130 interrupted."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin stall each other on a busy machine
    code = run(sys.argv[1:] if words is None else words)
    if world() > 1:  # gloo's threads may abort the interpreter's own exit
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def run(words: Sequence[str]) -> int:
    """Runs one command line; returns the exit code. Mistakes are told in one line, bugs are raised."""
    completing = _words_to_complete()
    try:
        if completing is not None:
            completing = load_files(completing)
            build_app(_spelled_out(completing))([], prog_name="dime")  # Typer answers the shell, and exits
        words = _with_default(load_files(words))
        if not words[0].startswith("-") and words[0] not in COMMANDS:
            raise UserError(f"no command '{words[0]}'.{did_you_mean(words[0], COMMANDS)}")
        words = _spelled_out(words)
        with told_in_lines(words):
            code = build_app(words)(list(words), prog_name="dime", standalone_mode=False)
    except (DimeError, typer.TyperException) as error:
        if completing is None:
            _complain(_told(words[0] if words else "", error) + _traceback(error))
        return error.exit_code
    except typer.Abort:
        _complain("aborted")
        return 1
    except BrokenPipeError:  # who reads, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    except (Exception, SystemExit) as error:  # a third party's plugin may raise anything, or leave
        from dimecli.blame import blamed, suspects

        if (blame := blamed(error)) is None:
            suspects(error)
            raise
        _complain(f"{blame}{_traceback(blame)}")
        return blame.exit_code
    if code == INTERRUPTED:  # Typer turns an interruption into this
        _complain("interrupted")
    return code or 0


def build_app(words: Sequence[str]) -> typer.Typer:
    """The app for one command line.

    Raises:
        UserError: a plugin or a file that the line names does not exist, or the file has unknown options.
        PluginError: a plugin that the line names is broken.
    """
    app = typer.Typer(name="dime", pretty_exceptions_enable=False, help="Autoencoders with useful latent spaces.")
    app.callback()(_options)
    for name, text in COMMANDS.items():
        if list(words[:1]) != [name]:
            app.command(name, help=text)(_not_named)
            continue
        module = importlib.import_module(f"dimecli.cli.{name}")
        if hasattr(module, "build"):
            app.command(name, help=text)(module.build(words[1:]))
        else:
            app.add_typer(module.app, name=name, help=text)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from dimecli import __version__

        print(f"dime {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
    plugins: PluginFiles = None,
) -> None:
    """Options of `dime` itself."""


def _not_named() -> None:
    """Stands for a command that this line does not name: its help line is all that is shown of it."""


def _with_default(words: Sequence[str]) -> list[str]:
    """`dime` is `dime --help`, `dime grammar` its help; `dime runs` and `dime plugins` list."""
    if not words or list(words) == ["grammar"]:
        return [*words, "--help"]
    grouped = words[0] in ("plugins", "runs")
    if grouped and (len(words) == 1 or (words[1].startswith("-") and words[1] != "--help")):
        return [words[0], "list", *words[1:]]
    return list(words)


def _spelled_out(words: Sequence[str]) -> Sequence[str]:
    """The line with what its command has short forms for in full."""
    if not words or words[0] not in COMMANDS:
        return words
    module = importlib.import_module(f"dimecli.cli.{words[0]}")
    return [words[0], *module.spelled_out(words[1:])] if hasattr(module, "spelled_out") else words


def _words_to_complete() -> list[str] | None:
    """The finished words of the line that a shell asks to complete; None if no shell asks.

    Bash tells the words and the number of the one at the cursor; the others, the text before it.
    """
    if "_DIME_COMPLETE" not in os.environ:
        return None
    if "COMP_WORDS" in os.environ:
        words = os.environ["COMP_WORDS"].split()[1 : int(os.environ.get("COMP_CWORD", "1"))]
    else:
        text = os.environ.get("_TYPER_COMPLETE_ARGS", "")
        words = text.split()[1 : None if text.endswith(" ") else -1]
    return [word for word in words if word != "="]  # bash sets it apart


def _told(command: str, error: Any) -> str:
    """The message; that of an unknown option has the plugins that know it, or options that are spelled much like it."""
    if isinstance(error, DimeError):
        return str(error)
    if type(error).__name__ == "NoSuchOption":  # Typer does not publish the class
        if kinds := getattr(sys.modules.get(f"dimecli.cli.{command}"), "KINDS", ()):
            from dimecli.cli.owners import owners

            if known := owners(error.option_name, kinds):
                return f"No such option: {error.option_name}.{known}"
        error.possibilities = get_close_matches(error.option_name, error.possibilities or (), cutoff=_ALIKE)
    return str(error.format_message()).replace("Value error, ", "")  # of pydantic, which Typer reads values with


def _traceback(error: BaseException) -> str:
    """Prints, if asked, the traceback of what went wrong in a plugin, for its author; else says how to ask."""
    if os.environ.get("DIME_TRACEBACK", "") in ("", "0"):
        return "; DIME_TRACEBACK=1 shows the whole traceback" * isinstance(error, PluginFailedError)
    if isinstance(error, PluginError) and error.__cause__:
        traceback.print_exception(error.__cause__)
    return ""


def _complain(text: str) -> None:
    from dimecli.console import printable

    typer.secho(f"Error: {printable(' '.join(text.split()))}", fg="red", err=True)  # names may be a stranger's
