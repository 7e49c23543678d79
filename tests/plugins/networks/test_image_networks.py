from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.model import Autoencoder
from dimecli.nn.conv import Crop
from dimecli.nn.gated import gated_conv, gated_dense
from dimecli.nn.residual import ResidualBlock
from dimecli.plugin import Network
from dimecli_plugins.networks.gated_conv import GatedConv
from dimecli_plugins.networks.infomax_conv import InfoMaxConv
from dimecli_plugins.networks.infomax_mlp import InfoMaxMLP
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.networks.pixelcnn import PixelCNN
from dimecli_plugins.networks.resnet import ResNet

NETWORKS: dict[str, Network] = {
    "infomax-mlp": InfoMaxMLP(),
    "infomax-mnist": InfoMaxConv(column="mnist"),
    "infomax-cifar10": InfoMaxConv(column="cifar10"),
    "infomax-celeba": InfoMaxConv(column="celeba"),
    "gated-conv": GatedConv(),
    "pixelcnn": PixelCNN(channels=6, layers=2),
    "pixelcnn-resnet": PixelCNN.model_validate({"channels": 4, "layers": 2, "encoder": "resnet"}),
    "resnet": ResNet(width=4),
    "resnet-deep": ResNet(width=2, blocks=2),
}
SHAPES = [(1, 28, 28), (3, 33, 20), (2, 8, 8), (4, 3, 5), (1, 1, 1)]


def image(*shape: int, **likelihood: Any) -> Spec:
    return Spec(modality="image", shape=shape, likelihood=Gaussian(bounded=True, **likelihood))


def weights(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in module.parameters() if parameter.dim() > 1]


def model(network: Network, spec: Spec, latent_size: int = 5) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(spec, network.encoder(spec, latent_size), network.decoder(spec, latent_size), latent_size)


def blobs(n: int, side: int) -> torch.Tensor:
    """`(n, 1, side, side)` discs at random places, 1 on 0."""
    centre = side / 4 + side / 2 * torch.rand(n, 2, 1, 1)
    row, column = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    squared = (row - centre[:, 0]).square() + (column - centre[:, 1]).square()
    return (squared < side**2 / 20).float()[:, None]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_image_size_trains_and_is_decoded(name: str, shape: tuple[int, int, int]) -> None:
    for noise in ("fixed", "predicted"):
        built = model(NETWORKS[name], image(*shape, noise=noise))
        x = torch.rand(8, *shape)
        z = built.encode(x)
        assert z.shape == (8, 5)
        nll = built.nll(x, z)
        assert nll.shape == (8,)
        nll.mean().backward()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in built.parameters())
        small = shape[1] * shape[2] < 100 or not name.startswith("pixelcnn")
        if small:
            generated = built.eval().generate(z[:2].detach())
            assert generated.shape == (2, *shape)
            assert generated.min() >= 0
            assert generated.max() <= 1


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_reach_every_weight(name: str, dtype: torch.dtype) -> None:
    built = model(NETWORKS[name], image(3, 12, 10)).to(dtype)
    x = torch.rand(16, 3, 12, 10, dtype=dtype)
    nll = built.nll(x, built.encode(x))
    assert nll.dtype == dtype
    nll.sum().backward()
    for key, weight in built.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.abs().max() > 1e-6, key


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_autocast_stays_near_float32(name: str) -> None:
    built = model(NETWORKS[name], image(1, 8, 8))
    x = torch.rand(8, 1, 8, 8)
    exact = built.nll(x, built.encode(x))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = built.nll(x, built.encode(x))
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_decoder_ends_as_the_likelihood_asks(name: str) -> None:
    x, z = torch.rand(16, 1, 6, 6), 100 * torch.randn(16, 5)
    for likelihood, bounded in ((Bernoulli(), False), (Gaussian(), False), (Gaussian(bounded=True), True)):
        spec = Spec(modality="image", shape=(1, 6, 6), likelihood=likelihood)
        decoder: Any = model(NETWORKS[name], spec).decoder
        with torch.no_grad():
            for weight in decoder.parameters():
                weight.mul_(5)
            parameters = decoder(z, x) if name.startswith("pixelcnn") else decoder(z)
        assert (parameters.min() >= 0 and parameters.max() <= 1) == bounded


