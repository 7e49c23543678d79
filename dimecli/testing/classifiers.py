"""What classifiers promise to do."""

from __future__ import annotations

from dimecli.lazy import F, torch
from dimecli.plugin import Classifier, Labelled
from dimecli.testing.expect import expect, only_own_randomness, seeded

_CLASSES = 3
_ENOUGH = 0.9  # of codes whose classes are far apart


def check_classifier(classifier: Classifier, where: str) -> None:
    """Fits codes whose classes are far apart, tells those of others, and restores what was fitted."""
    train, validation, test = (_labelled(count, seed) for seed, count in enumerate((300, 60, 90)))
    with only_own_randomness(f"{where}: fit"):
        fitted = classifier.fit(train, validation, seeded())
    found = fitted.predict(test.codes)
    right = found.shape == (len(test.codes),) and found.dtype == torch.int64
    expect(right, f"{where}: predict(codes) is {tuple(found.shape)} {found.dtype}", "return (N,) int64")
    accuracy = found.eq(test.labels).float().mean().item()
    expect(accuracy >= _ENOUGH, f"{where}: {accuracy:.0%} of far classes are told apart", "fit until they are")
    again = classifier.fit(train, validation, seeded()).predict(test.codes)
    expect(torch.equal(found, again), f"{where}: a seed gives two classifiers", "draw from `rng` only")
    restored = classifier.restore(fitted.state()).predict(test.codes)
    expect(torch.equal(found, restored), f"{where}: what restore gives is not what fit gave", "put all into state()")


def _labelled(count: int, seed: int) -> Labelled:
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(_CLASSES, (count,), generator=rng)
    codes = 3.0 * F.one_hot(labels, 4).float() + 0.5 * torch.randn(count, 4, generator=rng)
    return Labelled(codes, labels, _CLASSES)
