from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dimecli.nn.sequence import GruDecoder, OneHot, Repeat, Steps, conv_encoder
from dimecli.nn.transformer import AutoregressiveTransformer, Block, TransformerDecoder, TransformerEncoder

STEPS, SYMBOLS, PAD = 7, 5, 4
DTYPES = [torch.float32, torch.float64]


def rows(n: int, steps: int = STEPS) -> torch.Tensor:
    """`(n, steps)` int16 ids whose tails are padding, at least one symbol each."""
    ids = torch.randint(0, PAD, (n, steps))
    lengths = torch.randint(1, steps + 1, (n, 1))
    return ids.masked_fill(torch.arange(steps) >= lengths, PAD).short()


def encoders(steps: int, symbols: int, features: int) -> dict[str, nn.Module]:
    return {
        "conv": conv_encoder(steps, symbols, features, (6, 5, 4), (2, 3, 4), 8),
        "transformer": TransformerEncoder(steps, symbols, features, 16, 2),
    }


def decoders(latent_size: int, steps: int, symbols: int) -> dict[str, nn.Module]:
    return {
        "gru": GruDecoder(Steps(latent_size, steps, 8), 8, symbols, 6, 2),
        "gru-repeat": GruDecoder(Repeat(latent_size, steps), latent_size, symbols, 6, 3),
        "transformer": TransformerDecoder(latent_size, steps, symbols, 16, 2),
        "autoregressive": AutoregressiveTransformer(latent_size, steps, symbols, 16, 2),
    }


