"""A trained run: its model, its data, its codes and what can be drawn from them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from dimecli.console import QUIET, Reporter
from dimecli.data.batches import Batches
from dimecli.data.samples import Samples, Split
from dimecli.data.spec import Spec
from dimecli.defaults import default
from dimecli.errors import DimeError, PluginError, UserError
from dimecli.machine import pick_device
from dimecli.model import Autoencoder, VariationalAutoencoder
from dimecli.nn.noise import LearnedNoise
from dimecli.plugin import Context, Density, Fitted, Language, LatentSpace
from dimecli.registry import entry_of, make, registered
from dimecli.run.decoding import AUTO, Decoding
from dimecli.run.files import file_hash, read_tensors, write_tensors
from dimecli.run.folder import read_record
from dimecli.run.origin import packages_of, require_grammar, warn_of_changes
from dimecli.seeds import generator
from dimecli.training.experiment import from_record
from dimecli.training.start import build_model

_BATCH = 500


@dataclass(frozen=True)
class Drawn:
    """Samples drawn from a density over the codes, with the conditions they were drawn under."""

    x: torch.Tensor  # (n, *shape), in the data's range
    codes: torch.Tensor  # (n, l)
    conditions: dict[str, Any]


class Run:
    """A run folder, loaded and verified; everything in it is tensors or JSON, so a stranger's run is safe.

    Args:
        path: The folder.
        device: Where to compute; None takes what the run was trained with.

    Raises:
        UserError: there is no finished run at `path`, or a plugin that it needs is not installed.
        DimeError: a file is damaged, or was changed since training.
    """

    def __init__(self, path: Path, device: str | None = "auto") -> None:
        self.path = path
        self.record = read_record(path)
        if self.record["state"] == "running":
            raise UserError(f"run {path.name} is being trained; wait until it is finished")
        if self.record["state"] != "finished":
            raise UserError(
                f"run {path.name} is {self.record['state']}, not finished; dime train --resume {shlex.quote(str(path))}"
            )
        self.experiment = from_record(path, self.record)
        warn_of_changes(path, self.record)
        self.device = pick_device(device or self.experiment.train.device)
        model = self._load_model().to(self.device).to(memory_format=torch.channels_last)
        self.model = model.eval().requires_grad_(False)

    @property
    def results(self) -> dict[str, Any]:
        """Seconds, steps, validation terms of the kept weights, gradient shares."""
        results: dict[str, Any] = self.record["results"]
        return results

    @property
    def noise(self) -> float | None:
        """The standard deviation of the noise of x, where that is one number that was learned."""
        learned = [module for module in self.model.modules() if isinstance(module, LearnedNoise)]
        return learned[0].log_std.exp().item() if learned else None

    @property
    def notes(self) -> Sequence[str]:
        """What its objective says of how the run ended, a line each."""
        return self.experiment.objective.notes(self.results["terms"], self.record["data"]["training"])

    @cached_property
    def language(self) -> Language | None:
        """What the samples are sentences of, if they are.

        Raises:
            UserError: its grammar is not installed, or its file is missing.
        """
        require_grammar(self.path, self.record)
        return self.experiment.dataset.language

    @cached_property
    def prior(self) -> Fitted | None:
        """The distribution that the objective asks its codes to have, if it asks for one."""
        return self.experiment.objective.prior(self.model)

    def samples(self, split: Split) -> Samples:
        """The samples that the run was trained (`train`), validated or tested on; nothing is downloaded.

        Raises:
            UserError: the data changed since the run was trained.
        """
        return self._samples(split)[0]

    def _samples(self, split: Split) -> tuple[Samples, str]:
        """The samples and their fingerprint, which is that of training; of test samples only the spec is."""
        require_grammar(self.path, self.record)
        samples = self.experiment.load(split)
        found = samples.fingerprint()
        expected = self.record["data"]["fingerprints"].get(split, found)
        if found != expected or samples.spec != self.model.spec:
            name = self.record["config"]["dataset"]["name"]
            raise UserError(f"the {split} samples of '{name}' are not those that run {self.path.name} was trained on")
        return samples, found

    @torch.no_grad()
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, l)` codes of `(N, *shape)` data, on the CPU; worked off in batches."""
        return torch.cat([self.model.encode(part.to(self.device)).float().cpu() for part in x.split(_BATCH)])

    @torch.no_grad()
    def decode(self, z: torch.Tensor, decoding: Decoding = AUTO, seed: int = 0) -> torch.Tensor:
        """`(B, *shape)` data of `(B, l)` codes, on the CPU: float32 in its own range, or the symbols of sentences.

        Args:
            z: The codes.
            decoding: What a code becomes; see `Decoding`.
            seed: Of the draws, where there are any.

        Raises:
            UserError: data of this kind cannot be decoded so.
        """
        decoding.check(self.model.spec)
        rng = generator(seed, "decode", self.device)
        parts = [decoding(self.model, part.to(self.device), rng) for part in z.split(_BATCH)]
        return torch.cat(parts).cpu()

    def codes(self, split: Split) -> torch.Tensor:
        """`(N, l)` codes of a split; encoded once, then kept in the run until the samples change.

        Raises:
            UserError: the data changed since the run was trained.
        """
        return self._encoded(split)["codes"]

    def _encoded(self, split: Split) -> dict[str, torch.Tensor]:
        """`codes`, `labels` where there are any, and the posteriors' `std` where the codes are means of Gaussians."""
        samples, fingerprint = self._samples(split)
        about = {"weights": self.record["weights"], "fingerprint": fingerprint}
        file = self.path / "codes" / f"{split}.safetensors"
        if (kept := _kept(file, about)) is not None:
            return kept
        rng = generator(self.experiment.train.seed, f"observe {split}", self.device)
        batches = Batches(samples, self.device, workers=self.experiment.train.workers)
        parts = [self._encode(self.model.spec.likelihood.observe(x, rng)) for x in batches.ordered(_BATCH)]
        encoded = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        if samples.y is not None:
            encoded["labels"] = samples.y
        write_tensors(file, encoded, about)
        return encoded

    @torch.no_grad()
    def _encode(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if not isinstance(self.model, VariationalAutoencoder):
            return {"codes": self.encode(x)}
        mean, log_variance = self.model.posterior(x)
        return {"codes": mean.float().cpu(), "std": (log_variance / 2).exp().float().cpu()}

    def fit(self, density: Density | str | None = None, reporter: Reporter = QUIET) -> Fitted:
        """The density fitted to the training codes; fitted once, then kept until its options or its version change.

        Args:
            density: A plugin or its name; None takes the default.
            reporter: Told how a long fit goes.

        Raises:
            UserError: the density does not fit this latent space, or needs a prior where there is none.
        """
        density = _density(density)
        entry, latent_space = entry_of(density), self.experiment.objective.latent_space
        if latent_space not in density.latent_spaces:
            wanted = ", ".join(sorted(density.latent_spaces))
            raise UserError(
                f"--density {entry.name} is for a latent space that is {wanted}; this run's is {latent_space}; "
                f"allowed: {', '.join(_suiting(latent_space)) or 'none that is installed'}"
            )
        file = self.path / "densities" / f"{entry.name}.safetensors"
        options = {key: value for key, value in density.options().items() if key not in density.sampling_options}
        about = {"options": options, "origin": entry.origin, "weights": self.record["weights"], "split": "train"}
        rng = generator(self.experiment.train.seed, f"density {entry.name}")
        context = Context(self.prior, device=str(self.device), reporter=reporter)
        if not density.needs_codes:
            return density.fit(torch.empty(0, self.model.latent_size), rng, context)
        if _kept(file, about) is None:
            encoded = self._encoded("train")
            state = density.fit(encoded["codes"], rng, replace(context, std=encoded.get("std"))).state()
            if not state.get("converged", True):
                reporter.say(f"Note: the fit of {entry.name} stopped before it converged; a larger --max-iter goes on")
            write_tensors(file, state, about)
        state, _ = read_tensors(file)  # always from the file: layouts in memory decide the last bits of samples
        return density.restore(state, context)

    def sample(
        self,
        n: int,
        density: Density | str | None = None,
        seed: int = 0,
        project: bool | None = None,
        decoding: Decoding = AUTO,
        reporter: Reporter = QUIET,
    ) -> Drawn:
        """Draw n codes from a density and decode them.

        Args:
            n: How many.
            density: As for `fit`; fitted on demand.
            seed: The same seed gives the same bits, another one other samples.
            project: Divide codes by their length before decoding; by default where the latent space
                is the sphere, because the decoder has seen nothing else.
            decoding: What a code becomes; see `Decoding`.
            reporter: Told how a long fit goes.

        Raises:
            UserError: as `fit` and `decode`.
        """
        decoding.check(self.model.spec)  # before a fit that may take long
        density = _density(density)
        spherical = self.experiment.objective.latent_space == "sphere"
        project = spherical if project is None else project
        codes = self.fit(density, reporter).sample(n, generator(seed, "sample")).float()
        if project:
            codes = torch.nn.functional.normalize(codes, dim=1)
        conditions = {
            "run": self.path.name,
            "density": {"name": entry_of(density).name, **density.options()},
            "fitted_on": "train" if density.needs_codes else None,
            "seed": seed,
            "projected": project,
            "decode": decoding.of(self.model).decode,
            "reserve": decoding.reserve,
        }
        return Drawn(self.decode(codes, decoding, seed), codes, conditions)

    def _load_model(self) -> Autoencoder:
        file = self.path / "weights.safetensors"
        if file_hash(file) != self.record["weights"]:
            raise DimeError(f"{file} is not what the run wrote: it was truncated or edited (SHA-256 differs)")
        tensors, _ = read_tensors(file)
        try:
            model = build_model(self.experiment, Spec.model_validate(self.record["spec"]))
            model.load_state_dict(tensors)
        except (RuntimeError, TypeError, ValueError, UserError) as error:  # also where the spec suits no network
            reason = " ".join(str(error).split())
            packages = packages_of(self.record)
            raise DimeError(
                f"{file} does not fit the model that the installed {packages} builds: train it again, or install what "
                f"it was trained with ({reason})"
            ) from error
        return model


def _kept(file: Path, about: dict[str, Any]) -> dict[str, torch.Tensor] | None:
    """The tensors that an earlier call left under the same conditions; None if they are not there, or damaged."""
    try:
        tensors, found = read_tensors(file)
    except DimeError:
        return None
    return tensors if found == about else None


def _density(given: Density | str | None) -> Density:
    given = default("density") if given is None else given
    density: Density = make("density", given) if isinstance(given, str) else given
    return density


def _suiting(latent_space: LatentSpace) -> Iterator[str]:
    """The names of the densities for a latent space, of those that work."""
    for entry in registered("density"):
        with suppress(PluginError):
            if latent_space in cast("type[Density]", entry.plugin).latent_spaces:
                yield entry.name
