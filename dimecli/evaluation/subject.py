"""What metrics measure: a run's data, codes, reconstructions and samples, each made once for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch

from dimecli.console import QUIET, Reporter
from dimecli.data.samples import Split
from dimecli.errors import UserError
from dimecli.plugin import Density
from dimecli.run.interpolate import slerp
from dimecli.run.reconstruct import Reconstructed, choose, observed
from dimecli.run.run import Drawn, Run
from dimecli.seeds import generator

_T = TypeVar("_T")


class Subject:
    """One run as metrics see it. All tensors are on the CPU.

    Args:
        run: What is measured.
        density: What samples are drawn from, a plugin or its name; None takes the default.
        n: Samples to draw, and samples of the split to look at (all, where it has fewer).
        split: The samples to compare with.
        seed: Of the choice of samples and of all draws.
        reporter: Told how long work goes.

    Attributes:
        files: Pictures that metrics wrote beside their numbers.
        seconds: What making the shared parts took, by their names.
    """

    def __init__(
        self,
        run: Run,
        density: Density | str | None = None,
        n: int = 10_000,
        split: Split = "test",
        seed: int = 0,
        reporter: Reporter = QUIET,
    ) -> None:
        self.run, self.density, self.n, self.split, self.seed, self.reporter = run, density, n, split, seed, reporter
        self.files: list[Path] = []
        self.seconds: dict[str, float] = {}
        self._shared: dict[str, Any] = {}

    def rng(self, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
        """A fresh generator for one purpose: the same seed and purpose give the same draws."""
        return generator(self.seed, f"measure {purpose}", device)

    @cached_property
    def indices(self) -> torch.Tensor:
        """`(m,)` places in the split of the samples that are looked at, ascending; `m <= n`."""
        return choose(len(self.run.samples(self.split)), self.n, self.seed)

    @cached_property
    def data(self) -> torch.Tensor:
        """`(m, *shape)` samples of the split as the model is shown them: pixels in [0, 1], ids of sentences."""
        with self._timed(f"{self.split} samples"):
            return observed(self.run, self.split, self.indices, self.seed)

    @cached_property
    def labels(self) -> torch.Tensor | None:
        """`(m,)` classes of `data`, where the dataset has any."""
        y = self.run.samples(self.split).y
        return None if y is None else y[self.indices]

    @cached_property
    def codes(self) -> torch.Tensor:
        """`(m, l)` codes of `data`: deterministic, or the means of the posteriors."""
        data = self.data
        with self._timed(f"codes of {self.split} samples"):
            return self.run.encode(data)

    @cached_property
    def reconstructions(self) -> torch.Tensor:
        """`(m, *shape)`: `data` decoded from `codes`."""
        codes = self.codes
        with self._timed("reconstructions"):
            return self.run.decode(codes, seed=self.seed)

    @property
    def reconstructed(self) -> Reconstructed:
        """`data` and `reconstructions` together."""
        return Reconstructed(self.split, self.indices, self.data, self.reconstructions)

    @cached_property
    def samples(self) -> Drawn:
        """`n` draws of the density, decoded, with the conditions that they were drawn under."""
        with self._timed("samples"):
            return self.run.sample(self.n, self.density, self.seed, reporter=self.reporter)

    @property
    def sampling(self) -> dict[str, Any]:
        """The conditions of `samples` for `Measured`: how many, of which density, fitted on what."""
        conditions = self.samples.conditions
        return {"n": len(self.samples.x), "density": conditions["density"], "fitted_on": conditions["fitted_on"]}

    @cached_property
    def interpolations(self) -> torch.Tensor:
        """`(m, *shape)` decoded midpoints of the arcs between the codes of random pairs of `data` (RAE, section 5).

        Raises:
            UserError: there are no two samples.
        """
        codes = self.codes
        if len(codes) < 2:
            raise UserError(f"-n {self.n}: interpolation needs 2 samples of {self.split}")
        with self._timed("interpolations"):
            order = torch.randperm(len(codes), generator=self.rng("pairs"))
            return self.run.decode(slerp(codes[order], codes[order.roll(1)], 0.5), seed=self.seed)

    def shared(self, name: str, make: Callable[[], _T]) -> _T:
        """What several metrics need and only they know, such as features: made once, kept under a name."""
        if name not in self._shared:
            with self._timed(name):
                self._shared[name] = make()
        found: _T = self._shared[name]
        return found

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Tells the time of a part, less that of the parts which it needs."""
        started, others = time.monotonic(), sum(self.seconds.values())
        try:
            yield
        finally:
            own = time.monotonic() - started - (sum(self.seconds.values()) - others)
            self.seconds[part] = self.seconds.get(part, 0.0) + own
