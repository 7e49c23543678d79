"""How a model is trained, whatever the objective."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dimecli.settings import Settings


class TrainSettings(Settings):
    """The options of `dime train` that belong to no plugin; the table [train] of a TOML file."""

    epochs: int = Field(100, ge=1, description="Passes over the training samples.")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many optimiser steps, if that comes first.")
    batch_size: int = Field(
        100, ge=2, description="Samples per step, over all processes; a last, smaller batch is left out."
    )
    optimizer: Literal["adam", "adamax", "adam-norm-grad"] = Field(
        "adam",
        description="adam-norm-grad divides the gradient of each tensor by its length first, as VampPrior and MIM do.",
    )
    lr: float = Field(1e-3, gt=0, description="Learning rate; further players have their own.")
    warm_up: int = Field(
        0, ge=0, description="Epochs over which the weight of every term but the reconstruction grows from 0 to 1."
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Validate and keep a moving average of the weights, of this decay, less at first; 0: none.",
    )
    schedule: Literal["constant", "plateau", "cosine"] = Field(
        "constant",
        description="Learning rate: constant, halved after --patience epochs without progress, or cosine to 0.",
    )
    patience: int = Field(5, ge=1, description="Epochs without a better validation loss before plateau halves.")
    early_stop: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better validation loss; not while warming up."
    )
    keep: Literal["best", "last"] = Field("best", description="Weights to keep: best on validation, or the last.")
    clip: float | None = Field(None, gt=0, description="Largest gradient norm; larger ones are scaled down.")
    precision: Literal["32", "bf16"] = Field("32", description="bf16 computes networks in bfloat16, losses in float32.")
    compile: bool = Field(False, description="Compile the training step (torch.compile).")
    stream: Literal["auto", "always", "never"] = Field(
        "auto", description="Read samples batch by batch; auto does so if they do not fit into memory."
    )
    workers: int = Field(2, ge=0, description="Processes that read samples while streaming.")
    checkpoint_seconds: float = Field(30.0, ge=0, description="Time between checkpoints, in seconds.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: the physical cores.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of weights, order and noise.")
