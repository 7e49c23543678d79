"""Autoencoders with latent spaces that you can sample, measure and search.

In Python:

    from dimecli import load_run, train

    run = train(epochs=20)
    images = run.sample(64).x
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from dimecli.api import evaluate, load_run, train

__all__ = ["__version__", "evaluate", "load_run", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("dimecli")
    if name in ("evaluate", "load_run", "train"):  # these import torch, which `dime --help` must not
        from dimecli import api

        return getattr(api, name)
    raise AttributeError(f"module 'dimecli' has no attribute '{name}'")
