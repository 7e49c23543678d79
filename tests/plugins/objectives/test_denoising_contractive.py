"""The denoising and the contractive autoencoder."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.model import Autoencoder
from dimecli.plugin import Network
from dimecli_plugins.networks.grammar_conv_gru import GrammarConvGru
from dimecli_plugins.networks.grammar_transformer import GrammarTransformer
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.ae import AE
from dimecli_plugins.objectives.contractive_ae import ContractiveAE
from dimecli_plugins.objectives.denoising_ae import DenoisingAE

DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 4, 4), (3, 5, 2)]
NETWORK = MLP(widths=(8,), activation="tanh")
SENTENCES = Spec(
    modality="sentence", shape=(4,), likelihood=Productions(grammar="%max_len 4\nS -> S 'x' | S 'y' | 'x' | 'y'")
)
SYMBOLS = 5  # 4 productions and the padding


def image_spec(shape: tuple[int, ...]) -> Spec:
    return Spec(modality="image", shape=shape, likelihood=Gaussian(bounded=True))


def images(shape: tuple[int, ...], dtype: torch.dtype, count: int = 6) -> torch.Tensor:
    return 0.1 + 0.9 * torch.rand(count, *shape, generator=rng(), dtype=dtype)


def derivations() -> torch.Tensor:
    grammar = SENTENCES.likelihood.compiled  # type: ignore[union-attr]
    return torch.cat([torch.from_numpy(grammar.enumerate(length)) for length in range(1, 5)])


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


class Listening(nn.Module):
    """Keeps what the encoder is given."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: torch.Tensor) -> Any:
        self.heard = x
        return self.encoder(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [{}, {"fraction": 1.0}, {"corruption": "gaussian", "sigma": 0.5}])
