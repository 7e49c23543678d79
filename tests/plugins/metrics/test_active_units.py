"""Active units of posteriors that were collapsed by hand."""

from __future__ import annotations

import pytest
import torch

from dimecli.evaluation.subject import Subject
from dimecli.model import VariationalAutoencoder
from dimecli.nn.hamiltonian import HamiltonianModel, Schedule
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.active_units import ActiveUnits


@pytest.mark.parametrize("collapsed", [0, 1, 3])
def test_planted_collapse(tiny: dict[str, TinyRun], collapsed: int) -> None:
    run = tiny["variational codes of images"]
    assert isinstance(run.model, VariationalAutoencoder)
    means = run.model.encoder.get_submodule("1").get_parameter("weight")[:3]
    means *= 10
    means[:collapsed] = 0
    (found,) = ActiveUnits().measure(Subject(run))
    assert (found.name, found.value, found.unit, found.direction) == ("active-units", 3 - collapsed, "of 3", "higher")
    assert found.conditions == {"n": 60, "threshold": 0.05}


def test_the_threshold_is_of_the_variance(tiny: dict[str, TinyRun]) -> None:
    subject = Subject(tiny["variational codes of vectors"])
    columns = torch.tensor([[1.0, 2, 3], [-1, -2, -3]]).repeat(30, 1)  # variances 1, 4 and 9
    subject.__dict__["codes"] = columns
    counts = [next(iter(ActiveUnits(threshold=at).measure(subject))).value for at in (1, 1.001, 4, 9, 9.001)]
    assert counts == [3, 2, 2, 1, 0]


def test_codes_of_other_kinds_are_refused(tiny: dict[str, TinyRun]) -> None:
    for of in ("deterministic", "spherical"):
        reason = ActiveUnits().refusal(tiny[f"{of} codes of images"])
        assert reason == "the codes are deterministic: there is no q(z|x)"
    run = tiny["variational codes of images"]
    assert ActiveUnits().refusal(run) is None
    run.model = HamiltonianModel(run.model.spec, run.model.encoder, run.model.decoder, Schedule(3, 1, 0.1, "none"), 1.0)
    assert ActiveUnits().refusal(run) == "the means of its posteriors have no closed form"
    run.experiment.objective.latent_space = "sphere"
    assert ActiveUnits().refusal(run) == (
        "the codes are on the sphere, where the variances of all coordinates add up to 1 at most"
    )
