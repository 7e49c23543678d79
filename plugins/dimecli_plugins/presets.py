"""What the presets of several objectives have in common; no plugin itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Options = Mapping[str, Any]
Preset = dict[str, Options]

TOMCZAK_WELLING: Options = {
    "epochs": 2000,
    "batch_size": 100,
    "optimizer": "adam-norm-grad",
    "lr": 5e-4,
    "warm_up": 100,
    "early_stop": 50,
}
"""How Tomczak and Welling (2018) train, and MIM on images after them: table [train]."""


def rae(mnist: Options, cifar10: Options, celeba: Options) -> dict[str, Preset]:
    """The presets of an objective that the RAE paper compares: its data, networks and training (appendix A).

    The arguments are the objective's options on each dataset, without the size of its codes.
    """
    return {
        "rae-mnist": _rae({"name": "mnist", "image_size": 32, "fit": "pad"}, 16, mnist),
        "rae-cifar10": _rae({"name": "cifar10"}, 128, cifar10),
        "rae-celeba": _rae({"name": "celeba", "image_size": 64, "crop": 140}, 64, celeba, epochs=70),
    }


def _rae(dataset: Options, latent_size: int, objective: Options, epochs: int = 100) -> Preset:
    return {
        "objective": {"latent_size": latent_size, **objective},
        "network": {"name": "rae-conv"},
        "dataset": dataset,
        "train": {"epochs": epochs, "batch_size": 100, "lr": 1e-3, "schedule": "plateau"},
    }


def dime_table2(objective: Options) -> Preset:
    """The preset for a row of DIME's Table 2 on MNIST, which tells neither the networks nor the rates of the others.

    Args:
        objective: Its options as pythae has them, in our units, without the size of its codes.
    """
    return {
        "objective": {"latent_size": 16, **objective},
        "dataset": {"name": "mnist", "image_size": 32, "fit": "resize"},
        "train": {"epochs": 100, "batch_size": 100},
    }
