"""The log of a search: a line for each evaluation, written as its result arrives, in a file that only grows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dimecli.errors import DimeError
from dimecli.plugin import Outcome
from dimecli.run.files import append_line, whole_lines, write_atomic
from dimecli.search.result import Evaluation

_T = TypeVar("_T")


class _Surveyed(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    sentence: str
    value: float | None
    reason: str


_LINE, _SURVEYED = TypeAdapter(Evaluation), TypeAdapter(_Surveyed)


class Log:
    """The evaluations in a file; those that an earlier process left there are read now.

    A last line that a kill cut short is removed.

    Args:
        file: A file of lines of JSON; it need not be there yet.

    Raises:
        DimeError: the file is damaged; names the line.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._rounds: dict[int, dict[int, Evaluation]] = defaultdict(dict)
        for evaluation in _read(file):
            self._rounds[evaluation.round][evaluation.index] = evaluation

    def __iter__(self) -> Iterator[Evaluation]:
        """All evaluations."""
        return (evaluation for found in self._rounds.values() for evaluation in found.values())

    def of_round(self, number: int) -> dict[int, Evaluation]:
        """The evaluations of a round by their index."""
        return dict(self._rounds.get(number, {}))

    @property
    def last_round(self) -> int:
        """The last round that has an evaluation; -1 if there is none."""
        return max(self._rounds, default=-1)

    @property
    def survey(self) -> dict[str, Outcome]:
        """What was found where sentences were evaluated only to choose among them.

        Raises:
            DimeError: the file is damaged; names the line.
        """
        return {read.sentence: Outcome(read.value, read.reason) for read in _parsed(_SURVEYED, self._surveyed)}

    def write_survey(self, outcomes: Mapping[str, Outcome]) -> None:
        """Write what was found where sentences were evaluated only to choose among them.

        Raises:
            DimeError: the system refused.
        """
        lines = "".join(
            json.dumps({"sentence": sentence, **asdict(outcome)}, ensure_ascii=False, allow_nan=False) + "\n"
            for sentence, outcome in outcomes.items()
        )
        write_atomic(self._surveyed, lambda file: file.write_text(lines, encoding="utf-8"))

    @property
    def _surveyed(self) -> Path:
        return self.file.with_name("survey.jsonl")

    def append(self, evaluation: Evaluation) -> None:
        """Add an evaluation, and write it.

        Raises:
            DimeError: the system refused.
        """
        line = {**asdict(evaluation), "valid": evaluation.valid}
        append_line(self.file, json.dumps(line, ensure_ascii=False, allow_nan=False))
        self._rounds[evaluation.round][evaluation.index] = evaluation


def _read(file: Path) -> Iterator[Evaluation]:
    """The evaluations in a file, which ends with a whole line afterwards."""
    known: set[object] = set()
    for number, evaluation in enumerate(_parsed(_LINE, file), 1):
        place = (evaluation.round, evaluation.index)
        if evaluation.sentence in known:
            raise DimeError(f"{file}:{number}: damaged: '{evaluation.sentence}' was evaluated before")
        if place in known:
            raise DimeError(f"{file}:{number}: damaged: round {place[0]} has another sentence at index {place[1]}")
        known |= {evaluation.sentence, place}
        yield evaluation


def _parsed(form: TypeAdapter[_T], file: Path) -> Iterator[_T]:
    """What the lines of a file say."""
    for number, line in enumerate(whole_lines(file), 1):
        try:
            yield form.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"]))
            raise DimeError(f"{file}:{number}: damaged: {key}{': ' * bool(key)}{first['msg']}") from error
