"""Table 4 of DIME: Bayesian optimization of expressions, beside baselines without a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Candidates, History, Lab, Outcome, Protocol, Search, Space
from dimecli.registry import make
from dimecli_plugins.protocols.systems import SYSTEMS, tables

if TYPE_CHECKING:
    from dimecli.run.run import Run
    from dimecli.search.result import Result
    from dimecli.search.space import TrainedSpace

_PUBLISHED = {"GVAE": ("0.99 ± 0.01", "3.47 ± 0.24"), "CVAE": ("0.86 ± 0.06", "3.75 ± 0.25")}
_PUBLISHED |= {"GDIME": ("1.00 ± 0.00", "3.16 ± 0.21")}
_COLUMNS = ("valid", "average", "average over all", "best", "novel", "distinct", "evaluations")
_ROUNDS, _BATCH, _VOTES, _POINTS = 5, 50, 25, 10_000  # of the papers
_BOX = "box-ei"  # their search
_OWN = 500  # sentences that the searches of this program start from: the best of training

_REMARKS = """\
Scores are log(1 + MSE), lower is better; ± is the standard deviation over the seeds divided by the root of their \
number. valid: share of the proposals that decode to a sentence. average: over the scores strictly better than the \
worst one of the search, as in the papers' code, so what is invalid or off the scale is left out. average over all: \
every evaluation and every proposal without a sentence, the latter at the worst score. best: mean over the seeds of \
the best score found. novel: share of the evaluated sentences that are not in the training data. distinct: share of \
the proposals that were a new sentence; only those are evaluated and count towards the budget of {budget}.

