"""Sentences that were drawn from a run, and how good they are as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dimecli.console import printable
from dimecli.data.sentences import Sentences
from dimecli.errors import UserError
from dimecli.run.files import write_atomic
from dimecli.run.run import Drawn, Run


@dataclass(frozen=True)
class Rates:
    """Shares between 0 and 1 that describe n sentences; a share of nothing is 0.

    Args:
        complete: Share of the n whose derivation came to its end; sentences of characters always do.
        valid: Share of the n that the grammar's parser accepts.
        distinct: Different sentences among the valid ones, as a share of the valid ones.
        novel: Share of the different valid sentences that are not among the training sentences; None
            where those are not there any more, such as for the run of somebody else.
    """

    complete: float
    valid: float
    distinct: float
    novel: float | None


def texts(run: Run, x: torch.Tensor) -> list[str | None]:
    """The n sentences of `(n, T)` symbols, None where the derivation is incomplete."""
    return _likelihood(run).text(x)


def rates(run: Run, x: torch.Tensor) -> Rates:
    """What `Rates` says about the sentences of `(n, T)` symbols that were drawn from the run.

    Sentences are compared as the grammar writes them, so that spaces which its lexer skips make no
    difference.
    """
    likelihood = _likelihood(run)
    complete = [text for text in likelihood.text(x) if text is not None]
    valid = _canonical(likelihood, complete)
    different = set(valid)
    known = _training(run)
    return Rates(
        complete=_share(len(complete), len(x)),
        valid=_share(len(valid), len(x)),
        distinct=_share(len(different), len(valid)),
        novel=None if known is None else _share(len(different - known), len(different)),
    )


def first_different(run: Run, n: int, draw: Callable[[int], Drawn]) -> tuple[Drawn, Drawn]:
    """Samples whose sentences are complete and all different, and all the draws that it took.

    Args:
        run: What is drawn from.
        n: Sentences wanted; fewer come where 16 n draws do not have so many.
        draw: Gives so many samples.
    """
    for count in (n, 2 * n, 4 * n, 8 * n, 16 * n):
        drawn = draw(count)
        rows = {text: row for row, text in reversed(list(enumerate(texts(run, drawn.x)))) if text is not None}
        if len(rows) >= n:
            break
    first = sorted(rows.values())[:n]
    return Drawn(drawn.x[first], drawn.codes[first], {**drawn.conditions, "draws": count}), drawn


def write_sentences(path: Path, sentences: Iterable[str | None]) -> Path:
    """Write the sentences, one a line, without the incomplete ones; returns the path."""
    lines = "".join(f"{printable(text)}\n" for text in sentences if text is not None)
    return write_atomic(path, lambda file: file.write_text(lines, encoding="utf-8"))


def _canonical(likelihood: Sentences, sentences: Sequence[str]) -> list[str]:
    """The sentences that the grammar accepts, as it writes them."""
    grammar = likelihood.compiled
    ids, wrong = grammar.parse_all(sentences)
    accepted = [index for index in range(len(sentences)) if index not in wrong]
    return [text for text in grammar.unparse_all(ids[accepted]) if text is not None]


def _training(run: Run) -> set[str | None] | None:
    """The training sentences, if they are still there and the same."""
    try:
        training = run.samples("train").x
    except UserError:
        return None
    assert isinstance(training, torch.Tensor)
    return set(_likelihood(run).text(training))


def _likelihood(run: Run) -> Sentences:
    likelihood = run.model.spec.likelihood
    assert isinstance(likelihood, Sentences)
    return likelihood


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
