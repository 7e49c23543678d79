from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dimecli.data.likelihood import Bernoulli, Gaussian, Likelihood
from dimecli.data.logistic import Logistic
from dimecli.nn.masked import MaskedConv2d, PixelCNNDecoder

LIKELIHOODS = {
    "bernoulli": Bernoulli(),
    "gaussian": Gaussian(bounded=True),
    "learned": Gaussian(noise="learned"),
    "predicted": Gaussian(noise="predicted"),
    "logistic": Logistic(noise="learned"),
}


def decoder(
    shape: tuple[int, ...],
    likelihood: Likelihood,
    channels: int = 9,
    layers: int = 3,
    dtype: torch.dtype = torch.float64,
) -> PixelCNNDecoder:
    """A decoder of 2 codes with random weights, whose batch norms have seen some data, in eval mode."""
    torch.manual_seed(0)
    net = PixelCNNDecoder(shape, likelihood.parameters(shape), 2, channels, layers, likelihood.output()).to(dtype)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    norm: Any
    for norm in net.norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    assert net.last.bias is not None
    torch.nn.init.zeros_(net.last.bias)
    for _ in range(20):
        net(torch.randn(8, 2, dtype=dtype), torch.rand(8, *shape, dtype=dtype))
    return net.eval()


@pytest.mark.parametrize("current", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("colours", [1, 3])
def test_masked_convolution_is_a_sum_over_what_comes_before(current: bool, kernel: int, colours: int) -> None:
    torch.manual_seed(0)
    conv = MaskedConv2d(4, 6, kernel, colours, current, bias=True).double()
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64)
    reach = kernel // 2
    expected = torch.zeros(2, 6, 3, 4, dtype=torch.float64)
    for source, target, row, column in itertools.product(range(4), range(6), range(3), range(4)):
        for up, right in itertools.product(range(reach + 1), range(-reach, reach + 1)):
            same_pixel = up == right == 0
            before = up > 0 or right < 0
            earlier = source % colours < target % colours or (current and source % colours == target % colours)
            inside = row - up >= 0 and 0 <= column + right < 4
            if inside and (before or (same_pixel and earlier)):
                weight = conv.weight[target, source, reach - up, reach + right]
                expected[:, target, row, column] += weight * x[:, source, row - up, column + right]
    assert conv.bias is not None
    torch.testing.assert_close(conv(x), expected + conv.bias[:, None, None])


def test_a_masked_convolution_leaves_its_weights_alone() -> None:
    torch.manual_seed(0)
    conv = MaskedConv2d(3, 3, 3, 3, current=False)
    before = conv.weight.detach().clone()
    conv(torch.randn(2, 3, 4, 4)).square().sum().backward()
    assert torch.equal(conv.weight, before)
    assert conv.weight.grad is not None
    assert torch.equal(conv.weight.grad != 0, conv.mask != 0)
    assert list(conv.state_dict()) == ["weight"]


@pytest.mark.parametrize("name", ["bernoulli", "predicted"])
@pytest.mark.parametrize(("shape", "layers"), [((1, 5, 6), 2), ((1, 4, 9), 3), ((3, 3, 4), 2), ((2, 1, 1), 1)])
def test_parameters_depend_on_earlier_pixels_in_reach_and_on_no_other(
    shape: tuple[int, ...], layers: int, name: str
) -> None:
    colours, height, width = shape
    net = decoder(shape, LIKELIHOODS[name], layers=layers)
    z, x = torch.randn(24, 2, dtype=torch.float64), torch.rand(24, *shape, dtype=torch.float64)
    pixels = list(itertools.product(range(height), range(width), range(colours)))
    for row, column, colour in pixels:
        x.requires_grad_(True)
        parameters = net(z, x).unflatten(1, (-1, colours))[:, :, colour, row, column]  # (B, 1 or 2)
        for parameter in parameters.T:
            (gradient,) = torch.autograd.grad(parameter.sum(), x, retain_graph=True)
            for other in pixels:
                up, right = row - other[0], other[1] - column
                if up == right == 0:
                    expected = other[2] < colour
                elif up == 0:
                    expected = -layers <= right < 0
                else:
                    expected = 0 < up <= layers and -layers <= right <= up
                seen = bool(gradient[:, other[2], other[0], other[1]].any())
                assert seen == expected, f"{(row, column, colour)} of {other}"


def test_every_pixel_sees_the_code_around_it() -> None:
    shape = (1, 4, 4)
    net = decoder(shape, Bernoulli(), layers=1)
    x, maps = torch.zeros(8, *shape, dtype=torch.float64), torch.randn(8, *shape, dtype=torch.float64)
    maps.requires_grad_()
    net.code = net.code[2:]  # without the layers that make maps of the code
    seen = torch.zeros(4, 4, 4, 4, dtype=torch.bool)
    for row, column in itertools.product(range(4), range(4)):
        (gradient,) = torch.autograd.grad(net(maps, x)[:, 0, row, column].sum(), maps)
        seen[row, column] = gradient[:, 0].any(0)
    for row, column, of_row, of_column in itertools.product(range(4), repeat=4):
        assert seen[row, column, of_row, of_column] == (abs(row - of_row) <= 1 and abs(column - of_column) <= 1)