@pytest.mark.parametrize("name", ["resnet", "pixelcnn", "pixelcnn-resnet"])
def test_norms_use_what_training_saw_in_eval_mode(name: str) -> None:
    built = model(NETWORKS[name], image(1, 9, 9))
    x = torch.rand(16, 1, 9, 9)
    training = built.nll(x, built.encode(x))
    built.eval()
    with torch.no_grad():
        evaluated = built.nll(x, built.encode(x))
        torch.testing.assert_close(built.nll(x[:1], built.encode(x[:1])), evaluated[:1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(training, evaluated, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "epochs", "rate"),
    [
        *(("infomax-mnist", 12, 5e-3), ("gated-conv", 4, 5e-3)),
        *(("pixelcnn", 12, 5e-3), ("resnet", 8, 5e-3)),
    ],
)
def test_training_tells_discs_apart(name: str, epochs: int, rate: float) -> None:
    spec = Spec(modality="image", shape=(1, 8, 8), likelihood=Bernoulli())
    built = model(NETWORKS[name], spec, 2)
    x = blobs(256, 8)
    optimizer = torch.optim.Adam(built.parameters(), lr=rate)
    for _ in range(epochs):
        for batch in x.split(32):
            optimizer.zero_grad()
            built.nll(batch, built.encode(batch)).mean().backward()
            optimizer.step()
    built.eval()
    with torch.no_grad():
        nll = built.nll(x, built.encode(x)).mean()
    # What pixels that know nothing of each other have:
    mean = x.mean(0).clamp(1e-3, 1 - 1e-3)
    independent = -(mean * mean.log() + (1 - mean) * (1 - mean).log()).sum()
    assert nll < 0.8 * independent


def test_infomax_mlp_is_table_5() -> None:
    spec = image(1, 28, 28)
    hidden = [(1000, 1000)] * 3
    with torch.device("meta"):
        encoder, decoder = InfoMaxMLP().encoder(spec, 40), InfoMaxMLP().decoder(spec, 20)
        assert weights(encoder) == [(1000, 784), *hidden, (40, 1000)]
        assert weights(decoder) == [(1000, 20), *hidden, (784, 1000)]
    slopes = [layer.negative_slope for layer in encoder.modules() if isinstance(layer, nn.LeakyReLU)]
    assert slopes == [0.2] * 4


def test_infomax_mlp_has_the_weights_of_the_same_mlp() -> None:
    vector = Spec(modality="vector", shape=(7,), likelihood=Gaussian())
    same = MLP(widths=(1000,) * 4, activation="leaky-relu")
    x, z = torch.randn(3, 7), torch.randn(3, 2)
    ours, theirs = model(InfoMaxMLP(), vector, 2), model(same, vector, 2)
    assert torch.equal(ours.encode(x), theirs.encode(x))
    assert torch.equal(ours.nll(x, z), theirs.nll(x, z))


@pytest.mark.parametrize(
    ("column", "shape", "encoder", "decoder"),
    [
        (
            "mnist",
            (1, 28, 28),
            [(28, 1, 4, 4), (28, 28, 4, 4), (56, 28, 4, 4), (118, 56, 4, 4), (40, 118 * 2 * 2)],
            [(118, 20), (118, 118, 4, 4), (118, 56, 4, 4), (56, 28, 4, 4), (28, 28, 4, 4), (28, 1, 4, 4)],
        ),
        (
            "cifar10",
            (3, 32, 32),
            [(32, 3, 4, 4), (32, 32, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (40, 128 * 2 * 2)],
            [(128, 20), (128, 128, 4, 4), (128, 64, 4, 4), (64, 64, 4, 4), (64, 32, 4, 4), (32, 3, 4, 4)],
        ),
        (
            "celeba",
            (3, 64, 64),
            [(32, 3, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (40, 256 * 4 * 4)],
            [
                *((256, 20), (256, 128, 4, 4), (128, 128, 4, 4), (128, 64, 4, 4)),
                *((64, 32, 4, 4), (32, 32, 4, 4), (32, 3, 4, 4)),
            ],
        ),
    ],
)
def test_infomax_conv_is_tables_5_6_and_8(
    column: str, shape: tuple[int, ...], encoder: list[tuple[int, ...]], decoder: list[tuple[int, ...]]
) -> None:
    with torch.device("meta"):
        for network in (InfoMaxConv(), InfoMaxConv.model_validate({"column": column})):
            parts = network.encoder(image(*shape), 40), network.decoder(image(*shape), 20)
            assert weights(parts[0]) == encoder
            assert weights(parts[1]) == decoder
    leaky = [isinstance(layer, nn.LeakyReLU) for layer in parts[0].modules()]
    assert sum(leaky) == (4 if column == "celeba" else 0)
    assert not any(isinstance(layer, nn.BatchNorm2d) for part in parts for layer in part.modules())


@pytest.mark.parametrize(("side", "sizes"), [(28, [2, 4, 7, 14, 28]), (32, [2, 4, 8, 16, 32]), (9, [1, 2, 3, 5, 9])])
def test_infomax_conv_doubles_to_the_sizes_of_the_halved_image(side: int, sizes: list[int]) -> None:
    x, seen = torch.zeros(1, 2), []
    for layer in InfoMaxConv(column="mnist").decoder(image(1, side, side), 2).children():
        x = layer(x)
        if isinstance(layer, Crop):
            seen.append(x.shape[-1])
    assert seen == sizes


def test_a_gated_layer_is_a_product_with_a_sigmoid() -> None:
    torch.manual_seed(0)
    dense, conv = gated_dense(3, 4), gated_conv(2, 5, 3, halve=True)
    x, images = torch.randn(6, 3), torch.randn(6, 2, 7, 4)
    value, gate = dense[0](x).split(4, 1)
    torch.testing.assert_close(dense(x), value / (1 + torch.exp(-gate)))
    value, gate = conv[0](images).split(5, 1)
    torch.testing.assert_close(conv(images), value / (1 + torch.exp(-gate)))
    assert conv(images).shape == (6, 5, 4, 2)


def test_gated_conv_has_the_layers_of_convhvae() -> None:
    spec = image(1, 28, 28)
    with torch.device("meta"):
        encoder, decoder = weights(GatedConv().encoder(spec, 80)), weights(GatedConv().decoder(spec, 40))
    convolutions = [(64, 1, 7, 7), (64, 32, 3, 3), (128, 32, 5, 5), (128, 64, 3, 3), (12, 64, 3, 3)]
    assert encoder == [*convolutions, (80, 294)]  # twice the maps, for the gates
    images = [(128, 1, 3, 3), *[(128, 64, 3, 3)] * 3, (1, 64, 1, 1)]
    assert decoder == [(600, 40), (600, 300), (1568, 300), *images]


def test_pixelcnn_has_the_layers_of_pixelhvae() -> None:
    spec = image(1, 28, 28)
    with torch.device("meta"):
        network = PixelCNN()
        decoder: Any = network.decoder(spec, 40)
        assert weights(network.encoder(spec, 80)) == weights(GatedConv().encoder(spec, 80))
    assert weights(decoder.layers) == [(64, 1, 2, 3), *[(64, 64, 2, 3)] * 7]
    assert weights(decoder.code) == [(1568, 40), (64, 1, 3, 3)]
    assert weights(decoder.last) == [(1, 64, 1, 1)]
    assert all(layer.bias is None for layer in decoder.layers)


def test_pixelcnn_wants_a_map_for_each_colour() -> None:
    with pytest.raises(UserError, match=r"--channels 2: the image has 3"):
        PixelCNN(channels=2).decoder(image(3, 8, 8), 2)


@pytest.mark.parametrize(("side", "stages"), [(28, 3), (32, 3), (64, 4), (8, 1), (4, 0), (9, 2)])
def test_resnet_halves_to_sides_of_four(side: int, stages: int) -> None:
    spec = image(3, side, side)
    with torch.device("meta"):
        encoder, decoder = ResNet(width=2, blocks=2).encoder(spec, 7), ResNet(width=2, blocks=2).decoder(spec, 7)
    blocks = [sum(isinstance(layer, ResidualBlock) for layer in part.modules()) for part in (encoder, decoder)]
    assert blocks == [2 * stages, 2 * stages]
    smallest = -(-side // 2**stages)
    assert weights(encoder)[-1] == (7, 2 * 2**stages * smallest**2)
    assert weights(decoder)[0] == (2 * 2**stages * smallest**2, 7)


def test_a_residual_block_adds_to_its_input() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 7, 6)
    block: Any = ResidualBlock(3, 3).eval()
    nn.init.zeros_(block.residual[-1].weight)
    assert torch.equal(block(x), x)
    block = ResidualBlock(3, 5, stride=2).eval()
    nn.init.zeros_(block.residual[-1].weight)
    expected = torch.einsum("oc,bchw->bohw", block.shortcut.weight[:, :, 0, 0], x[:, :, ::2, ::2])
    torch.testing.assert_close(block(x), expected)
