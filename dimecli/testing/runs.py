"""Tiny trained models that metrics are tried on, without a folder. Importing this module imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples, Split
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.model import Autoencoder, UnitNorm, VariationalAutoencoder
from dimecli.nn.sequence import OneHot
from dimecli.run.decoding import AUTO, Decoding
from dimecli.run.run import Drawn, Run
from dimecli.seeds import generator
from dimecli.training.settings import TrainSettings

CODES = 3
_COUNTS: dict[Split, int] = {"train": 120, "validation": 60, "test": 60}
_CLASSES = ("a", "b", "c")
_SPECS = (
    Spec(modality="image", shape=(1, 16, 16), likelihood=Gaussian(bounded=True), classes=_CLASSES),
    Spec(modality="vector", shape=(5,), likelihood=Gaussian(), classes=_CLASSES),
    Spec(
        modality="sentence",
        shape=(9,),
        likelihood=Productions(grammar="%start S\n%max_len 9\nS -> S '+' T | T\nT -> '(' S ')' | 'x' | 'y'"),
    ),
)


class TinyRun(Run):
    """A model with its data in memory; samples are codes of training data, moved a little.

    Args:
        spec: What the data are.
        model: An autoencoder, with codes on the unit sphere if it ends in a `UnitNorm`.
        path: A folder to write into.

    Attributes:
        copies: Samples to give in place of draws.
    """

    def __init__(self, spec: Spec, model: Autoencoder, path: Path) -> None:
        self.path, self.device = path, torch.device("cpu")
        self.model = model.eval().requires_grad_(False)
        self._sphere = any(isinstance(part, UnitNorm) for part in model.encoder.modules())
        objective = SimpleNamespace(latent_space="sphere" if self._sphere else "euclidean", prior=lambda of: of.prior())
        dataset = SimpleNamespace(label=None)
        self.experiment: Any = SimpleNamespace(train=TrainSettings(), objective=objective, dataset=dataset)
        config = {"objective": {"name": "tiny"}, "dataset": {"name": "tiny"}}
        self.record = {"weights": "0" * 64, "config": config, "data": {"fingerprints": {}}}
        self.copies: torch.Tensor | None = None
        self._data = {split: _samples(spec, split, count) for split, count in _COUNTS.items()}

    @cached_property
    def training_codes(self) -> torch.Tensor:
        """`(120, l)` codes that samples are drawn around."""
        return self.codes("train")

    def _samples(self, split: Split) -> tuple[Samples, str]:
        return self._data[split], self._data[split].fingerprint()

    def _encoded(self, split: Split) -> dict[str, torch.Tensor]:
        x: Any = self._data[split].x
        return self._encode(x)

    def sample(
        self,
        n: int,
        density: Any = "",
        seed: int = 0,
        project: bool | None = None,
        decoding: Decoding = AUTO,
        reporter: Any = None,
    ) -> Drawn:
        """Codes of training samples with a little noise, decoded."""
        rng, codes = generator(seed, "sample"), self.training_codes
        codes = codes[torch.randint(len(codes), (n,), generator=rng)]
        codes = codes + 0.1 * torch.randn(codes.shape, generator=rng)
        codes = F.normalize(codes, dim=1) if self._sphere else codes
        conditions = {"density": {"name": "tiny"}, "fitted_on": "train", "seed": seed}
        if self.copies is not None:
            return Drawn(self.copies[torch.arange(n) % len(self.copies)], codes, conditions)
        return Drawn(self.decode(codes, decoding, seed), codes, conditions)


def tiny_runs(folder: Path) -> Iterator[tuple[str, TinyRun]]:
    """Runs of every modality, with names: codes anywhere, codes on the sphere, Gaussian posteriors."""
    for spec in _SPECS:
        for name, build in _MODELS.items():
            path = folder / f"{spec.modality}-{name}"
            path.mkdir()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                run = TinyRun(spec, build(spec), path)
            yield f"{name} codes of {spec.modality}s", run


def _deterministic(spec: Spec) -> Autoencoder:
    return Autoencoder(spec, _encoder(spec, CODES), _decoder(spec), CODES)


def _spherical(spec: Spec) -> Autoencoder:
    return Autoencoder(spec, nn.Sequential(_encoder(spec, CODES), UnitNorm()), _decoder(spec), CODES)


def _variational(spec: Spec) -> Autoencoder:
    return VariationalAutoencoder(spec, _encoder(spec, 2 * CODES), _decoder(spec), CODES)


_MODELS: dict[str, Callable[[Spec], Autoencoder]] = {
    "deterministic": _deterministic,
    "spherical": _spherical,
    "variational": _variational,
}


def _encoder(spec: Spec, features: int) -> nn.Module:
    parameters = spec.likelihood.parameters(spec.shape)
    numbers = (OneHot(parameters[-1]),) if spec.modality == "sentence" else ()
    return nn.Sequential(*numbers, nn.Flatten(), nn.Linear(math.prod(parameters), features))


def _decoder(spec: Spec) -> nn.Module:
    parameters = spec.likelihood.parameters(spec.shape)
    layers = (nn.Linear(CODES, math.prod(parameters)), nn.Unflatten(1, parameters))
    return nn.Sequential(*layers, spec.likelihood.output())


def _samples(spec: Spec, split: Split, count: int) -> Samples:
    """Noise around a pattern of each class; sentences drawn uniformly, which have no class."""
    rng = generator(0, f"tiny {spec.modality} {split}")
    if isinstance(spec.likelihood, Productions):
        grammar = spec.likelihood.compiled
        every = torch.cat([torch.from_numpy(grammar.enumerate(length)) for length in range(grammar.max_len + 1)])
        return Samples(spec, every[torch.randint(len(every), (count,), generator=rng)])
    y = torch.randint(len(_CLASSES), (count,), generator=rng)
    patterns = torch.rand(len(_CLASSES), *spec.shape, generator=generator(0, "tiny patterns"))
    noise = torch.randn(count, *spec.shape, generator=rng)
    return Samples(spec, (patterns[y] + 0.1 * noise).clamp(0, 1), y)
