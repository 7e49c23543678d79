"""A program as the oracle."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, field_validator

from dimecli.errors import UserError
from dimecli.plugin import Language, Outcome
from dimecli.search.own import OwnProblem

_PLACE = "{}"


class Command(OwnProblem):
    """A program of yours: it gets a sentence and prints a number, last of all.

    `{}` in the command is replaced by the sentence, as it is and within one argument: no shell sees it.
    Without `{}` the sentence is the program's input. An exit code other than 0 makes the sentence
    invalid, and the first line on stderr is the reason. `--problem 'cmd:PROGRAM {}'` is short for it.
    """

    executes = "command"

    command: str | None = Field(None, description="Program and arguments, quoted as in a shell, such as 'score.sh {}'.")
    folder: Path = Field(Path(), validate_default=True, description="Folder that the program runs in.")

    @field_validator("command")
    @classmethod
    def _splits(cls, value: str | None) -> str | None:
        if value is not None and not shlex.split(value):
            raise ValueError("should be a program and its arguments")
        return value

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        """Worker processes, and a search that goes on, may be in another one."""
        return value.expanduser().absolute()

    def check(self, language: Language) -> None:
        """Nothing, where the program is there.

        Raises:
            UserError: it is not.
        """
        if self.command is None:
            raise UserError("problem 'command' needs --command 'PROGRAM {}'")
        if not self.folder.is_dir():
            raise UserError(f"--folder {self.folder}: no such folder")
        program = shlex.split(self.command)[0]
        place = self.folder / program if os.path.dirname(program) else program  # as the system looks for it
        if shutil.which(place) is None:
            raise UserError(f"--command: no program '{program}' that can be run")

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[Outcome | float]:
        """What the program prints for each sentence."""
        return [self._value(sentence) for sentence in sentences]

    def _value(self, sentence: str) -> Outcome | float:
        assert self.command is not None, "check() refuses that"
        words = shlex.split(self.command)
        given = None if _PLACE in self.command else f"{sentence}\n"
        ran = subprocess.run(
            [word.replace(_PLACE, sentence) for word in words],
            cwd=self.folder,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if ran.returncode:
            said = ran.stderr.strip().partition("\n")[0]
            return Outcome(None, said or _ending(ran.returncode))
        printed = ran.stdout.split()
        try:
            return float(printed[-1])
        except (IndexError, ValueError):
            return Outcome(None, f"printed {printed[-1]!r}, no number" if printed else "printed nothing")


def _ending(code: int) -> str:
    """How a program ended that did not say."""
    return f"exit code {code}" if code > 0 else f"killed by signal {-code}"
