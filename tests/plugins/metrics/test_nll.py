"""The negative log-likelihood; its estimator is tested with the posteriors."""

from __future__ import annotations

import math

import pytest

from dimecli.evaluation.subject import Subject
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.elbo import ELBO
from dimecli_plugins.metrics.nll import NLL


def test_in_nats_and_in_bits_per_dimension(tiny: dict[str, TinyRun]) -> None:
    nats, bits = NLL(draws=50, images=20).measure(Subject(tiny["variational codes of images"]))
    assert (nats.name, nats.direction, nats.unit) == ("nll", "lower", "nats")
    assert (bits.name, bits.direction, bits.unit) == ("nll/bits-per-dimension", "lower", "bits")
    assert bits.value == pytest.approx(nats.value / (256 * math.log(2)))
    assert nats.conditions == bits.conditions == {"n": 20, "draws": 50, "likelihood": "gaussian"}
    assert nats.remark.startswith("In expectation an upper bound; the standard error over the samples is ")


def test_sentences_have_no_dimensions(tiny: dict[str, TinyRun]) -> None:
    (nats,) = NLL(draws=2).measure(Subject(tiny["variational codes of sentences"]))
    assert nats.conditions == {"n": 40, "draws": 2, "likelihood": "productions"}


def test_of_the_same_samples_in_every_run_and_of_all_where_there_are_few(tiny: dict[str, TinyRun]) -> None:
    subject = Subject(tiny["variational codes of vectors"], n=8)
    few, all_of_them = (NLL(draws=3, images=images).measure(subject) for images in (2, 500))
    assert next(iter(all_of_them)).conditions["n"] == 8
    assert next(iter(few)).conditions["n"] == 2


def test_not_above_the_negative_bound(tiny: dict[str, TinyRun]) -> None:
    for of in ("images", "vectors", "sentences"):
        subject = Subject(tiny[f"variational codes of {of}"])
        (bound,) = ELBO().measure(subject)
        nll = next(iter(NLL(draws=100, images=60).measure(subject)))
        assert nll.value < -bound.value


def test_deterministic_codes_have_none(tiny: dict[str, TinyRun]) -> None:
    for of in ("deterministic", "spherical"):
        assert NLL().refusal(tiny[f"{of} codes of images"]) == "the codes are deterministic: there is no q(z|x)"


def test_which_samples_do_not_depend_on_how_many_others_there_are(tiny: dict[str, TinyRun]) -> None:
    run = tiny["variational codes of images"]
    found = [list(NLL(draws=3, images=10).measure(Subject(run, n=n))) for n in (10, 33, 60)]
    assert found[0] == found[1] == found[2]
