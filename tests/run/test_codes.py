"""What densities are given: the codes of the training samples, from the encoder alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dimecli.api import Run, train
from dimecli.plugin import Context, Density, Fitted
from dimecli.registry import find, make
from dimecli.run.files import read_tensors

NETWORK = make("network", "mlp", widths=(16,))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train("vae", "digits", NETWORK, runs=tmp_path_factory.mktemp("runs"), epochs=2)


def test_codes_are_means_of_the_posteriors_and_their_deviations_are_kept(run: Run) -> None:
    """Not draws from them, as in pythae's samplers."""
    x: Any = run.samples("train").x
    mean, log_variance = run.model.posterior(x)  # type: ignore[operator]
    torch.testing.assert_close(run.codes("train"), mean)
    kept, _ = read_tensors(run.path / "codes" / "train.safetensors")
    torch.testing.assert_close(kept["std"], (log_variance / 2).exp())


def test_codes_and_fits_never_run_the_decoder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """pythae's GMM sampler decodes the training data, and computes their loss, to get their codes."""

    def forward(*arguments: Any) -> None:
        pytest.fail("the decoder ran")

    monkeypatch.setattr(run.model.decoder, "forward", forward)
    for file in (run.path / "codes").glob("*"):
        file.unlink()
    run.fit(make("density", "gmm", components=2))
    assert (run.path / "codes" / "train.safetensors").exists()


def test_a_density_learns_prior_and_deviations_and_tells_the_caller_s_reporter(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dimecli.console import Reporter

    seen: dict[str, Context] = {}

    class Noting(find("density", "gaussian").plugin):  # type: ignore[misc]
        def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Any:
            seen["fit"] = context
            return super().fit(codes, rng, context)

        def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
            seen["restore"] = context
            restored: Fitted = super().restore(state, context)
            return restored

    monkeypatch.setattr("dimecli.run.run.entry_of", lambda plugin: find("density", "gaussian"))
    density: Density = Noting()
    reporter = Reporter(quiet=True)
    run.fit(density, reporter)
    assert seen["fit"].prior is run.prior
    assert seen["fit"].std is not None
    assert seen["fit"].std.shape == run.codes("train").shape
    assert seen["fit"].reporter is reporter
    assert seen["restore"].prior is run.prior


def test_codes_of_deterministic_encoders_have_no_deviations(tmp_path: Path) -> None:
    run = train("ae", "digits", NETWORK, runs=tmp_path, epochs=1)
    run.codes("train")
    assert set(read_tensors(run.path / "codes" / "train.safetensors")[0]) == {"codes", "labels"}
