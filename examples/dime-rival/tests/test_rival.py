"""The objective keeps the contract, and its adversary spreads the codes."""

from pathlib import Path

import pytest
from dime_rival import SphericalAAE

from dimecli import train
from dimecli.registry import make
from dimecli.testing import check_plugin


def test_contract() -> None:
    assert check_plugin("objective", "spherical-aae") is None


def test_the_adversary_spreads_the_codes(tmp_path: Path) -> None:
    """The mean of uniform codes is the middle of the sphere; without the adversary's weight theirs is far from it."""
    data = make("dataset", "gaussian-mixture", samples=1000)

    def distance(weight: float) -> float:
        objective = SphericalAAE(latent_size=2, lam=weight)
        run = train(objective, data, runs=tmp_path, epochs=20, seed=1, keep="last")
        return float(run.codes("test").mean(0).norm())

    assert distance(1.0) < 0.3 < distance(0.0)


def test_a_discriminator_that_wins_is_told() -> None:
    assert SphericalAAE().notes({"discriminator": 0.25}, 100) == ()
    (note,) = SphericalAAE().notes({"discriminator": 0.01}, 100)
    assert "0.01" in note


def test_the_weight_is_called_as_in_the_paper() -> None:
    with pytest.raises(ValueError, match="lambda"):
        SphericalAAE.model_validate({"lambda": -1})
