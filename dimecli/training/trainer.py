"""The training loop: plain torch, one optimiser, everything that a resumed run needs to end with the same bits."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from dimecli import distributed
from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.errors import DimeError, UserError
from dimecli.model import Autoencoder
from dimecli.plugin import Objective
from dimecli.run.files import append_line, write_atomic
from dimecli.seeds import Noise
from dimecli.training import checkpoint
from dimecli.training.interrupt import postponed_interrupts
from dimecli.training.players import Players
from dimecli.training.settings import TrainSettings
from dimecli.training.step import Step, compute_in_bfloat16, evaluate, gradient_shares, with_total
from dimecli.training.terms import NotFiniteError, Terms
from dimecli.training.tracking import Trackings

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]

_SHARES = 10  # gradient shares are measured about so often in a run: a backward pass per term
_WINDOW = 20  # steps between synchronisations where those are not free


class Trainer:
    """Trains one model on one device, or one process's share of it.

    Args:
        objective: Gives the loss.
        model: What is trained, in place.
        settings: How.
        training: Batches to train on.
        validation: Batches that choose the best weights.
        device: Where to compute.
        reporter: Told how it goes.
        trackings: Told the records of `history.jsonl`.
    """

    def __init__(
        self,
        objective: Objective,
        model: Autoencoder,
        settings: TrainSettings,
        training: Batches,
        validation: Batches,
        device: torch.device,
        reporter: Reporter,
        trackings: Trackings | None = None,
    ) -> None:
        self.trackings = trackings or Trackings({}, {}, reporter)
        self.settings, self.device, self.reporter = settings, device, reporter
        self.training, self.validation = training, validation
        self.rank, self.world = distributed.rank(), distributed.world()
        self.batch_size = min(settings.batch_size, training.count) // self.world * self.world
        if self.batch_size < 2 * self.world or validation.count < 2 * self.world:
            counts = f"{training.count} training and {validation.count} validation samples"
            raise UserError(f"--batch-size {settings.batch_size} on {counts}: every process needs at least 2 of each")
        self.steps_per_epoch = training.count // self.batch_size
        steps = settings.epochs * self.steps_per_epoch
        self.total_steps = steps if settings.max_steps is None else min(steps, settings.max_steps)

        self.model = model.to(device).to(memory_format=torch.channels_last)  # what convolutions prefer
        self.players = Players(objective, self.model, settings, device)
        self.average = None
        if settings.ema:
            self.average = AveragedModel(self.model, multi_avg_fn=_moving_average(settings.ema))
        self.models: dict[str, nn.Module] = {"model": self.model}
        if self.average is not None:
            self.models["average"] = self.average
        self.noise = Noise(settings.seed, self.rank, device)
        judged = cast("Autoencoder", self.model if self.average is None else self.average.module)
        if settings.precision == "bf16":
            for one in {self.model, judged}:
                compute_in_bfloat16(one.encoder, device)
                compute_in_bfloat16(one.decoder, device)
        self.step = Step(objective, self.model, self.noise.rng)
        self.judged = self.step if self.average is None else Step(objective, judged, self.noise.rng)
        self.training_step: Callable[[torch.Tensor], dict[str, torch.Tensor]] = self.step
        if self.world > 1:
            self.training_step = DistributedDataParallel(self.step)
        if settings.compile:
            mode = "reduce-overhead" if device.type == "cuda" else "default"
            self.training_step = torch.compile(self.training_step, mode=mode)

        self.window = 1 if device.type == "cpu" and self.world == 1 else _WINDOW
        self.state = checkpoint.State()
        self.best: checkpoint.Tensors = {}
        self.last_record: dict[str, Any] = {}
        self._saved = time.monotonic()

    def fit(self, folder: Path, resume: bool = False) -> dict[str, Any]:
        """Train to the end, from the start or from a folder's last checkpoint; the model then has the kept weights.

        Args:
            folder: The run folder, written by process 0.
            resume: Go back to the last checkpoint, or to the start if there is none yet.

        Returns:
            Seconds, steps, the step of the kept weights, their terms on the validation samples, and
            the last gradient shares.

        Raises:
            DimeError: a term became NaN or infinite, the disk refused a checkpoint, memory ran out, or
                the step does not compile.
        """
        self.checkpoint_file = folder / "checkpoints" / "last.safetensors"
        self.history_file = folder / "history.jsonl"
        if self.settings.warm_up * self.steps_per_epoch >= self.total_steps:
            self.reporter.say(
                f"Note: --warm-up {self.settings.warm_up} outlasts the training: the last weights are kept"
            )
        if resume:
            self._restore()
        self.trackings.open(folder, self.state.step if resume else None)
        try:
            self._run()
        except NotFiniteError as error:
            kept = f"the last good checkpoint is {self.checkpoint_file}"
            kept = kept if self.checkpoint_file.exists() else "no checkpoint was written before"
            raise DimeError(f"{error}; {kept}; start anew with a lower --lr, or with --clip 1") from error
        except torch.OutOfMemoryError as error:
            raise DimeError(f"{_first_line(error)}; try a smaller --batch-size, or --stream always") from error
        except RuntimeError as error:
            if self.settings.compile:  # the compiler cannot do everything, such as second derivatives
                raise DimeError(f"--compile: {_first_line(error)}; train without it") from error
            raise
        return self._finish()

    def _restore(self) -> None:
        if self.checkpoint_file.exists():
            self.state, self.best = checkpoint.load(self.checkpoint_file, self.models, self.players.optimizer)
            self.reporter.say(f"resuming at step {self.state.step} of {self.total_steps}")
        else:
            self.reporter.say("no checkpoint was written before: starting again")
        text = self.history_file.read_text(encoding="utf-8") if self.history_file.exists() else ""
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]  # a kill may cut the last
        kept = [line for line in whole if json.loads(line)["step"] <= self.state.step]
        self.last_record = json.loads(kept[-1]) if kept else {}
        if self.rank == 0:
            write_atomic(self.history_file, lambda file: file.write_text("".join(kept), encoding="utf-8"))

    def _run(self) -> None:
        state = self.state
        self.started = time.monotonic() - state.seconds
        alone = self.world == 1  # several processes would stop at different steps, and wait for each other
        with (
            self.reporter.progress("training", self.total_steps, "step") as bar,
            postponed_interrupts() if alone else nullcontext(lambda: False) as interrupted,
        ):
            while not self._is_done():
                epoch, start = divmod(state.step, self.steps_per_epoch)
                terms = Terms(state.sums, self.steps_per_epoch, self.window)
                order = (self.batch_size, self.settings.seed, epoch, start, self.rank, self.world)
                for x in self.training.shuffled(*order):
                    self._train_on(x, terms)
                    if state.step == self.total_steps:
                        break
                    if terms.is_due():
                        terms.look(state.step)
                        bar.update(state.step, **terms.means(state.step))
                        if state.step % self.steps_per_epoch:  # an epoch's last step is saved with its validation
                            self._save_if_due(interrupted())
                terms.look(state.step)
                bar.update(state.step, **terms.means(state.step))
                self._end_epoch(epoch, terms.means(state.step))
                self._save_if_due(interrupted())

    def _train_on(self, x: torch.Tensor, terms: Terms) -> None:
        """One step of the optimiser."""
        self.noise.at(self.state.step)
        values = self.training_step(x)
        self.players.step(values, terms.add(values), self._warmth(), self._decay())
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.state.step += 1

    def _is_done(self) -> bool:
        """Whether all steps are done, or the loss has not been better for too long."""
        waited = self.state.step - self.state.best_step
        stale = bool(self.state.best) and waited >= (self.settings.early_stop or math.inf) * self.steps_per_epoch
        return stale or self.state.step >= self.total_steps

    def _warmth(self) -> float:
        """Weight of the terms that a warm-up raises."""
        steps = self.settings.warm_up * self.steps_per_epoch
        return 1.0 if self.state.step >= steps else self.state.step / steps

    def _decay(self) -> float:
        """Factor on the learning rates."""
        decay = 0.5**self.state.halvings
        if self.settings.schedule == "cosine":
            decay *= 0.5 * (1 + math.cos(math.pi * self.state.step / self.total_steps))
        return decay

    def _end_epoch(self, epoch: int, means: dict[str, float]) -> None:
        """Validate, keep the best weights and write a line of the history."""
        state = self.state
        distributed.share_buffers(self.judged.model)
        self.noise.at(0)  # the same noise at every validation, so that they compare
        validation = evaluate(self.judged, self._validation_batches())
        if bad := [name for name, value in validation.items() if not math.isfinite(value)]:
            raise NotFiniteError(
                f"term '{bad[0]}' is {validation[bad[0]]} on the validation samples after step {state.step}"
            )
        if self._warmth() == 1:  # before, what is trained for is not what is validated
            self._keep_if_best(validation)
        state.seconds = time.monotonic() - self.started
        record: dict[str, Any] = {
            "epoch": epoch + 1,
            "step": state.step,
            "seconds": round(state.seconds, 3),
            "lr": self.players.optimizer.param_groups[0]["lr"],
            "train": with_total(means, self.step.objective),
            "validation": validation,
        }
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        if epoch % math.ceil(epochs / _SHARES) == 0 or self._is_done():
            record["gradient_share"] = gradient_shares(self.judged, next(self._validation_batches()))
        self.last_record = record
        state.sums = {}
        if self.rank == 0:
            append_line(self.history_file, json.dumps(record))
            self.trackings.record(record)

    def _keep_if_best(self, validation: dict[str, float]) -> None:
        """Keep the weights if none before were better; halve the learning rate if that was long ago."""
        state, model = self.state, self.judged.model
        if not state.best or validation["total"] < state.best["total"]:
            state.best, state.best_step, state.stale = validation, state.step, 0
            if self.settings.keep == "best":
                self.best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        else:
            state.stale += 1
            if self.settings.schedule == "plateau" and state.stale >= self.settings.patience:
                state.halvings, state.stale = state.halvings + 1, 0

    def _validation_batches(self) -> Iterator[torch.Tensor]:
        return self.validation.equal(self.batch_size, self.rank, self.world)

    def _save_if_due(self, interrupted: bool) -> None:
        """Write a checkpoint if it is time, or if an interruption waits for one."""
        if not interrupted and time.monotonic() - self._saved < self.settings.checkpoint_seconds:
            return
        if not all(weight.isfinite().all() for weight in self.model.parameters()):
            raise NotFiniteError(f"the gradient made weights NaN or infinite by step {self.state.step}")
        if self.rank == 0:
            self.state.seconds = time.monotonic() - self.started
            try:
                checkpoint.save(self.checkpoint_file, self.state, self.models, self.players.optimizer, self.best)
            except DimeError as error:
                cure = f"mend that, then dime train --resume {shlex.quote(str(self.history_file.parent))}"
                raise DimeError(f"{error}; {cure}") from error
        self._saved = time.monotonic()
        if interrupted:
            raise KeyboardInterrupt

    def _finish(self) -> dict[str, Any]:
        """Put the kept weights into the model."""
        last, state = self.last_record, self.state
        terms, step = last["validation"], state.step
        if self.best:
            self.model.load_state_dict(self.best)
            terms, step = state.best, state.best_step
        elif self.average is not None:
            self.model.load_state_dict(self.average.module.state_dict())
        return {
            "seconds": last["seconds"],
            "steps": state.step,
            "kept_step": step,
            "terms": terms,
            "gradient_share": last["gradient_share"],
        }


def _moving_average(decay: float) -> Callable[[Tensors, Tensors, int | torch.Tensor], None]:
    """What moves averages towards weights; the first weights, which are random, are forgotten faster."""

    def move(averages: Tensors, weights: Tensors, updates: int | torch.Tensor) -> None:
        now = min(decay, (1 + int(updates)) / (10 + int(updates)))
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, 1 - now)

    return move


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
