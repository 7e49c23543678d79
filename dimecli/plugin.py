"""What plugin authors import: the base of every plugin and the contract of each kind.

A plugin is one frozen class. Its fields are its options, its docstring is its help, its methods are
its work; it holds no learned state. What building or fitting returns is another object.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from dimecli.data.samples import Samples, Split, split_off
from dimecli.data.spec import Modality, Spec
from dimecli.errors import UserError
from dimecli.lazy import nn, torch
from dimecli.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dimecli.grammar import Grammar
    from dimecli.grammar.semantics import Semantics
    from dimecli.model import Autoencoder

__all__ = [
    "API",
    "KINDS",
    "Dataset",
    "Density",
    "Fitted",
    "Language",
    "LatentSpace",
    "Loss",
    "Modality",
    "Network",
    "Objective",
    "Plugin",
    "Samples",
    "Spec",
    "Split",
]

API = 1
"""Number of the plugin contract that this release speaks; a plugin made for another one is refused."""

LatentSpace = Literal["euclidean", "sphere"]


class Plugin(Settings):
    """A named, checked, frozen set of options with the work that they configure.

    A plugin that says `api = 1` is refused by a dimecli whose contract has another number.
    """

    kind: ClassVar[str]
    group: ClassVar[str]
    api: ClassVar[int] = API

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


class Loss:
    """Named terms of a training step, scalars in nats unless the objective says otherwise.

    Their sum is minimised; each is logged, and watched for NaN and infinity, under its name.
    """

    def __init__(self, **terms: torch.Tensor) -> None:
        self.terms = terms

    @property
    def total(self) -> torch.Tensor:
        """What the optimiser minimises."""
        return torch.stack(tuple(self.terms.values())).sum()


class Fitted(Protocol):
    """A distribution over codes: a fitted density, or the prior of an objective."""

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` independent draws, in no particular order."""

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` log-densities in nats of `(n, l)` codes."""

    def state(self) -> dict[str, torch.Tensor]:
        """What was learned, for `Density.restore`."""


class Objective(Plugin):
    """What an autoencoder is trained for: it builds the model and gives the loss of a batch."""

    kind = "objective"
    group = "dimecli.objectives"

    latent_size: int = Field(16, ge=1, description="Dimension l of the codes.")
    reduction: Literal["sum", "mean"] = Field(
        "sum", description="Reconstruction in nats per sample (sum over its elements) or per element (mean)."
    )

    latent_space: ClassVar[LatentSpace] = "euclidean"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named settings, each laid out as a TOML file for `dime train`: `{"objective": {...}, "train": {...}}`."""

    def build(self, spec: Spec, network: Network) -> Autoencoder:
        """A model with fresh weights; by default a deterministic autoencoder on this latent space."""
        from dimecli.model import Autoencoder, UnitNorm

        encoder = network.encoder(spec, self.latent_size)
        if self.latent_space == "sphere":
            encoder = nn.Sequential(encoder, UnitNorm())
        return Autoencoder(spec, encoder, network.decoder(spec, self.latent_size), self.latent_size)

    @abstractmethod
    def loss(self, model: Any, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The terms to minimise on a batch: `model` is what `build` returned, x is `(B, *shape)`.

        It is also called without gradients, to validate: where a gradient is part of the loss, turn
        them on with `torch.enable_grad()`. Every draw comes from `rng`. Terms that couple the samples
        of a batch are computed on `dimecli.distributed.gather(codes)`, so that several processes train
        as one.
        """

    def reconstruction(self, model: Autoencoder, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of x given z, averaged over the batch, in the units of `reduction`."""
        nll = model.nll(x, z).mean()
        return nll / model.spec.elements if self.reduction == "mean" else nll

    def prior(self, model: Any) -> Fitted | None:
        """The distribution that the objective asks its codes to have, if it asks for one."""
        return None


class Network(Plugin):
    """An encoder and a decoder, sized by the data's shape and the codes' dimension."""

    kind = "network"
    group = "dimecli.networks"

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})

    def prepare(self, samples: Samples) -> Samples:
        """The samples in the form that this network works on; by default as they are.

        A network that works on characters makes them of productions here, with the likelihood that
        belongs to them.
        """
        return samples

    @abstractmethod
    def encoder(self, spec: Spec, features: int) -> nn.Module:
        """A module from `(B, *shape)` to `(B, features)`, without an activation at its end."""

    @abstractmethod
    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        """A module from `(B, latent_size)` to the likelihood's parameters.

        They are `(B, *spec.likelihood.parameters(spec.shape))`: means of a Gaussian, logits of a
        Bernoulli or of a categorical; the module ends in `spec.likelihood.output()`. A decoder that
        needs x as well is a `dimecli.model.Autoregressive`.
        """


class Dataset(Plugin):
    """Samples to train and test on."""

    kind = "dataset"
    group = "dimecli.datasets"

    validation: float = Field(0.1, gt=0, lt=1, description="Share of the training samples kept for validation.")

    network: ClassVar[str] = "mlp"
    """The network that fits this data where the user names none."""

    @abstractmethod
    def read(self, split: Literal["train", "test"]) -> Samples:
        """All training samples, or all test samples, in a fixed order.

        Raises:
            UserError: the data is missing or damaged; the message says what to do.
        """

    @property
    def language(self) -> Language | None:
        """What the samples are sentences of, if they are.

        Raises:
            UserError: its grammar is not installed, or its file is missing.
        """
        return None

    @property
    def label(self) -> str | None:
        """What runs on this data are called after; None: the plugin's name."""
        return None

    def notes(self) -> Sequence[str]:
        """What a user should know of the data before training on it, such as what was left out; a line each."""
        return ()

    def training(self) -> tuple[Samples, Samples]:
        """The samples to train on and those to validate on, taken from them: the same ones for every seed."""
        return split_off(self.read("train"), self.validation, "--validation")

    def load(self, split: Split) -> Samples:
        """One split.

        Raises:
            UserError: there is no such split, or the data is missing or damaged.
        """
        if split == "test":
            return self.read("test")
        if split not in ("train", "validation"):
            raise UserError(f"no split '{split}'; allowed: train, validation, test")
        train, validation = self.training()
        return train if split == "train" else validation


class Language(Plugin):
    """A context-free grammar, and what its sentences mean.

    The grammar is the .cfg file beside the plugin's module, of the same name.
    """

    kind = "grammar"
    group = "dimecli.grammars"

    source: ClassVar[str] = "length"
    """Where sentences to train on come from unless `--source` says."""
    sources: ClassVar[Mapping[str, Callable[[], Sequence[str]]]] = {}
    """Data sets of its own by name, for `--source`: each gives its sentences, in their published order."""

    def text(self) -> str:
        """The grammar, as `dimecli.grammar.Grammar.compile` reads it."""
        return self._module.with_suffix(".cfg").read_text(encoding="utf-8")

    def compile(self, max_len: int | None = None) -> Grammar:
        """The compiled grammar; `max_len` overrides the text's.

        Raises:
            UserError: the text is no grammar; names the line.
        """
        from dimecli.grammar import Grammar

        return Grammar.compile(self.text(), self._module.stem, max_len)

    @property
    def _module(self) -> Path:
        return Path(inspect.getfile(type(self)))

    def semantics(self) -> Semantics | None:
        """What the terminals mean, for `dimecli.grammar.evaluate`; None where sentences are not evaluated."""
        return None

    def score(self, sentences: Sequence[str]) -> NDArray[np.float64] | None:
        """`(n,)` scores on the task that the grammar is published with, lower is better; None if there is none."""
        return None


class Density(Plugin):
    """A distribution fitted to the codes of a trained model, to sample from it (ex-post density)."""

    kind = "density"
    group = "dimecli.densities"

    latent_spaces: ClassVar[frozenset[LatentSpace]] = frozenset({"euclidean", "sphere"})
    needs_codes: ClassVar[bool] = True
    """False where `fit` looks at the dimension of the codes alone: it then gets none of them."""
    sampling_options: ClassVar[frozenset[str]] = frozenset()
    """Options that only `sample` uses: changing them needs no new fit."""

    @abstractmethod
    def fit(self, codes: torch.Tensor, rng: torch.Generator, prior: Fitted | None = None) -> Fitted:
        """Fit `(N, l)` codes. `prior` is that of the run's objective, None where it has none."""

    @abstractmethod
    def restore(self, state: Mapping[str, torch.Tensor], prior: Fitted | None = None) -> Fitted:
        """What `fit` returned, from its `state()` and the same prior."""


KINDS: dict[str, type[Plugin]] = {kind.kind: kind for kind in (Objective, Network, Dataset, Language, Density)}
"""Every kind of plugin by its name, in the order in which they are listed."""