- {box} is the papers' search: a sparse Gaussian process fitted to all training sentences, log expected improvement \
over {points:,} points of the box of the codes, {votes} draws for each code and a majority vote, derivations that \
break off left out.
- bo and evolve start from the {own} best training sentences; random and pcfg learn from nothing.
- The training data, GrammarVAE's, hold the target itself: a search that starts from the best of them has little \
left to find.
- In a space of derivations nearly every code is valid, random ones included, and what law sentences are drawn from \
moves the average by as much as the published systems differ: see the rows of random and pcfg.
- The papers divide integers as Python 2 does in the search, and not in the data; here division is true division. \
They divide the deviation by the root of 5 for 10 runs."""


class Table4(Protocol):
    """Bayesian optimization of expressions in the latent spaces of GVAE, CVAE and GDIME (DIME, Table 4)."""

    small: bool = Field(False, description="10,000 expressions, 50 inducing points and 2 seeds: minutes on two cores.")
    seeds: int | None = Field(None, ge=1, le=1000, description="Searches of each kind; default: 10, with --small 2.")

    def run(self, lab: Lab) -> str:
        """Trains the latent spaces, searches in each with every seed, and reports in Markdown."""
        runs = {name: lab.train(name.lower(), tables(name, self.small)) for name in SYSTEMS}
        lines = [
            _line("latents", "search", *_COLUMNS, "published: valid", "average"),
            _line(*["---"] * (len(_COLUMNS) + 4)),
        ]
        cache: dict[str, Outcome] = {}
        for row in _rows(50 if self.small else 500):
            found = []
            for seed in range(self.seeds or (2 if self.small else 10)):
                lab.reporter.say(f"{row.key}, seed {seed}")
                compute = partial(_search, runs[row.latents], row, seed, cache)
                found.append(lab.result(f"{row.key}, seed {seed}", compute))
            published = _PUBLISHED[row.latents] if row.name == _BOX else ("", "")
            latents = row.latents if row.uses_codes else "none"
            lines.append(_line(latents, row.name, *(_mean(found, column) for column in _COLUMNS), *published))
        remarks = _REMARKS.format(budget=_ROUNDS * _BATCH, box=_BOX, votes=_VOTES, points=_POINTS, own=_OWN)
        return "\n".join(["# Table 4 of DIME", "", *lines, "", remarks])


@dataclass(frozen=True)
class _Row:
    """A search, and the latent space that it works in."""

    latents: str
    name: str
    search: Search
    votes: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    uses_codes: bool = True

    @property
    def key(self) -> str:
        return f"{self.latents} {self.name}"


def _rows(inducing: int) -> list[_Row]:
    everything = {"initial": 10**9, "initial_from": "random"}
    best, nothing = {"initial": _OWN, "initial_from": "best"}, {"initial": 0}
    return [
        *(_Row(name, _BOX, BoxEI(inducing=inducing), True, everything) for name in SYSTEMS),
        *(_Row(name, "random", make("search", "random"), True, nothing) for name in SYSTEMS),
        _Row("GDIME", "bo", make("search", "bo"), False, best),
        _Row("GDIME", "evolve", make("search", "evolve"), False, best, uses_codes=False),
        _Row("GDIME", "pcfg", make("search", "pcfg"), False, nothing, uses_codes=False),
    ]


class BoxEI(Search):
    """Log expected improvement over the box of the codes, by a sparse Gaussian process (Kusner et al., 2017).

    What is to be improved upon is the largest mean in the box. On the sphere the box's points are divided
    by their length. The papers go on from each point by the gradient; points that were chosen to differ then
    meet again, and decode to the same few sentences.
    """

    inducing: int = Field(500, ge=1, description="Inducing points of the sparse Gaussian process.")

    def ask(self, n: int, history: History, space: Space, rng: torch.Generator) -> Candidates:
        """The points that the kriging believer chooses: twice n, because some give nothing new."""
        from dimecli.search.believer import choose
        from dimecli.search.sparse import fit_sparse
        from dimecli.search.sphere import project

        gp = fit_sparse(history.codes, history.values, self.inducing, rng=rng)
        low, high = space.codes.amin(0), space.codes.amax(0)
        box = low + (high - low) * torch.rand(_POINTS, len(low), generator=rng, dtype=low.dtype)
        box = project(box) if space.latent_space == "sphere" else box
        joint = gp.posterior(box)
        chosen = choose(joint, gp.noise, joint.mean.max().item(), 2 * n)
        codes = box[chosen]
        return Candidates(space.decode(codes), codes, joint.mean[chosen], joint.variance[chosen].sqrt())


def _search(run: Run, row: _Row, seed: int, cache: dict[str, Outcome]) -> dict[str, float | None]:
    """The numbers of one search."""
    from dimecli.search.loop import search
    from dimecli.search.oracle import Oracle
    from dimecli.search.settings import SearchSettings

    space, problem = _space(run, row, seed), make("problem", "expression-regression")
    settings = SearchSettings(rounds=_ROUNDS, batch=_BATCH, seed=seed, **row.settings)
    with Oracle(problem, space.language, make("executor", "serial"), None) as oracle:
        result = search(space, oracle, problem, row.search, settings, cache=cache)
    return _numbers(result, problem.worst)


def _space(run: Run, row: _Row, seed: int) -> TrainedSpace:
    """Where codes decode to what most of several draws say, or to what is most probable."""
    from dimecli.run.decoding import Decoding
    from dimecli.search.space import RunSpace

    density = make("density", "gmm")
    if not row.votes:
        return RunSpace(run, density)
    decoding = Decoding(decode=f"vote:{_VOTES}", reserve=run.model.spec.likelihood.name != "productions")

    decoded: dict[bytes, str | None] = {}  # a code says the same every time

    class Voted(RunSpace):
        def decode(self, codes: torch.Tensor) -> list[str | None]:
            keys = [code.numpy().tobytes() for code in codes]
            new = {key: place for place, key in enumerate(keys) if key not in decoded}
            if new:
                drawn = run.decode(codes[list(new.values())].float(), decoding, seed + len(decoded))
                decoded.update(zip(new, self._texts(drawn), strict=True))
            return [decoded[key] for key in keys]

    return Voted(run, density)


def _numbers(result: Result, worst: float) -> dict[str, float | None]:
    known = result.calls + result.incomplete
    average = result.average_without_worst
    total = result.average * result.calls if result.calls else 0.0
    return {
        "valid": 1 - result.incomplete / result.proposals if known else 0.0,
        "average": None if math.isnan(average) else average,
        "average over all": (total + worst * result.incomplete) / known if known else worst,
        "best": result.best(1)[0][1] if result.valid.any() else worst,
        "novel": result.novel_rate,
        "distinct": result.distinct_rate,
        "evaluations": result.calls,
    }


def _mean(found: Sequence[Mapping[str, Any]], column: str) -> str:
    """Mean and standard error over the seeds."""
    values = [numbers[column] for numbers in found if numbers[column] is not None]
    if not values:
        return "none"
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    digits = 0 if column == "evaluations" else 3
    return f"{mean:.{digits}f} ± {math.sqrt(variance / len(values)):.{digits}f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
