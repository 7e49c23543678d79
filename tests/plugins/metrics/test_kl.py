"""The divergence of posteriors from the prior; its estimators are tested with the posteriors."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.evaluation.subject import Subject
from dimecli.model import VariationalAutoencoder
from dimecli.nn.vamp import VampPriorAutoencoder
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.kl import KL


@pytest.mark.parametrize("of", ["images", "vectors", "sentences"])
def test_gaussian_posteriors(tiny: dict[str, TinyRun], of: str) -> None:
    run = tiny[f"variational codes of {of}"]
    subject = Subject(run, n=40)
    (found,) = KL().measure(subject)
    assert isinstance(run.model, VariationalAutoencoder)
    mean, log_variance = run.model.posterior(subject.data)
    each = kl_divergence(Normal(mean.double(), (log_variance.double() / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert found.value == pytest.approx(each.mean().item(), rel=1e-6)
    assert (found.name, found.unit, found.direction) == ("kl", "nats", None)
    assert found.conditions == {"n": 40, "by": "closed form"}


def test_a_learned_prior_takes_draws(tiny: dict[str, TinyRun]) -> None:
    run = tiny["variational codes of vectors"]
    spec = Spec(modality="vector", shape=(5,), likelihood=Gaussian())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VampPriorAutoencoder(spec, run.model.encoder, run.model.decoder, 3, components=4)
    run.model = model.eval().requires_grad_(False)
    (found,) = KL().measure(Subject(run))
    assert found.conditions == {"n": 60, "by": "one draw"}


def test_deterministic_codes_have_none(tiny: dict[str, TinyRun]) -> None:
    for of in ("deterministic", "spherical"):
        reason = KL().refusal(tiny[f"{of} codes of images"])
        assert reason == "the codes are deterministic: there is no q(z|x)"