def generate_by_full_passes(
    net: PixelCNNDecoder, z: torch.Tensor, likelihood: Likelihood, rng: torch.Generator | None
) -> torch.Tensor:
    """Images of whole passes, of which each gives one colour of one pixel."""
    colours, height, width = net.shape
    x = torch.zeros(len(z), *net.shape, dtype=z.dtype)
    for row, column, colour in itertools.product(range(height), range(width), range(colours)):
        parameters = net(z, x)[:, :, row : row + 1, column : column + 1]
        drawn = likelihood.estimate(parameters) if rng is None else likelihood.sample(parameters, rng)
        if rng is None and isinstance(likelihood, Bernoulli):
            drawn = (drawn > 0.5).to(z)
        x[:, colour, row, column] = drawn[:, colour, 0, 0]
    return x


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("shape", [(1, 6, 5), (3, 3, 4), (2, 1, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("draw", [False, True])
def test_generation_from_kept_rows_is_that_of_full_passes(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, draw: bool
) -> None:
    likelihood = LIKELIHOODS[name]
    net = decoder(shape, likelihood, dtype=dtype)
    z = torch.randn(4, 2, dtype=dtype)
    rngs = [torch.Generator().manual_seed(0) if draw else None for _ in range(2)]
    with torch.no_grad():
        expected = generate_by_full_passes(net, z, likelihood, rngs[0])
    generated = net.generate(z, likelihood, rngs[1], True)
    assert generated.dtype == dtype
    assert not generated.requires_grad
    torch.testing.assert_close(generated, expected, rtol=1e-4, atol=1e-5)
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    rng = torch.Generator().manual_seed(0) if draw else None
    assert torch.equal(net.generate(z, likelihood, rng, True), generated)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_greedy_bernoulli_pixels_are_fed_back_as_zeros_and_ones() -> None:
    net = decoder((1, 4, 4), Bernoulli())
    z = 3 * torch.randn(16, 2, dtype=torch.float64)
    assert net.last.bias is not None
    net.last.bias.data -= net(z, torch.rand(16, 1, 4, 4, dtype=torch.float64)).mean()
    x = net.generate(z, Bernoulli(), None, True)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(x, (net(z, x) > 0).double())  # each is the more probable one given those before


def binary_images(shape: tuple[int, ...]) -> Iterator[torch.Tensor]:
    colours, height, width = shape
    for bits in itertools.product((0.0, 1.0), repeat=colours * height * width):
        yield torch.tensor(bits, dtype=torch.float64).reshape(shape)


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 1, 2), (2, 2, 2)])
def test_probabilities_of_all_images_sum_to_one(shape: tuple[int, ...]) -> None:
    net, likelihood = decoder(shape, Bernoulli()), Bernoulli()
    x = torch.stack(list(binary_images(shape)))
    for z in torch.randn(2, 2, dtype=torch.float64):
        nll = likelihood.nll(net(z.expand(len(x), 2), x), x)
        assert torch.exp(-nll).sum().item() == pytest.approx(1, abs=1e-12)


def test_draws_have_the_law_that_nll_is_of() -> None:
    shape, count, likelihood = (2, 2, 1), 40_000, Bernoulli()
    net = decoder(shape, likelihood)
    z = torch.tensor([[0.3, -1.0]], dtype=torch.float64)
    x = torch.stack(list(binary_images(shape)))
    probabilities = torch.exp(-likelihood.nll(net(z.expand(len(x), 2), x), x))
    drawn = net.generate(z.expand(count, 2), likelihood, torch.Generator().manual_seed(0), False)
    frequencies = torch.stack([(drawn == image).flatten(1).all(1).double().mean() for image in x])
    errors = (probabilities * (1 - probabilities) / count).sqrt()
    assert ((frequencies - probabilities).abs() < 4 * errors + 1e-9).all()
    assert (probabilities > 0.01).sum() > 4  # it is no single image


def test_the_code_reaches_the_loss_and_every_weight() -> None:
    net = decoder((3, 4, 5), Bernoulli(), channels=7).train()
    z = torch.randn(16, 2, dtype=torch.float64, requires_grad=True)
    F.softplus(net(z, torch.rand(16, 3, 4, 5, dtype=torch.float64))).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().min() > 0
    weight: Any
    for name, weight in net.named_parameters():
        assert weight.grad.abs().max() > 1e-6, name
