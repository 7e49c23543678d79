"""Writes the page about some runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dimecli.console import QUIET, Reporter
from dimecli.errors import UserError
from dimecli.plugin import Density
from dimecli.report.compare import compare
from dimecli.report.one import one
from dimecli.report.seen import Seen
from dimecli.report.several import several
from dimecli.run.folder import PAGE
from dimecli.run.run import Run


@dataclass(frozen=True)
class Report:
    """A page that was written.

    Args:
        file: Where.
        missing: Why a section lacks something, by its title.
    """

    file: Path
    missing: Mapping[str, str]


def report(
    runs: Sequence[Run],
    output: Path | None = None,
    density: Density | str | None = None,
    n: int = 64,
    seed: int = 0,
    reporter: Reporter = QUIET,
) -> Report:
    """Write one HTML file about a run, or about several beside each other.

    Args:
        runs: The runs.
        output: Where to write; None is `report.html` in the run, or in the folder that holds all of them.
        density: What samples are drawn from; None takes the default.
        n: Samples to draw from each run.
        seed: Of all draws and choices.
        reporter: Told how far it is.

    Raises:
        UserError: there is no run.
        DimeError: the file cannot be written.
    """
    seen = {run.path: Seen(run, density, n, seed, reporter) for run in runs}
    if not seen:
        raise UserError("report() needs a run")
    if len(seen) == 1:
        folder, page = runs[0].path, one(seen[runs[0].path])
    else:
        folder, page = _around(list(seen)), several(compare(seen), seen)
    file = page.write(output or folder / PAGE)
    return Report(file, {section.title: section.reason for section in page.sections if section.reason})


def _around(paths: Sequence[Path]) -> Path:
    """The innermost folder that holds all of the runs."""
    parents = [path.parent for path in paths]
    if any(parent.is_absolute() for parent in parents):
        parents = [parent.absolute() for parent in parents]
    return Path(os.path.commonpath(parents))
