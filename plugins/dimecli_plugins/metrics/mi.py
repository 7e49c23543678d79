"""How much the codes tell of the data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Context, Measured, Metric, Split
from dimecli.registry import make

if TYPE_CHECKING:
    from dimecli.evaluation.posterior import Inferred
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run

Estimator = Literal["lower", "upper", "infonce", "mine", "f-dual", "ksg"]

_FITTED, _LEAST = 20_000, 20  # samples that critics and the density of the upper bound are fitted to, at most and least
_DENSITY, _STEPS = "flow", 1000
_NEIGHBOURS = 4_000  # samples of which all pairs are looked at
_FEW = 4  # dimensions in which nearest neighbours are to be believed
_NEAR = 0.95  # share of log N from which on a bound says no more than that


class MI(Metric):
    """The mutual information `I(x; z)` of data and codes drawn from their posteriors, estimated in several ways.

    * `mi/lower`: the mean of `log q(z|x) - log 1/N sum_n q(z|x_n)`, a lower bound that is at most log N.
    * `mi/upper`: the mean of `log q(z|x) - log g(z)`, an upper bound with any density g; here a flow that is
      fitted to codes of other samples.
    * `mi/infonce` and `mi/mine`: lower bounds by critics (van den Oord et al., 2018; Belghazi et al., 2018) that are
      fitted to other samples; the first is at most log N, too. They need no log q(z|x); where that is
      known, `mi/lower` is the better infonce. `mi/f-dual` is InfoMax-VAE's other bound, with the critic of `mine`.
    * `mi/ksg`: from nearest neighbours (Kraskov et al., 2004); in more than some 4 dimensions it says far too little.

    In place of x, critics and neighbours see the numbers that the encoder makes q(z|x) of, where these are fewer:
    they tell of z what x does. Nobody can know from N samples of more information than log N, so larger
    estimates are remarked. A deterministic code has an infinite information of continuous data; `--noise`
    measures that of codes with noise, which depends on their scale, and `code-entropy` how evenly they are spread.
    """

    estimators: tuple[Estimator, ...] | None = Field(
        None, min_length=1, description="Which of the estimates; if not given, all that the run allows."
    )
    neighbours: int = Field(5, ge=1, description="Neighbours k of ksg (Kraskov et al., 2004, eq. 8).")
    noise: float | None = Field(
        None, gt=0, description="Standard deviation of Gaussian noise that deterministic codes are given."
    )

    def refusal(self, run: Run) -> str | None:
        """Without noise, codes need a posterior; with noise, they must not have one."""
        from dimecli.evaluation.posterior import without_posterior

        if reason := super().refusal(run):
            return reason
        deterministic = without_posterior(run)
        if self.noise is None:
            return deterministic and f"{deterministic}, and I(x; z) is infinite for continuous x; --noise blurs them"
        return None if deterministic else f"--noise {self.noise:g} is for deterministic codes; these have a posterior"

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the split's samples, with a code for each.

        Raises:
            UserError: an estimate does not suit the run, or there are too few samples.
        """
        from dimecli.evaluation.information import population_bound
        from dimecli.evaluation.posterior import infer

        rng = subject.rng("mi codes", subject.run.device)
        pairs = infer(subject.run, subject.data, rng, self.noise)
        chosen = self._chosen(subject, pairs)
        noise = {} if self.noise is None else {"noise": self.noise}
        if "lower" in chosen:
            assert pairs.posterior is not None
            yield _measured("lower", population_bound(pairs.posterior, pairs.z), len(pairs.z), noise)
        if not chosen.isdisjoint(("upper", "infonce", "mine", "f-dual")):
            yield from self._fitted(subject, pairs, chosen, noise)
        if "ksg" in chosen:
            yield self._ksg(subject, noise)

    def _chosen(self, subject: Subject, pairs: Inferred) -> set[Estimator]:
        """The estimates to make; those that were asked for have to be possible."""
        known = pairs.posterior is not None
        chosen = {name for name in get_args(Estimator) if known or name != "lower"}
        if self.estimators is not None and not chosen.issuperset(self.estimators):
            raise UserError(
                "--estimators lower: it needs the density of each posterior at the codes of all others, which those "
                f"of this run do not have in closed form; allowed: {', '.join(sorted(chosen))}"
            )
        chosen = chosen if self.estimators is None else set(self.estimators)
        least, why = (self.neighbours + 1, f", for --neighbours {self.neighbours}") if "ksg" in chosen else (2, "")
        if len(pairs.z) < least:
            raise UserError(f"mi needs {least} samples of {subject.split}{why}; got {len(pairs.z)}")
        return chosen

    def _fitted(
        self, subject: Subject, pairs: Inferred, chosen: set[Estimator], noise: dict[str, Any]
    ) -> Iterator[Measured]:
        """Bounds by a density or by critics, which are fitted to samples of another split."""
        split: Split = "validation" if subject.split == "train" else "train"
        others = self._others(subject, split)
        conditions = {"fitted_on": split, "fitted": len(others.z), **noise}
        if "upper" in chosen:
            density: Any = make("density", _DENSITY, steps=min(_STEPS, len(others.z)))
            fitted = density.fit(others.z, subject.rng("mi density"), Context(device=str(subject.run.device)))
            with torch.no_grad():
                value = (pairs.log_prob - fitted.log_prob(pairs.z)).double().mean().item()
            yield _measured("upper", value, len(pairs.z), {"density": _DENSITY, **conditions})
        remark = "A critic's lower bound: the information may be more."
        for name, value in _by_critics(subject, pairs, others, chosen):
            measured = _measured(name, value, len(pairs.z), conditions, remark)
            yield measured
            remark = "" if measured.remark == remark else remark  # once is enough

    def _others(self, subject: Subject, split: Split) -> Inferred:
        """Codes of samples that are not measured."""
        from dimecli.evaluation.posterior import infer
        from dimecli.run.reconstruct import choose, observed

        run = subject.run
        x = observed(run, split, choose(len(run.samples(split)), _FITTED, subject.seed), subject.seed)
        if len(x) < _LEAST:
            raise UserError(f"mi fits to samples of {split}, and needs {_LEAST}; there are {len(x)}")
        return infer(run, x, subject.rng(f"mi codes of {split}", run.device), self.noise)

    def _ksg(self, subject: Subject, noise: dict[str, Any]) -> Measured:
        from dimecli.evaluation.information import ksg
        from dimecli.evaluation.posterior import infer
        from dimecli.run.reconstruct import choose

        run = subject.run
        few = choose(len(run.samples(subject.split)), min(subject.n, _NEIGHBOURS), subject.seed)
        data = subject.data[torch.isin(subject.indices, few)]  # the same ones, however many there are
        pairs = infer(run, data, subject.rng("mi ksg", run.device), self.noise)
        x, z = pairs.features, pairs.z
        remark = ""
        if max(x.shape[1], z.shape[1]) > _FEW:
            remark = f"In {x.shape[1]} and {z.shape[1]} dimensions it says far too little (a quarter, in 16 and 16)."
        conditions = {"neighbours": self.neighbours, **noise}
        return _measured("ksg", ksg(x, z, self.neighbours), len(x), conditions, remark)


