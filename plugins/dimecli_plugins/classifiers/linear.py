"""Multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from dimecli.lazy import F, torch
from dimecli.plugin import Classifier, FittedClassifier, Labelled

GRID = (0.01, 0.1, 1.0, 10.0, 100.0)


class Linear(Classifier):
    """A single linear layer and a softmax: multinomial logistic regression (DIME, appendix A.2).

    Minimises `|W|^2 / 2 + C sum_i -log softmax(W z_i + b)[y_i]` to its one optimum, so the seed has no say.
    """

    c: float | None = Field(
        None,
        gt=0,
        description="Weight C of the summed loss against the penalty on the weights; "
        f"none: what is best on the validation codes, of {', '.join(f'{c:g}' for c in GRID)}.",
    )

    random = False

    def fit(self, train: Labelled, validation: Labelled, rng: torch.Generator) -> FittedClassifier:
        """The optimum, found by L-BFGS in float64; among equals the one with the strongest penalty."""
        from sklearn.linear_model import LogisticRegression

        codes, labels = train.codes.double().numpy(), train.labels.numpy()
        fits = [LogisticRegression(C=c, max_iter=1000).fit(codes, labels) for c in ([self.c] if self.c else GRID)]
        judged = validation.codes.double().numpy(), validation.labels.numpy()
        best = max(fits, key=lambda fit: fit.score(*judged))
        weight, bias = torch.from_numpy(best.coef_), torch.from_numpy(best.intercept_)
        if len(weight) == 1:  # of two classes only the second one's logit is told; the first one's is 0
            weight, bias = F.pad(weight, (0, 0, 1, 0)), F.pad(bias, (1, 0))
        return LinearFit(weight, bias, torch.from_numpy(best.classes_))

    def restore(self, state: Mapping[str, torch.Tensor]) -> FittedClassifier:
        """The classifier of that state."""
        return LinearFit(**state)


@dataclass(frozen=True)
class LinearFit:
    """What was learned.

    Args:
        weight: `(K, l)` float64.
        bias: `(K,)` float64.
        classes: `(K,)` int64, those that were in the training data.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    classes: torch.Tensor

    def predict(self, codes: torch.Tensor) -> torch.Tensor:
        """The class with the largest logit."""
        return self.classes[F.linear(codes.double(), self.weight, self.bias).argmax(1)]

    def state(self) -> dict[str, torch.Tensor]:
        """The fields."""
        return dict(vars(self))
