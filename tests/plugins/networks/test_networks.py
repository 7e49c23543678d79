from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dimecli.data.likelihood import Bernoulli, Gaussian, Laplace
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.model import Autoencoder, UnitNorm
from dimecli.plugin import Network
from dimecli_plugins.networks.dime_conv import DimeConv
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.networks.rae_conv import RaeConv

NETWORKS: dict[str, Network] = {
    "mlp": MLP(widths=(12, 8)),
    "mlp-linear": MLP(widths=()),
    "dime-mnist": DimeConv(column="mnist", width=0.05),
    "dime-cifar10": DimeConv(column="cifar10", width=0.01),
    "dime-celeba": DimeConv(column="celeba", width=0.01),
    "dime-auto": DimeConv(width=0.01),
    "rae": RaeConv(width=0.01),
}
SHAPES = [(1, 32, 32), (3, 28, 20), (3, 65, 64), (1, 17, 9), (2, 8, 8), (1, 4, 4), (4, 3, 5), (1, 1, 1)]


def image(*shape: int, bounded: bool = True) -> Spec:
    return Spec(modality="image", shape=shape, likelihood=Gaussian(bounded=bounded))


def weights(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in module.parameters() if parameter.dim() > 1]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_image_size_trains(name: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    spec = image(*shape)
    encoder, decoder = NETWORKS[name].encoder(spec, 5), NETWORKS[name].decoder(spec, 5)
    x = torch.rand(4, *shape)
    features = encoder(x)
    means = decoder(features)
    assert features.shape == (4, 5)
    assert means.shape == x.shape
    assert means.min() >= 0
    assert means.max() <= 1
    spec.likelihood.nll(means, x).mean().backward()
    assert all(parameter.grad is not None for part in (encoder, decoder) for parameter in part.parameters())


class TwoChannels(Gaussian):
    """A likelihood with more parameters than the data have elements."""

    def parameters(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (2 * shape[0], *shape[1:])


@pytest.mark.parametrize("name", NETWORKS)
def test_decoders_give_what_the_likelihood_needs(name: str) -> None:
    spec = Spec.model_construct(modality="image", shape=(1, 9, 8), likelihood=TwoChannels(bounded=True))
    assert NETWORKS[name].decoder(spec, 5)(torch.randn(3, 5)).shape == (3, 2, 9, 8)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_reach_every_parameter(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    spec = image(3, 20, 18)
    wider: dict[str, Any] = {} if isinstance(NETWORKS[name], MLP) else {"width": 0.2 if "mnist" in name else 0.05}
    network = NETWORKS[name].model_copy(update=wider)
    encoder, decoder = network.encoder(spec, 6).to(dtype), network.decoder(spec, 6).to(dtype)
    x = torch.rand(16, *spec.shape, dtype=dtype)
    means = decoder(encoder(x))
    assert means.dtype == dtype
    (means - x).square().sum().backward()
    for part in (encoder, decoder):
        for key, parameter in part.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.abs().max() > 1e-6, key


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_autocast_stays_near_float32(name: str) -> None:
    torch.manual_seed(0)
    spec = image(3, 16, 16)
    encoder, decoder = NETWORKS[name].encoder(spec, 4), NETWORKS[name].decoder(spec, 4)
    x = torch.rand(8, *spec.shape)
    exact = decoder(encoder(x))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = decoder(encoder(x))
    assert rounded.dtype == torch.bfloat16
    rounded.float().square().sum().backward()
    assert (rounded - exact).abs().mean() < 0.02


@pytest.mark.parametrize("name", NETWORKS)
def test_the_decoder_ends_as_the_likelihood_asks(name: str) -> None:
    torch.manual_seed(0)
    network, z = NETWORKS[name], 1e3 * torch.randn(32, 4)
    free = Spec(modality="image", shape=(1, 8, 8), likelihood=Bernoulli())
    for spec in (free, image(1, 8, 8, bounded=False)):
        assert network.decoder(spec, 4)(z).abs().max() > 1
    assert network.decoder(image(1, 8, 8), 4)(z).abs().max() <= 1


def test_mlp_mirrors_its_widths() -> None:
    spec = Spec(modality="vector", shape=(7,), likelihood=Gaussian())
    mlp = MLP(widths=(5, 4))
    assert weights(mlp.encoder(spec, 3)) == [(5, 7), (4, 5), (3, 4)]
    assert weights(mlp.decoder(spec, 3)) == [(4, 3), (5, 4), (7, 5)]
    assert weights(MLP(widths=()).encoder(spec, 3)) == [(3, 7)]
    assert mlp.decoder(spec, 3)(torch.zeros(2, 3)).shape == (2, 7)


@pytest.mark.parametrize(
    ("activation", "at_minus_one"), [("relu", 0), ("leaky-relu", -0.2), ("softplus", 0.313262), ("tanh", -0.761594)]
)
def test_mlp_activations(activation: str, at_minus_one: float) -> None:
    spec = Spec(modality="vector", shape=(7,), likelihood=Gaussian())
    hidden = MLP.model_validate({"activation": activation}).encoder(spec, 3)[2]  # type: ignore[index]
    assert hidden(torch.tensor(-1.0)).item() == pytest.approx(at_minus_one, abs=1e-6)


@pytest.mark.parametrize(
    ("column", "shape", "encoder", "decoder"),
    [
        (  # 32-64-128-256, 4 x 4; 1024 numbers to the code; from 8 x 8 x 128
            "mnist",
            (1, 32, 32),
            [(32, 1, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (16, 1024)],
            [(8192, 16), (128, 64, 4, 4), (64, 32, 4, 4), (32, 1, 1, 1)],
        ),
        (  # 128-256-512-1024, 4 x 4; from 8 x 8 x 1024
            "cifar10",
            (3, 32, 32),
            [(128, 3, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1024, 512, 4, 4), (16, 4096)],
            [(65536, 16), (1024, 512, 4, 4), (512, 256, 4, 4), (256, 3, 3, 3)],
        ),
        (  # 128-256-512-1024, 5 x 5; from 8 x 8 x 1024
            "celeba",
            (3, 64, 64),
            [(128, 3, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (1024, 512, 5, 5), (16, 16384)],
            [(65536, 16), (1024, 512, 5, 5), (512, 256, 5, 5), (256, 128, 5, 5), (128, 3, 5, 5)],
        ),
    ],
)
def test_dime_conv_is_table_6(
    column: str, shape: tuple[int, ...], encoder: list[tuple[int, ...]], decoder: list[tuple[int, ...]]
) -> None:
    with torch.device("meta"):
        for network in (DimeConv(), DimeConv.model_validate({"column": column})):
            assert weights(network.encoder(image(*shape), 16)) == encoder
            assert weights(network.decoder(image(*shape), 16)) == decoder


@pytest.mark.parametrize(("column", "norms"), [("mnist", [0, 0]), ("cifar10", [3, 2]), ("celeba", [4, 3])])
def test_dime_conv_norms(column: str, norms: list[int]) -> None:
    network, spec = DimeConv.model_validate({"column": column, "width": 0.02}), image(3, 32, 32)
    parts = (network.encoder(spec, 16), network.decoder(spec, 16))
    assert [sum(isinstance(layer, nn.BatchNorm2d) for layer in part.modules()) for part in parts] == norms
    assert sum(isinstance(layer, nn.ReLU) for layer in parts[0].modules()) == 4


@pytest.mark.parametrize(
    ("side", "kernel", "flat", "decoder"), [(32, 4, 4096, (512, 256)), (64, 5, 16384, (512, 256, 128))]
)
def test_rae_conv_is_appendix_a(side: int, kernel: int, flat: int, decoder: tuple[int, ...]) -> None:
    spec, square = image(3, side, side), (kernel, kernel)
    with torch.device("meta"):
        parts = RaeConv().encoder(spec, 16), RaeConv().decoder(spec, 16)
    assert weights(parts[0]) == [
        *((128, 3, *square), (256, 128, *square), (512, 256, *square), (1024, 512, *square)),
        (16, flat),
    ]
    before = (1024, *decoder)
    assert weights(parts[1]) == [
        (65536, 16),
        *((b, a, *square) for b, a in zip(before, decoder, strict=False)),
        (before[-1], 3, *square),
    ]
    norms = [[layer.num_features for layer in part.modules() if isinstance(layer, nn.BatchNorm2d)] for part in parts]
    assert norms == [[128, 256, 512, 1024], list(before)]


@pytest.mark.parametrize(("network", "signed"), [("dime-mnist", False), ("dime-cifar10", True), ("rae", True)])
def test_pixels_are_mapped_to_plus_minus_one(network: str, signed: bool) -> None:
    seen: list[torch.Tensor] = []
    encoder = NETWORKS[network].encoder(image(1, 8, 8), 2)
    first = next(layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(torch.full((2, 1, 8, 8), 0.25))
    assert seen[0].unique().tolist() == [-0.5 if signed else 0.25]


def test_tanh_is_for_pixels_with_a_gaussian_likelihood() -> None:
    torch.manual_seed(0)
    network = DimeConv(output="tanh", width=0.25)
    means = network.decoder(image(1, 8, 8), 4)(100 * torch.randn(64, 4))
    assert -1 <= means.min() < 0
    assert means.max() <= 1
    likelihoods = (Gaussian(), Bernoulli(), Laplace(bounded=True), Gaussian(bounded=True, noise="learned"))
    for spec in (Spec(modality="image", shape=(1, 8, 8), likelihood=likelihood) for likelihood in likelihoods):
        with pytest.raises(UserError, match=r"--output tanh .* use --output sigmoid"):
            network.decoder(spec, 4)


@pytest.mark.parametrize(
    ("column", "likelihood", "expected"),
    [
        ("mnist", Gaussian(bounded=True), 0.119),
        ("mnist", Gaussian(bounded=True, noise="learned"), 0.119),
        ("mnist", Laplace(bounded=True, noise="predicted"), 0.119),
        ("mnist", Bernoulli(), -2),
        ("mnist", Gaussian(), 0),
        ("cifar10", Gaussian(bounded=True), 0.5),
    ],
)
def test_mostly_black_images_start_from_black(column: str, likelihood: Any, expected: float) -> None:
    torch.manual_seed(0)
    network = DimeConv.model_validate({"column": column, "width": 0.2})
    means = network.decoder(Spec(modality="image", shape=(1, 16, 16), likelihood=likelihood), 4)(torch.zeros(2, 4))
    assert means[:, :1].mean().item() == pytest.approx(expected, abs=0.02)
    if means.shape[1] == 2:
        assert means[:, 1:].exp().square().mean().item() == pytest.approx(0.5, abs=0.02)  # not so the noise


@pytest.mark.parametrize(
    ("network", "sphere"),
    [
        (MLP(widths=(64, 32)), False),
        (DimeConv(width=0.25), True),
        (DimeConv(width=0.25), False),
        (DimeConv(width=0.25, output="tanh"), False),
        (DimeConv(column="cifar10", width=0.03), False),
        (RaeConv(width=0.03), False),
    ],
)
def test_training_leaves_the_variance_of_the_data(network: Network, sphere: bool) -> None:
    torch.manual_seed(0)
    spec, x = image(1, 16, 16), blobs(256)
    encoder, decoder = network.encoder(spec, 4), network.decoder(spec, 4)
    model = nn.Sequential(encoder, UnitNorm(), decoder) if sphere else nn.Sequential(encoder, decoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(25):
        for batch in x.split(32):
            optimizer.zero_grad()
            (model(batch) - batch).square().mean().backward()
            optimizer.step()
    with torch.no_grad():
        loss = (model(x) - x).square().mean()
    assert loss < 0.5 * (x - x.mean(0)).square().mean()


def blobs(n: int) -> torch.Tensor:
    """`(n, 1, 16, 16)` bright discs at random places on black."""
    centre = 4 + 8 * torch.rand(n, 2, 1, 1)
    row, column = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    squared = (row - centre[:, 0]).square() + (column - centre[:, 1]).square()
    return torch.sigmoid(9 - squared)[:, None]


def test_pictures_of_a_tanh_are_clipped_and_its_loss_is_not() -> None:
    spec = Spec(modality="image", shape=(1, 8, 8), likelihood=Gaussian(bounded=True))
    torch.manual_seed(0)
    model = Autoencoder(spec, nn.Flatten(), DimeConv(output="tanh", width=0.1).decoder(spec, 64), 64)
    z = 5 * torch.randn(4, 64)
    mean = model.decoder(z)
    assert mean.min() < 0
    assert torch.equal(model.generate(z), mean.clamp(0, 1))
    x = torch.zeros(4, 1, 8, 8)
    torch.testing.assert_close(model.nll(x, z), mean.square().sum((1, 2, 3)))
