"""How well values are predicted: from codes by the sparse Gaussian process, and from the sentences themselves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dimecli.console import Progress
from dimecli.grammar import Grammar
from dimecli.search.sparse import fit_sparse
from dimecli.seeds import derive, generator

TESTED = 0.1
"""Share of the values that are predicted."""


def split(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The indices of n values to learn from, and of those to predict."""
    order = torch.randperm(n, generator=generator(seed, "split"))
    tested = round(TESTED * n)
    return order[tested:], order[:tested]


def scores(values: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor | float) -> dict[str, float]:
    """Root mean squared error, and mean log-likelihood in nats, of predictions N(mean, variance) for `(n,)` values."""
    squared = (values - mean).square()
    variance = torch.as_tensor(variance, dtype=values.dtype)
    log_likelihood = -0.5 * (squared / variance + (2 * math.pi * variance).log())
    return {"rmse": squared.mean().sqrt().item(), "log_likelihood": log_likelihood.mean().item()}


def from_codes(
    codes: torch.Tensor, values: torch.Tensor, seed: int, inducing: int, max_steps: int, progress: Progress
) -> dict[str, Any]:
    """The scores of a sparse Gaussian process with a length scale per dimension, on one split.

    Args:
        codes: `(n, l)` codes.
        values: `(n,)` values.
        seed: Of the split, and of where the inducing points start.
        inducing: Number of inducing points.
        max_steps: As in `fit_sparse`.
        progress: As in `fit_sparse`.

    Returns:
        `rmse`, `log_likelihood` (of the noisy values), `steps`, `converged`, `seconds`.
    """
    learned, tested = split(len(values), seed)
    began = time.perf_counter()
    gp = fit_sparse(
        codes[learned], values[learned], inducing, "ard", max_steps, generator(seed, "inducing points"), progress
    )
    seconds = time.perf_counter() - began
    with torch.no_grad():
        mean, std = gp.predict(codes[tested].double())
    found = scores(values[tested], mean, std.square() + gp.noise)
    return {**found, "steps": gp.steps, "converged": gp.converged, "seconds": seconds}


def from_sentences(model: str, grammar: Grammar, sentences: Sequence[str], values: torch.Tensor, seed: int) -> Any:
    """The scores of a regression that sees no codes, on one split; its variance is that of held-out residuals.

    Args:
        model: One of `MODELS`.
        grammar: Of the sentences.
        sentences: n of them.
        values: `(n,)` values.
        seed: Of the split, and of the regression.
    """
    ids, _ = grammar.parse_all(sentences)
    learned, tested = split(len(values), seed)
    fitted, held_out = learned[split(len(learned), seed)[0]], learned[split(len(learned), seed)[1]]
    predict = MODELS[model](ids, values.numpy(), fitted.numpy(), derive(seed, model) % 2**31)
    residuals = values[held_out] - torch.from_numpy(predict(held_out.numpy()))
    return scores(values[tested], torch.from_numpy(predict(tested.numpy())), residuals.square().mean())


_Predict = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def _mean(ids: NDArray[np.int16], values: NDArray[np.float64], fitted: NDArray[np.int64], seed: int) -> _Predict:
    mean = values[fitted].mean()
    return lambda rows: np.full(len(rows), mean)


def _ridge(ids: NDArray[np.int16], values: NDArray[np.float64], fitted: NDArray[np.int64], seed: int) -> _Predict:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import OneHotEncoder

    productions = OneHotEncoder(handle_unknown="ignore", sparse_output=True).fit(ids)
    model = Ridge(random_state=seed).fit(productions.transform(ids[fitted]), values[fitted])
    return lambda rows: np.asarray(model.predict(productions.transform(ids[rows])))


def _boosting(ids: NDArray[np.int16], values: NDArray[np.float64], fitted: NDArray[np.int64], seed: int) -> _Predict:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(random_state=seed).fit(ids[fitted], values[fitted])
    return lambda rows: np.asarray(model.predict(ids[rows]))


MODELS: Mapping[str, Callable[..., _Predict]] = {
    "mean of the values": _mean,
    "ridge on one-hot productions": _ridge,
    "gradient boosting on productions": _boosting,
}
"""Regressions that see no codes."""
