from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from dimecli.console import Progress
from dimecli.grammar.languages import find_language
from dimecli.search.predictive import MODELS, from_codes, from_sentences, scores, split


def test_split_is_a_partition_that_the_seed_decides() -> None:
    learned, tested = split(105, 1)
    assert sorted([*learned.tolist(), *tested.tolist()]) == list(range(105))
    assert len(tested) == 10
    assert torch.equal(split(105, 1)[1], tested)
    assert not torch.equal(split(105, 2)[1], tested)


@pytest.mark.parametrize("variance", [0.3, torch.rand(50, dtype=torch.float64) + 0.1])
def test_scores_are_those_of_scipy(variance: float | torch.Tensor) -> None:
    values, mean = torch.randn(2, 50, dtype=torch.float64)
    expected = norm(mean.numpy(), np.sqrt(np.asarray(variance))).logpdf(values.numpy()).mean()
    found = scores(values, mean, variance)
    assert found["log_likelihood"] == pytest.approx(expected)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((values - mean).numpy() ** 2)))


def test_a_function_of_the_codes_is_predicted_up_to_its_noise() -> None:
    rng = torch.Generator().manual_seed(0)
    codes, noise = torch.randn(800, 3, generator=rng), torch.randn(800, generator=rng, dtype=torch.float64)
    values = codes[:, 0].double() - 2 * codes[:, 1].double().sin() + 0.2 * noise
    found = from_codes(codes, values, seed=1, inducing=30, max_steps=100, progress=Progress())
    assert found["rmse"] == pytest.approx(0.2, abs=0.04)
    assert found["log_likelihood"] == pytest.approx(norm(scale=0.2).entropy() * -1, abs=0.2)
    assert found["converged"]
    assert 0 < found["steps"] <= 120


def test_regressions_on_sentences_see_what_they_can() -> None:
    grammar = find_language("expressions").compile()
    ids = grammar.sample(3000, np.random.default_rng(0), by="length")
    sentences = sorted({text for text in grammar.unparse_all(ids) if text is not None})
    first = torch.tensor([text[0] == "x" for text in sentences], dtype=torch.float64)
    last = torch.tensor([text[-1] == "x" for text in sentences], dtype=torch.float64)
    values = torch.where(first > 0, last, -last)  # their interaction: not linear in productions
    found = {model: from_sentences(model, grammar, sentences, values, seed=1) for model in MODELS}
    mean, ridge, trees = found.values()
    assert mean["rmse"] == pytest.approx(values.std().item(), rel=0.15)
    assert mean["log_likelihood"] == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * values.var()), abs=0.2)
    assert ridge["rmse"] < 0.99 * mean["rmse"]
    assert trees["rmse"] < 0.7 * ridge["rmse"]
    assert trees["log_likelihood"] > ridge["log_likelihood"]
    again = from_sentences("gradient boosting on productions", grammar, sentences, values, seed=1)
    assert again == trees
