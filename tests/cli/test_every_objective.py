"""Every objective, from the command line: trained for a few steps on each kind of data, then sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dimecli.registry import registered

OBJECTIVES = [entry.name for entry in registered("objective") if entry.distribution == "dimecli"]
DATA = {
    "images": ["--dataset", "digits"],
    "vectors": ["--dataset", "gaussian-mixture", "--samples", "200"],
    "sentences": ["--grammar", "expressions", "--size", "100", "--network", "grammar-conv-gru", "--sizes", "paper"],
}


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_trains_and_is_sampled_from_its_prior_and_from_fitted_densities(
    name: str, data: str, dime: Callable[..., Any]
) -> None:
    trained = dime("train", name, *DATA[data], "--latent-size", "4", "--max-steps", "2", "--json")
    assert trained.code == 0, trained.err
    assert all(isinstance(value, float) for value in trained.json["terms"].values())
    for density in ("prior", "gaussian", "gmm"):
        drawn = dime(
            "sample", "-n", "3", "--density", density, "--quiet", "--json", "--no-distinct", *components(density)
        )
        if density == "prior" and drawn.code:
            assert "has no prior; use --density gaussian or gmm" in drawn.err
        else:
            assert drawn.code == 0, drawn.err
            assert drawn.json["n"] == 3


def components(density: str) -> list[str]:
    """The default of ten Gaussians is many for so few codes."""
    return ["--components", "2"] if density == "gmm" else []
