"""The evidence lower bound; that it is exact for the exact posterior is tested with the posteriors."""

from __future__ import annotations

import pytest

from dimecli.evaluation.subject import Subject
from dimecli.model import VariationalAutoencoder
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.elbo import ELBO


def test_is_reconstruction_less_divergence(tiny: dict[str, TinyRun]) -> None:
    """`E log p(x|z) - KL(q(z|x) || p(z))`, both in closed form where the decoder is linear and its noise Gaussian."""
    run = tiny["variational codes of vectors"]
    model = run.model
    assert isinstance(model, VariationalAutoencoder)
    subject = Subject(run)
    x = subject.data
    posterior = model.posterior(x)
    weight = model.decoder.get_submodule("0").get_parameter("weight")
    spread = (weight.square() @ posterior.log_variance.exp().T).sum(0)  # of the decoded mean; the noise has 1/2
    expected = (model.log_likelihood(x, posterior.mean) - spread - posterior.kl()).mean().item()
    subject.__dict__["data"] = x.repeat(1000, 1)
    (found,) = ELBO().measure(subject)
    assert found.value == pytest.approx(expected, abs=0.05)
    assert (found.name, found.direction, found.unit) == ("elbo", "higher", "nats")
    assert found.conditions == {"n": 60_000, "draws": 1, "likelihood": "gaussian"}


def test_deterministic_codes_have_none(tiny: dict[str, TinyRun]) -> None:
    for of in ("deterministic", "spherical"):
        assert ELBO().refusal(tiny[f"{of} codes of images"]) == "the codes are deterministic: there is no q(z|x)"
