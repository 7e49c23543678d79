"""The contract of networks: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from dimecli.errors import UserError
from dimecli.nn.sequence import OneHot
from dimecli.plugin import Network, Samples, Spec
from dimecli.testing import Contract
from dimecli.testing.networks import check_network


def broken(network: Network) -> dict[tuple[str, str], str]:
    """What is wrong, by where and the promise that is broken."""
    contract = Contract()
    with contract.section(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check_network(contract, network)
    return {(finding.where, finding.promise): finding.reason for finding in contract.findings if not finding.held}


class Good(Network):
    """Linear maps."""

    modalities = frozenset({"image", "vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(spec.elements, features))

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        shape = spec.likelihood.parameters(spec.shape)
        linear = nn.Linear(latent_size, math.prod(shape))
        return nn.Sequential(linear, nn.Unflatten(1, shape), spec.likelihood.output())


class GoodReader(Network):
    """Linear maps of symbols."""

    modalities = frozenset({"sentence"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        steps, symbols = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(OneHot(symbols), nn.Flatten(), nn.Linear(steps * symbols, features))

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        shape = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(nn.Linear(latent_size, math.prod(shape)), nn.Unflatten(1, shape))


class Fixed(Good):
    """Images of one size."""

    modalities = frozenset({"image"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        if spec.shape[1:] != (32, 32):
            raise UserError(f"network 'fixed' takes images of 32 x 32, got {spec.shape}")
        return super().encoder(spec, features)


class Opened(Good):
    """A last layer that begins at zero."""

    modalities = frozenset({"vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        last = nn.Linear(features, features)
        nn.init.zeros_(last.weight)
        return nn.Sequential(super().encoder(spec, features), nn.Tanh(), last)


class Refusing(Good):
    modalities = frozenset({"image"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        raise UserError("not today")


class Still(Good):
    """A layer that is frozen on purpose."""

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        return nn.Sequential(super().encoder(spec, features), nn.Linear(features, features).requires_grad_(False))


@pytest.mark.parametrize("network", [Good, GoodReader, Fixed, Opened, Still])
def test_a_good_network_keeps_every_promise(network: type[Network]) -> None:
    assert not broken(network())


class Nothing(Good):
    modalities = frozenset()


class Unprepared(GoodReader):
    def prepare(self, samples: Samples) -> Samples:
        raise KeyError("letters")


class Short(Good):
    def encoder(self, spec: Spec, features: int) -> nn.Module:
        return super().encoder(spec, features - 1)


class Flat(Good):
    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        size = math.prod(spec.likelihood.parameters(spec.shape))
        return nn.Sequential(nn.Linear(latent_size, size), spec.likelihood.output())


class Unbounded(Good):
    """Images without the last layer that the likelihood asks for, of which a fixed noise needs none on vectors."""

    modalities = frozenset({"image"})

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        shape = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(nn.Linear(latent_size, math.prod(shape)), nn.Unflatten(1, shape))


class Narrow(Good):
    """No room for a noise that the decoder predicts, and none for one that it learns."""

    modalities = frozenset({"vector"})

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        return nn.Sequential(nn.Linear(latent_size, spec.elements), nn.Unflatten(1, spec.shape))


class Infinite(Good):
    modalities = frozenset({"vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        class Log(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return (0 * x).log()

        return nn.Sequential(super().encoder(spec, features), Log())


class Idle(Good):
    """A layer that learns nothing."""

    modalities = frozenset({"vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        class Detach(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.detach()

        return nn.Sequential(super().encoder(spec, features), Detach(), nn.Linear(features, features))


class Crowd(Good):
    """Subtracts the mean of the batch, whatever the mode."""

    modalities = frozenset({"vector"})

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        class Centre(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x - x.mean(0)

        return nn.Sequential(super().encoder(spec, features), Centre())


class Reader(nn.Module):
    """A linear map of what `numbers` makes of symbols or of weights over them."""

    def __init__(self, spec: Spec, features: int) -> None:
        super().__init__()
        self.symbols = spec.likelihood.parameters(spec.shape)[-1]
        self.linear = nn.Linear(spec.elements, features)

    def numbers(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> Any:
        return self.linear(self.numbers(x))


class Numbers(GoodReader):
    """Takes symbols for quantities, and weights for the symbol that has most of it."""

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        class Encoder(Reader):
            def numbers(self, x: torch.Tensor) -> torch.Tensor:
                return (x.argmax(2) if x.is_floating_point() else x).float()

        return Encoder(spec, features)


class Shifted(GoodReader):
    """Reads weights as others than the symbols."""

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        class Encoder(Reader):
            def numbers(self, x: torch.Tensor) -> torch.Tensor:
                return x.sum(2) if x.is_floating_point() else x.float()

        return Encoder(spec, features)


class Paddingless(GoodReader):
    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        steps, symbols = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(nn.Linear(latent_size, steps * (symbols - 1)), nn.Unflatten(1, (steps, symbols - 1)))


DECODER = "decoder(spec, 5) gives the likelihood's parameters"
ENCODER = "encoder(spec, 5) gives 5 numbers for each sample"
BOUNDS = "means of pixels lie in [0, 1]"
BREACHES: dict[type[Network], dict[tuple[str, str], str]] = {
    Nothing: {("", "`modalities` names what it takes"): "it is empty"},
    Unprepared: {("on sentences", "prepare gives samples in the form that it works on"): "KeyError: 'letters'"},
    Refusing: {("on images", ENCODER): "with its defaults it refuses: not today"},
    Short: {
        ("on images", ENCODER): "its output is (16, 4); return (16, 5)",
        ("on vectors", ENCODER): "its output is (16, 4); return (16, 5)",
    },
    Flat: {
        ("on images", DECODER): "its output is (16, 288); return (16, 3, 12, 8)",
        ("on images with learned noise", DECODER): "",
        ("on images with predicted noise", DECODER): "",
    },
    Unbounded: {
        ("on images", BOUNDS): "end the decoder in spec.likelihood.output()",
        ("on images with learned noise", DECODER): "its output is (3, 3, 12, 8); return (3, 6, 12, 8)",
        ("on images with predicted noise", BOUNDS): "end the decoder in spec.likelihood.output()",
    },
    Narrow: {
        ("on vectors with learned noise", DECODER): "its output is (3, 6); return (3, 12)",
        ("on vectors with predicted noise", DECODER): "its output is (3, 6); return (3, 12)",
    },
    Infinite: {("on vectors", ENCODER): "its output has NaN or infinite values"},
    Idle: {("on vectors", "gradients reach every weight"): "none reaches encoder.0.1.weight, encoder.0.1.bias"},
    Crowd: {
        ("on vectors", "in eval mode the nll of a sample does not depend on the rest of its batch"): "treat rows alike"
    },
    Numbers: {("on sentences", "weights over symbols get a finite gradient"): "start with dimecli.nn.sequence.OneHot"},
    Shifted: {("on sentences", "one-hot weights have the codes of the symbols"): "they have others"},
    Paddingless: {("on sentences", DECODER): "its output is (16, 9, 5); return (16, 9, 6)"},
}


@pytest.mark.parametrize("network", BREACHES, ids=lambda network: network.__name__)
def test_a_breach_is_told_by_its_own_promise(network: type[Network]) -> None:
    found = broken(network())
    assert found.keys() == BREACHES[network].keys()
    for promise, reason in BREACHES[network].items():
        assert reason in found[promise]
