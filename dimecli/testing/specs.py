"""Small data of each modality, on which objectives and networks are checked."""

from __future__ import annotations

from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.lazy import np, torch
from dimecli.testing.expect import seeded

IMAGE = Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True))
COLOUR = Spec(modality="image", shape=(3, 12, 8), likelihood=Gaussian(bounded=True))
VECTOR = Spec(modality="vector", shape=(6,), likelihood=Gaussian())
SENTENCE = Spec(
    modality="sentence",
    shape=(9,),
    likelihood=Productions(grammar="%start S\n%max_len 9\nS -> S '+' T | T\nT -> '(' S ')' | 'x' | 'y'"),
)


def data(spec: Spec, n: int) -> torch.Tensor:
    """`(n, *shape)` samples in [0, 1), or distinct sentences; always the same ones.

    The first half is unlike the second: darker pixels, lower numbers, shorter sentences. So a term that
    couples the samples of a batch has another value where it sees the halves one by one.
    """
    if isinstance(spec.likelihood, Productions):
        grammar = spec.likelihood.compiled
        ids = np.concatenate([grammar.enumerate(length) for length in range(grammar.max_len + 1)])
        chosen = np.random.default_rng(0).permutation(len(ids))[:n]
        return torch.from_numpy(ids[np.sort(chosen)])
    x = torch.rand(n, *spec.shape, generator=seeded()) / 2
    x[n // 2 :] += 0.5
    return x