def test_denoising_compares_the_clean_data_with_the_decoded_corrupted(
    options: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    objective = DenoisingAE(latent_size=3, **options)
    model = objective.build(image_spec(shape), NETWORK).to(dtype)
    model.encoder = listening = Listening(model.encoder)
    x = images(shape, dtype)
    loss = objective.loss(model, x, rng()).total.item()
    assert listening.heard.dtype == dtype
    assert not torch.equal(listening.heard, x)
    decoded = model.decoder(model.encoder(listening.heard))
    assert loss == pytest.approx((decoded - x).square().sum().item() / 6, rel=1e-5)


@pytest.mark.parametrize("options", [{"fraction": 0.0}, {"corruption": "gaussian", "sigma": 0.0}])
def test_denoising_without_corruption_is_the_autoencoder(options: dict[str, Any]) -> None:
    objective = DenoisingAE(latent_size=3, **options)
    model = objective.build(image_spec((1, 4, 4)), NETWORK)
    x = images((1, 4, 4), torch.float32)
    assert objective.loss(model, x, rng()).total == AE().loss(model, x, rng()).total


def test_denoising_validates_with_the_same_corruption_each_time() -> None:
    objective = DenoisingAE(latent_size=3)
    model = objective.build(image_spec((1, 4, 4)), NETWORK).eval()
    x = images((1, 4, 4), torch.float32)
    assert objective.loss(model, x, rng()).total == objective.loss(model, x, rng()).total
    assert objective.loss(model, x, rng()).total != AE().loss(model, x, rng()).total


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_mask_sets_that_part_of_the_elements_to_zero_and_no_other(fraction: float) -> None:
    x = images((10_000,), torch.float64, count=10)
    corrupted = DenoisingAE(fraction=fraction).corrupt(image_spec((1, 100, 100)), x, rng())
    hit = corrupted == 0
    assert torch.equal(corrupted[~hit], x[~hit])
    error = math.sqrt(fraction * (1 - fraction) / x.numel())
    assert hit.double().mean().item() == pytest.approx(fraction, abs=4 * error)


def test_mask_replaces_that_part_of_the_symbols_by_uniform_ones() -> None:
    fraction = 0.4
    x = derivations().repeat(300, 1)
    corrupted = DenoisingAE(fraction=fraction).corrupt(SENTENCES, x, rng())
    assert corrupted.dtype == x.dtype
    one_hot = nn.functional.one_hot(corrupted.long(), SYMBOLS).double()
    for symbol in range(SYMBOLS):
        found = one_hot[x == symbol]
        expected = torch.full((SYMBOLS,), fraction / SYMBOLS, dtype=torch.float64)
        expected[symbol] += 1 - fraction  # a drawn symbol may be the same
        assert (found.mean(0) - expected).abs().max() < 4 * 0.5 / math.sqrt(len(found))


def test_denoising_refuses_gaussian_noise_on_symbols() -> None:
    with pytest.raises(UserError, match="--corruption gaussian: symbols"):
        DenoisingAE(corruption="gaussian").build(SENTENCES, GrammarConvGru())


def matrix_model(draw: torch.Generator) -> tuple[Autoencoder, torch.Tensor, torch.Tensor]:
    """z = V x and D(z) = W z, in 6 and 3 dimensions; the model, V and W."""
    encoder, decoder = nn.Linear(6, 3, bias=False), nn.Linear(3, 6, bias=False)
    for layer in (encoder, decoder):
        layer.weight.data = torch.randn(layer.weight.shape, generator=draw, dtype=torch.float64)
    spec = Spec(modality="vector", shape=(6,), likelihood=Gaussian())
    return Autoencoder(spec, encoder, decoder, 3), encoder.weight.detach(), decoder.weight.detach()


def test_denoising_with_gaussian_noise_on_a_linear_model_adds_its_squared_matrix() -> None:
    """E|x - W V (x + sigma e)|^2 = |x - W V x|^2 + sigma^2 |W V|_F^2 (Bishop 1995)."""
    model, encoder, decoder = matrix_model(rng())
    x = torch.randn(1, 6, generator=rng(), dtype=torch.float64)
    product = decoder @ encoder
    expected = (x - x @ product.T).square().sum() + 0.25 * product.square().sum()
    many = x.expand(200_000, -1)
    loss = DenoisingAE(corruption="gaussian", sigma=0.5).loss(model, many, rng()).total
    assert loss.item() == pytest.approx(expected.item(), rel=0.01)  # 0.003 is one standard error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_contraction_with_a_probe_per_code_is_the_jacobian_of_autograd(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    objective = ContractiveAE(latent_size=3, lam=0.7, probes=3)
    model = objective.build(image_spec(shape), NETWORK).to(dtype)
    x = images(shape, dtype)
    rows = [torch.autograd.functional.jacobian(model.encoder, row[None], create_graph=True) for row in x]
    exact = 0.7 * torch.stack([row.square().sum() for row in rows]).mean()
    terms = objective.loss(model, x, rng()).terms
    torch.testing.assert_close(terms["contraction"], exact)
    error = (model.decoder(model.encoder(x)) - x).square().sum() / 6
    torch.testing.assert_close(terms["reconstruction"], error)
    weights = [model.encoder[1].weight, model.encoder[1].bias, model.encoder[3].weight]  # type: ignore[index]
    ours, theirs = (torch.autograd.grad(term, weights) for term in (terms["contraction"], exact))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(objective.loss(model, x, rng()).terms["contraction"], exact.detach())


def test_contraction_with_one_probe_is_unbiased() -> None:
    model, encoder, _ = matrix_model(rng())
    x = torch.randn(20_000, 6, generator=rng(), dtype=torch.float64)
    contraction = ContractiveAE(latent_size=3, lam=1.0).loss(model, x, rng()).terms["contraction"]
    assert contraction.item() == pytest.approx(encoder.square().sum().item(), rel=0.02)  # 0.005 is one standard error


@pytest.mark.parametrize(
    "network",
    [GrammarTransformer(width=16), GrammarTransformer(width=16, autoregressive=True), GrammarConvGru(sizes="paper")],
    ids=["transformer", "autoregressive", "gru"],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_contraction_of_sentences_is_by_their_one_hot_weights(network: Network, dtype: torch.dtype) -> None:
    objective = ContractiveAE(latent_size=3, lam=1.0, probes=3)
    torch.manual_seed(0)
    model = objective.build(SENTENCES, network).to(dtype).eval()
    x = derivations()[-5:]  # without padding, at which attention has no derivative
    weights = nn.functional.one_hot(x.long(), SYMBOLS).to(dtype)
    step = 1e-5
    double = ContractiveAE(latent_size=3).build(SENTENCES, network).eval()
    double.load_state_dict(model.state_dict())
    double.double()
    differences = [
        (double.encode(weights.double() + move) - double.encode(weights.double() - move)) / (2 * step)
        for move in step * torch.eye(4 * SYMBOLS, dtype=torch.float64).view(-1, 1, 4, SYMBOLS)
    ]
    expected = torch.stack(differences).square().sum((0, 2)).mean()
    contraction = objective.loss(model, x, rng()).terms["contraction"]
    assert contraction.item() == pytest.approx(expected.item(), rel=1e-4)
