"""What classifiers promise to do."""

from __future__ import annotations

from dimecli.lazy import F, torch
from dimecli.plugin import Classifier, Labelled
from dimecli.testing.contract import Contract
from dimecli.testing.expect import expect, only_own_randomness, seeded

_CLASSES = 3
_ENOUGH = 0.9  # of codes whose classes are far apart


def check_classifier(contract: Contract, classifier: Classifier) -> None:
    """Fits codes whose classes are far apart, tells those of others, and restores what was fitted."""
    train, validation, test = (_labelled(count, seed) for seed, count in enumerate((300, 60, 90)))
    before = [labelled.codes.clone() for labelled in (train, validation, test)]
    with contract.needed("it fits labelled codes"), only_own_randomness():
        fitted = classifier.fit(train, validation, seeded())
    with contract.needed("predict(codes) gives (N,) classes, int64"):
        found = fitted.predict(test.codes)
        right = found.shape == (len(test.codes),) and found.dtype == torch.int64
        expect(right, f"predict(codes) is {tuple(found.shape)} {found.dtype}", "return (N,) int64")
        beyond = sorted(set(found.tolist()) - set(range(_CLASSES)))
        expect(not beyond, f"it predicts classes {beyond} of {_CLASSES}", "number them as the labels are")
    with contract.promise("it tells classes that are far apart"):
        accuracy = found.eq(test.labels).float().mean().item()
        expect(accuracy >= _ENOUGH, f"{accuracy:.0%} of far classes are told apart", "fit until they are")
    with contract.promise("the class of a code does not depend on the other codes"):
        alone = torch.cat([fitted.predict(test.codes[test.labels == label]) for label in range(_CLASSES)])
        among = torch.cat([found[test.labels == label] for label in range(_CLASSES)])
        expect(torch.equal(alone, among), "it has another without them", "keep all that predict needs from fit")
    with contract.promise("it leaves the codes that it is given as they were"):
        same = all(map(torch.equal, before, (labelled.codes for labelled in (train, validation, test))))
        expect(same, "it changes them", "clone tensors before you write to them")
    with contract.promise("the same seed gives the same classifier"):
        again = classifier.fit(train, validation, seeded()).predict(test.codes)
        expect(torch.equal(found, again), "it gives another one", "draw from `rng` only")
    with contract.promise("what restore gives is what fit gave"):
        restored = classifier.restore(fitted.state()).predict(test.codes)
        expect(torch.equal(found, restored), "it predicts otherwise", "put all that is learned into state()")


def _labelled(count: int, seed: int) -> Labelled:
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(_CLASSES, (count,), generator=rng)
    codes = 3.0 * F.one_hot(labels, 4).float() + 0.5 * torch.randn(count, 4, generator=rng)
    return Labelled(codes, labels, _CLASSES)
