"""The autoencoders of expressions that GrammarVAE and DIME compare, as tables for `dime train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_VAE = {"name": "vae", "latent_size": 25, "beta": 0.01}  # with which they reconstruct
DATASET = {"name": "sentences", "grammar": "expressions", "source": "gvae", "test": 0.05, "validation": 0.05}

SYSTEMS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "GVAE": (_VAE, "grammar-conv-gru"),
    "CVAE": (_VAE, "character"),
    "GDIME": ({"name": "dime", "latent_size": 25}, "grammar-conv-gru"),
}
"""Objective and network of each."""


def tables(system: str, small: bool) -> dict[str, Mapping[str, Any]]:
    """How one of `SYSTEMS` is trained: on 90 % of GrammarVAE's 100,000 expressions, or of 10,000 of them."""
    objective, network = SYSTEMS[system]
    return {
        "objective": objective,
        "dataset": {**DATASET, "size": 10_000 if small else None},
        "network": {"name": network},
        "train": {"epochs": 12, "lr": 2e-3} if small else {"epochs": 20, "lr": 1e-3},
    }