def logits(decoder: nn.Module, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = decoder(z, x) if isinstance(decoder, AutoregressiveTransformer) else decoder(z)
    return out


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_one_hot_is_torchs(dtype: torch.dtype) -> None:
    ids = torch.randint(0, 6, (3, 4), dtype=dtype)
    assert torch.equal(OneHot(6)(ids), F.one_hot(ids.long(), 6).float())


def test_one_hot_passes_weights_and_their_gradient() -> None:
    weights = torch.rand(3, 4, 6, dtype=torch.float64, requires_grad=True)
    assert OneHot(6)(weights) is weights


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_has_the_networks_precision_and_no_state(dtype: torch.dtype) -> None:
    module = OneHot(6).to(dtype)
    assert module(torch.zeros(2, dtype=torch.int16)).dtype == dtype
    assert not module.state_dict()


@pytest.mark.parametrize("name", ["conv", "transformer"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [1, 2, 5, 9, 40])
def test_encoders_take_any_length(name: str, dtype: torch.dtype, steps: int) -> None:
    torch.manual_seed(0)
    encoder = encoders(steps, SYMBOLS, 3)[name].to(dtype)
    codes = encoder(rows(8, steps))
    assert codes.shape == (8, 3)
    assert codes.dtype == dtype
    assert codes.isfinite().all()


@pytest.mark.parametrize("name", ["gru", "gru-repeat", "transformer", "autoregressive"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("symbols", [2, 12])
def test_decoders_take_any_length_and_alphabet(name: str, dtype: torch.dtype, steps: int, symbols: int) -> None:
    torch.manual_seed(0)
    decoder = decoders(3, steps, symbols)[name].to(dtype)
    out = logits(decoder, torch.randn(8, 3, dtype=dtype), torch.randint(0, symbols, (8, steps), dtype=torch.int16))
    assert out.shape == (8, steps, symbols)
    assert out.dtype == dtype


@pytest.mark.parametrize("name", ["conv", "transformer"])
def test_encoders_take_weights_in_place_of_ids(name: str) -> None:
    torch.manual_seed(0)
    encoder = encoders(STEPS, SYMBOLS, 3)[name].double().eval()
    x = rows(16)
    weights = F.one_hot(x.long(), SYMBOLS).double().requires_grad_()
    codes = encoder(weights)
    torch.testing.assert_close(codes, encoder(x))
    codes.square().sum().backward()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()
    assert weights.grad.abs().amax((0, 1)).min() > 0  # through every symbol, the padding included


@pytest.mark.parametrize("name", ["conv", "transformer"])
def test_gradients_of_weights_are_right(name: str) -> None:
    torch.manual_seed(0)
    encoder = encoders(4, 3, 2)[name].double().eval()
    weights = torch.rand(2, 4, 3, dtype=torch.float64).softmax(2).requires_grad_()
    assert torch.autograd.gradcheck(encoder, weights)
    assert torch.autograd.gradgradcheck(encoder, weights)  # contractive penalties


def test_conv_encoder_is_grammar_vaes() -> None:
    torch.manual_seed(0)
    encoder = conv_encoder(15, 12, 25, (2, 3, 4), (2, 3, 4), 100)
    kinds = [type(layer).__name__ for layer in encoder][2:]
    assert kinds == [*["Conv1d", "ReLU", "BatchNorm1d"] * 3, "Flatten", "Linear", "ReLU", "Linear"]
    shapes = [tuple(p.shape) for p in encoder.parameters() if p.dim() > 1]
    assert shapes == [(2, 12, 2), (3, 2, 3), (4, 3, 4), (100, 36), (25, 100)]


def test_convolutions_run_over_steps() -> None:
    torch.manual_seed(0)
    encoder = conv_encoder(3, 5, 2, (4,), (2,), 8)
    x = rows(6, 3)
    one_hot = F.one_hot(x.long(), 5).float()
    conv = encoder[2]
    assert isinstance(conv, nn.Conv1d)
    assert conv.bias is not None
    pairs = torch.stack([one_hot[:, :2], one_hot[:, 1:]], -1)  # (B, 2, 5, kernel)
    expected = torch.einsum("btck,ock->bot", pairs, conv.weight) + conv.bias[:, None]
    torch.testing.assert_close(encoder[:3](x), expected)


def test_padding_is_hidden_from_attention() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(STEPS, SYMBOLS, 3, 16, 2).double()
    x = torch.tensor([[0, 1, 2, PAD, PAD, PAD, PAD]])
    before = encoder(x)
    with torch.no_grad():  # not by a constant, to which layer norms are blind
        encoder.embedding.weight[:, PAD] += torch.randn(16)
        encoder.positions[3:] += torch.randn(4, 16)
    torch.testing.assert_close(encoder(x), before)
    with torch.no_grad():
        encoder.positions[2] += torch.randn(16)
    assert not torch.allclose(encoder(x), before)


def test_a_row_of_padding_is_finite() -> None:
    x = torch.full((2, STEPS), PAD, dtype=torch.int16)
    assert TransformerEncoder(STEPS, SYMBOLS, 3, 16, 1)(x).isfinite().all()


def test_encoder_looks_in_both_directions() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(STEPS, SYMBOLS, STEPS * 16, 16, 1).double()
    with torch.no_grad():
        encoder.output.weight.copy_(torch.eye(STEPS * 16))
    weights = F.one_hot(torch.randint(0, PAD, (1, STEPS)), SYMBOLS).double()

    def states(weights: torch.Tensor) -> torch.Tensor:
        encoded: torch.Tensor = encoder(weights)
        return encoded.view(STEPS, 16).square().sum(1)  # a norm's sum is constant

    influence = torch.autograd.functional.jacobian(states, weights).abs().sum((1, 3))  # (T, T)
    assert influence.min() > 0


def test_decoder_looks_in_both_directions() -> None:
    torch.manual_seed(0)
    decoder = TransformerDecoder(3, STEPS, SYMBOLS, 16, 1).double()
    z = torch.randn(1, 3, dtype=torch.float64)
    before = decoder(z)
    for step in range(STEPS):
        other = copy.deepcopy(decoder)
        with torch.no_grad():
            other.steps.linear.bias.view(STEPS, 16)[step] += torch.randn(16)
        assert ((other(z) - before).abs().amax((0, 2)) > 1e-9).all()


def test_repeat_normalises_over_the_batch() -> None:
    torch.manual_seed(0)
    start, z = Repeat(3, 4).double(), torch.randn(64, 3, dtype=torch.float64)
    hidden = start(z)
    assert torch.equal(hidden, hidden[:, :1].expand(-1, 4, -1))
    torch.testing.assert_close(start(100 * z + 7), hidden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changed", range(STEPS))
def test_autoregressive_logits_depend_on_what_came_before_only(changed: int) -> None:
    torch.manual_seed(0)
    decoder = AutoregressiveTransformer(3, STEPS, SYMBOLS, 16, 2).double()
    z, x = torch.randn(4, 3, dtype=torch.float64), torch.randint(0, SYMBOLS, (4, STEPS))
    other = x.clone()
    other[:, changed] = (x[:, changed] + 1) % SYMBOLS
    differs = (decoder(z, x) - decoder(z, other)).abs().amax((0, 2)) > 1e-12  # (T,)
    assert differs.tolist() == [step > changed for step in range(STEPS)]


def test_steps_of_a_block_are_its_causal_pass() -> None:
    torch.manual_seed(0)
    block, h = Block(32).double(), torch.randn(3, 6, 32, dtype=torch.float64)
    cache, steps = None, []
    for step in h.split(1, 1):
        out, cache = block.step(step, cache)
        steps.append(out)
    torch.testing.assert_close(torch.cat(steps, 1), block(h, causal=True))


@pytest.mark.parametrize("name", ["gru", "gru-repeat", "transformer", "autoregressive"])
def test_decoders_depend_on_the_code_at_every_step(name: str) -> None:
    torch.manual_seed(0)
    decoder = decoders(3, STEPS, SYMBOLS)[name].double().eval()
    x = torch.randint(0, SYMBOLS, (1, STEPS))
    z = torch.randn(2, 3, dtype=torch.float64)
    first, second = logits(decoder, z, x.expand(2, -1)).unbind()
    assert (first - second).abs().amax(1).min() > 1e-6
