"""The RAE family against its equations written out, and against what its authors' code computes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.model import Autoencoder
from dimecli.plugin import Network, Objective
from dimecli_plugins.networks.grammar_conv_gru import GrammarConvGru
from dimecli_plugins.networks.grammar_transformer import GrammarTransformer
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.networks.rae_conv import RaeConv
from dimecli_plugins.objectives.rae import RAE
from dimecli_plugins.objectives.rae_gp import RAEGP
from dimecli_plugins.objectives.rae_l2 import RAEL2
from dimecli_plugins.objectives.rae_sn import RAESN

DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 4, 4), (3, 5, 2)]
FAMILY: list[type[Objective]] = [RAE, RAEGP, RAEL2, RAESN]
SENTENCES = Spec(
    modality="sentence", shape=(4,), likelihood=Productions(grammar="%max_len 4\nS -> S 'x' | S 'y' | 'x' | 'y'")
)


def image_spec(shape: tuple[int, ...]) -> Spec:
    return Spec(modality="image", shape=shape, likelihood=Gaussian(bounded=True))


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def built(
    objective: Objective, shape: tuple[int, ...], dtype: torch.dtype = torch.float64, network: Network | None = None
) -> tuple[Any, torch.Tensor]:
    """A model and a batch of 6 images."""
    torch.manual_seed(0)
    model = objective.build(image_spec(shape), network or MLP(widths=(8,), activation="tanh")).to(dtype)
    return model, torch.rand(6, *shape, generator=rng(), dtype=dtype)


def sums(model: Autoencoder, x: torch.Tensor) -> tuple[float, float]:
    """The squared error and half the squared codes, of a sample."""
    z = model.encoder(x)
    error = torch.linalg.vector_norm((model.decoder(z) - x).flatten(1), dim=1)
    return (error**2).mean().item(), (torch.linalg.vector_norm(z, dim=1) ** 2).mean().item() / 2


def values(objective: Objective, model: Autoencoder, x: torch.Tensor) -> dict[str, float]:
    return {name: term.item() for name, term in objective.loss(model, x, rng()).terms.items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("make", FAMILY)
def test_all_have_eq_15(make: type[Objective], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    options = {"latent_size": 3, "beta": 0.7}
    model, x = built(make(**options), shape, dtype)
    model.eval()
    error, half = sums(model, x)
    for reduction, elements in {"sum": 1, "mean": x[0].numel()}.items():
        terms = values(make(**options, reduction=reduction), model, x)
        assert terms["reconstruction"] == pytest.approx(error / elements, rel=1e-5)
        assert terms["embedding"] == pytest.approx(0.7 * half, rel=1e-5)


AUTHORS = {  # the weights beta and lambda of the RAE paper's code, its image and latent sizes
    "rae-mnist": {RAE: (5e-4, 0.0), RAEL2: (1e-4, 1e-7), RAEGP: (1e-4, 5e-8), RAESN: (9e-3, 0.0)},
    "rae-cifar10": {RAE: (1e-2, 0.0), RAEL2: (1e-3, 1e-6), RAEGP: (9e-4, 0.0), RAESN: (3e-2, 0.0)},
    "rae-celeba": {RAE: (1e-4, 0.0), RAEL2: (1e-4, 1e-7), RAEGP: (1e-4, 1e-7), RAESN: (2.4e-3, 0.0)},
}
SIZES = {"rae-mnist": ((1, 32, 32), 16), "rae-cifar10": ((3, 32, 32), 128), "rae-celeba": ((3, 64, 64), 64)}


@pytest.mark.parametrize(("preset", "make"), list(itertools.product(AUTHORS, FAMILY)))
def test_presets_are_the_loss_of_the_authors_code_times_the_number_of_pixels(
    preset: str, make: type[Objective]
) -> None:
    shape, size = SIZES[preset]
    objective = make.model_validate(make.presets[preset]["objective"])
    assert objective.latent_size == size
    model, x = built(objective, shape, network=MLP(widths=(3,), activation="tanh"))
    model.eval()  # keeps the estimates of the singular values
    beta, lam = AUTHORS[preset][make]
    z = model.encoder(x)
    image = model.decoder(z)
    loss = (image - x).square().mean() + beta * z.square().mean()
    if make is RAEL2:
        loss = loss + lam * sum(layer.weight.square().sum() for layer in (model.decoder[0], model.decoder[2]))
    if make is RAEGP:
        (gradient,) = torch.autograd.grad(image.square().sum(), z, retain_graph=True)
        loss = loss + lam * gradient.square().mean()
    assert objective.loss(model, x, rng()).total.item() == pytest.approx(loss.item() * x[0].numel(), rel=1e-9)


def test_l2_takes_kernels_and_matrices_of_the_decoder_and_no_biases_norms_or_encoder() -> None:
    objective = RAEL2(latent_size=3, lam=2.0)
    model, x = built(objective, (1, 32, 32), network=RaeConv(width=1 / 128))
    expected = 0.0
    for layer in model.decoder.modules():
        if isinstance(layer, (nn.Linear, nn.ConvTranspose2d)):
            expected += 2 * sum(weight**2 for weight in layer.weight.flatten().tolist())
    assert values(objective, model, x)["weights"] == pytest.approx(expected, rel=1e-9)
    objective.loss(model, x, rng()).terms["weights"].backward()
    reached = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert reached == {f"decoder.{number}.weight" for number in (0, 4, 7, 10)}  # 2, 5 and 8 are norms


def test_l2_gradients_are_those_of_the_loss_written_out_and_not_doubled() -> None:
    objective = RAEL2(latent_size=3, beta=0.5, lam=0.1)
    model, x = built(objective, (1, 4, 4))
    objective.loss(model, x, rng()).total.backward()
    weights = dict(model.named_parameters())
    z = model.encoder(x)
    written = ((model.decoder(z) - x) ** 2).sum() / 6 + 0.5 * (z**2).sum() / 12
    for name in ("decoder.0.weight", "decoder.2.weight"):
        written = written + 0.1 * (weights[name] ** 2).sum()
    for weight, gradient in zip(weights.values(), torch.autograd.grad(written, tuple(weights.values())), strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_l2_at_table_2_is_the_weight_decay_of_pythae() -> None:
    objective = RAEL2.model_validate(RAEL2.presets["dime-table2"]["objective"])
    model, x = built(objective, (1, 4, 4))
    weight = model.decoder[0].weight
    (gradient,) = torch.autograd.grad(objective.loss(model, x, rng()).terms["weights"], weight)
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    torch.optim.SGD([weight], lr=1.0, weight_decay=1e-4).step()
    torch.testing.assert_close(before - weight, gradient)


def linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_gradient_penalty_is_by_the_code_and_not_by_the_image(scale: float, dtype: torch.dtype) -> None:
    """Of a linear decoder W z + b it is |W|_F^2, whatever the encoder does to the image."""
    draw = rng()
    weight, bias, first = (torch.randn(*size, generator=draw, dtype=dtype) for size in ((6, 3), (6,), (3, 6)))
    spec = Spec(modality="vector", shape=(6,), likelihood=Gaussian())
    model = Autoencoder(spec, linear(scale * first, bias[:3]), linear(weight, bias), 3)
    x = torch.randn(4, 6, generator=draw, dtype=dtype)
    objective = RAEGP(latent_size=3, lam=0.5, probes=6)
    expected = 0.5 * weight.square().sum().item()
    assert values(objective, model, x)["gradient"] == pytest.approx(expected, rel=1e-4)
    with torch.no_grad():
        assert values(objective, model, x)["gradient"] == pytest.approx(expected, rel=1e-4)
    gradient = 2 * model.decoder(model.encoder(x)) @ weight  # of |W z + b|^2
    terms = values(RAEGP(latent_size=3, lam=0.5, compat="authors"), model, x)
    assert terms["gradient"] == pytest.approx(0.5 * gradient.square().sum(1).mean().item(), rel=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_penalty_is_the_jacobian_of_autograd_and_so_are_its_gradients(shape: tuple[int, ...]) -> None:
    objective = RAEGP(latent_size=3, lam=1.0, probes=100)  # more than outputs: exact
    model, x = built(objective, shape)
    weights = [weight for name, weight in model.named_parameters() if name != "decoder.2.bias"]
    z = model.encoder(x)
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(model.decoder, row[None], create_graph=True).flatten() for row in z]
    )
    exact = jacobian.square().sum(1).mean()
    ours = objective.loss(model, x, rng()).terms["gradient"]
    torch.testing.assert_close(ours, exact)
    for one, other in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(exact, weights), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("compat", ["paper", "authors"])
@pytest.mark.parametrize(
    "network",
    [GrammarTransformer(width=16), GrammarTransformer(width=16, autoregressive=True), GrammarConvGru(sizes="paper")],
    ids=["transformer", "autoregressive", "gru"],
)
def test_gradient_penalty_of_sentences_validates_to_what_it_trains(network: Network, compat: str) -> None:
    objective = RAEGP.model_validate({"latent_size": 3, "compat": compat})
    torch.manual_seed(0)
    model = objective.build(SENTENCES, network).eval()
    grammar = SENTENCES.likelihood.compiled  # type: ignore[union-attr]
    x = torch.from_numpy(grammar.enumerate(4))[:5]
    term = objective.loss(model, x, rng()).terms["gradient"]
    term.backward()
    assert term > 0
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.encoder.parameters())
    with torch.no_grad():
        torch.testing.assert_close(objective.loss(model, x, rng()).terms["gradient"], term.detach())


def norms(module: nn.Module) -> dict[str, float]:
    """The largest singular value of every layer's weights, as a matrix of output channels by all else."""
    found = {}
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            weight = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
            found[name] = torch.linalg.svdvals(weight.flatten(1))[0].item()
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compat", ["paper", "authors"])
def test_sn_is_on_the_decoder_only_unless_the_authors_code_is_asked_for(compat: str, dtype: torch.dtype) -> None:
    objective = RAESN.model_validate({"latent_size": 3, "compat": compat})
    model, x = built(objective, (1, 16, 16), dtype, RaeConv(width=1 / 64))
    for _ in range(150):  # each is a step of the power method
        model.decoder(model.encoder(x[:2]))
    assert len(norms(model.decoder)) == 4
    assert list(norms(model.decoder).values()) == pytest.approx([1.0] * 4, abs=1e-3)
    encoder = norms(model.encoder)
    convolutions = [name for name in encoder if isinstance(model.encoder.get_submodule(name), nn.Conv2d)]
    normalised = [name for name in encoder if encoder[name] == pytest.approx(1.0, abs=1e-3)]
    assert len(convolutions) == len(encoder) - 1 == 4
    assert normalised == (convolutions if compat == "authors" else [])


def test_sn_keeps_its_estimates_through_a_file_and_moves_them_only_in_training(tmp_path: Path) -> None:
    objective = RAESN(latent_size=3)
    model, x = built(objective, (1, 4, 4), torch.float32)
    first = values(objective, model, x)
    assert values(objective, model, x) != first
    model.eval()
    kept = values(objective, model, x)
    assert values(objective, model, x) == kept
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.manual_seed(5)
    other = objective.build(model.spec, MLP(widths=(8,), activation="tanh")).eval()
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert values(objective, other, x) == kept
