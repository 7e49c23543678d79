"""The app as a whole: help, version, start-up and shell completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dimecli
from dimecli.cli.app import COMMANDS, main
from dimecli.testing import HEAVY

Dime = Callable[..., Any]


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_help_lists_the_commands(dime: Dime, words: tuple[str, ...]) -> None:
    ran = dime(*words)
    assert ran.code == 0
    for name, text in COMMANDS.items():
        assert f"{name} {text}" in ran.flat


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(dime: Dime, command: str) -> None:
    ran = dime(command, "--help")
    assert ran.code == 0
    assert COMMANDS[command] in ran.flat


def test_a_message_does_not_command_the_terminal(dime: Dime) -> None:
    ran = dime("train", "odd\x1b]0;title\x07name")
    assert ran.code == 2
    assert "no objective named 'odd\\x1b]0;title\\x07name'" in ran.err


def test_version(dime: Dime) -> None:
    assert dime("--version") == (0, f"dime {dimecli.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "trian",
            f"no command 'trian'. Did you mean 'train'? Known: {', '.join(sorted(COMMANDS))}.",
        ),
        ("--versoin", "No such option: --versoin (Possible options: --version)"),
        ("runs remove", "No such command 'remove'."),
    ],
)
def test_mistakes(dime: Dime, words: str, says: str) -> None:
    ran = dime(*words.split())
    assert ran == (2, "", f"Error: {says}\n")


def test_main_exits_with_the_code(dime: Dime) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["trian"])
    assert exited.value.code == 2


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (("--help",), ("pydantic", *HEAVY)),
        (("--version",), ("pydantic", *HEAVY)),
        (("train", "--help"), HEAVY),
        (("train", "vae", "--dataset", "mnist", "--dry-run"), HEAVY),
        (("train", "--grammar", "rna", "--dry-run"), HEAVY),
        (("train", "--track", "csv,mlflow,tensorboard,trackio,wandb", "--dry-run"), HEAVY),
        (("sample", "--help"), HEAVY),
        (("reconstruct", "--help"), HEAVY),
        (("grammar", "--help"), HEAVY),
        (("bo", "--help"), HEAVY),
        (("bo", "--protocol", "table4", "--help"), HEAVY),
        (("plugins",), HEAVY),
        (("runs",), HEAVY),
    ],
)
def test_nothing_heavy_is_imported_before_work_starts(words: tuple[str, ...], forbidden: tuple[str, ...]) -> None:
    program = (
        "import json, sys\n"
        "from dimecli.cli.app import run\n"
        "code = run(json.loads(sys.argv[1]))\n"
        "found = [name for name in json.loads(sys.argv[2]) if name in sys.modules]\n"
        "sys.exit(f'exit code {code}' if code else f'imported: {found}' if found else 0)"
    )
    command = [sys.executable, "-c", program, json.dumps(words), json.dumps(forbidden)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def complete(shell: str, line: str, folder: Path) -> list[str]:
    """What a shell offers at the end of `line`, by the protocol of Typer's completion scripts."""
    words = line.split(" ")
    variables = {"_DIME_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    if shell == "bash":
        variables = {"_DIME_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "dimecli"], env={**os.environ, **variables}, cwd=folder, capture_output=True, text=True
    )
    assert done.stderr == ""
    if shell == "zsh":
        return [part.split('"')[1] for part in done.stdout.splitlines() if '"' in part]
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("dime tr", {"train"}, {"sample"}),
        ("dime train --ga", {"--gamma"}, {"--epochs"}),
        ("dime train vae --be", {"--beta"}, {"--gamma"}),
        ("dime train --dataset di", {"digits"}, {"mnist"}),
        ("dime train d", {"dime"}, {"vae"}),
        ("dime train --keep ", {"best", "last"}, {"dime"}),
        ("dime train --preset p", {"paper"}, {"effective"}),
        ("dime train --track t", {"tensorboard", "trackio"}, {"csv"}),
        ("dime runs show 20", {"2026-one"}, {"digits"}),
        ("dime train --grammar rna --sk", {"--skip-invalid"}, {"--epochs"}),
        ("dime grammar show ex", {"expressions", "expressions-infix"}, {"rna"}),
        ("dime reconstruct --split t", {"train", "test"}, {"validation"}),
        ("dime bo --search tu", {"turbo"}, {"thompson"}),
        ("dime bo --search evolve --pop", {"--population"}, {"--pool"}),
        ("dime bo --problem mine.py:f --dire", {"--direction"}, {"--target"}),
        ("dime bo --protocol ta", {"table3", "table4"}, {"turbo"}),
        ("dime train nonsense --", set(), {"--epochs"}),
    ],
)
def test_completion(tmp_path: Path, shell: str, line: str, offered: set[str], not_offered: set[str]) -> None:
    folder = tmp_path / "runs" / "2026-one"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    found = set(complete(shell, line, tmp_path))
    assert offered <= found
    assert not not_offered & found
    assert bool(found) == bool(offered)


def test_completion_of_a_value_that_bash_sets_apart(tmp_path: Path) -> None:
    assert "--image-size" in complete("bash", "dime train --dataset = mnist --im", tmp_path)