def _by_critics(
    subject: Subject, pairs: Inferred, others: Inferred, chosen: set[Estimator]
) -> Iterator[tuple[Estimator, float]]:
    """Lower bounds of pairs by critics that are fitted to others; `mine` and `f-dual` share one."""
    from dimecli.evaluation import information as of

    if "infonce" in chosen:
        critic = of.fit_critic(of.info_nce, others.features, others.z, subject.rng("mi infonce"))
        yield "infonce", of.critic_bound(of.info_nce, critic, pairs.features, pairs.z)
    if chosen.isdisjoint(("mine", "f-dual")):
        return
    critic = of.fit_critic(of.donsker_varadhan, others.features, others.z, subject.rng("mi mine"))
    if "mine" in chosen:
        yield "mine", of.critic_bound(of.donsker_varadhan, critic, pairs.features, pairs.z)
    if "f-dual" in chosen:
        some = slice(_NEIGHBOURS)
        moved = of.calibrated(critic, others.features[some], others.z[some])
        yield "f-dual", of.critic_bound(of.f_dual, moved, pairs.features, pairs.z)


def _measured(name: Estimator, value: float, n: int, conditions: dict[str, Any], remark: str = "") -> Measured:
    """An estimate, with a remark of its own where it is at or above log N."""
    ceiling = math.log(n)
    if name in ("lower", "infonce") and value >= _NEAR * ceiling:
        remark = f"It is at most log N = {ceiling:.2f} nats, and there: the information may be far more."
    elif value > ceiling:
        remark = f"Above log N = {ceiling:.2f} nats: {n} samples cannot show that there is so much."
    return Measured(f"mi/{name}", value, None, "nats", {"n": n, **conditions}, remark)
