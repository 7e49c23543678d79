"""What networks promise to do."""

from __future__ import annotations

from typing import Any, get_args

from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples
from dimecli.data.spec import Modality, Spec
from dimecli.errors import UserError
from dimecli.lazy import F, nn, torch
from dimecli.plugin import Network
from dimecli.testing.contract import Contract
from dimecli.testing.expect import check_tensor, expect, seeded
from dimecli.testing.models import check_generated, stirred, unreached
from dimecli.testing.specs import COLOUR, SENTENCE, VECTOR, data

_FEATURES = 5
_USUAL = ((1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 128, 128), (3, 224, 224))
"""Images for networks that take those of one size, and refuse others."""


def check_network(contract: Contract, network: Network) -> None:
    """Encodes and decodes data of each modality that it takes."""
    check_modalities(contract, network.modalities)
    for small in (COLOUR, VECTOR, SENTENCE):
        if small.modality in network.modalities:
            spec = _of_its_size(network, small)
            with contract.section(f"on {spec.modality}s"):
                _check_on(contract, network, spec)
            if isinstance(spec.likelihood, Gaussian):
                _check_noise(contract, network, spec)


def check_modalities(contract: Contract, modalities: frozenset[Modality]) -> None:
    """Checks what a plugin says of the data that it takes."""
    with contract.promise("`modalities` names what it takes"):
        known = get_args(Modality)
        expect(modalities, "it is empty", f"fill it with some of {', '.join(known)}")
        strangers = sorted(modalities.difference(known))
        expect(not strangers, f"it names {strangers}", f"use some of {', '.join(known)}")


def _of_its_size(network: Network, spec: Spec) -> Spec:
    """The spec, or that of larger images where a UserError refuses such small ones."""
    sizes = [spec, *(spec.model_copy(update={"shape": shape}) for shape in _USUAL * (spec.modality == "image"))]
    for sized in sizes:
        try:
            network.encoder(network.prepare(Samples(sized, data(sized, 2))).spec, _FEATURES)
        except UserError:
            continue
        except Exception:
            pass  # the promise says it
        return sized
    return spec


def _check_on(contract: Contract, network: Network, spec: Spec) -> None:
    from dimecli.model import Autoencoder

    with contract.needed("prepare gives samples in the form that it works on"):
        samples: Any = network.prepare(Samples(spec, data(spec, 16)))
        spec, x = samples.spec, samples.x
    with contract.needed(f"encoder(spec, {_FEATURES}) gives {_FEATURES} numbers for each sample"):
        encoder = network.encoder(spec, _FEATURES)
        codes = encoder(x)
        check_tensor(codes, (16, _FEATURES), "its output")
    decoder = _check_decoder(contract, network, spec, codes)
    with contract.needed("the nll of each sample is finite"):
        model = Autoencoder(spec, encoder, decoder, _FEATURES)
        nll = model.nll(x, codes)
        check_tensor(nll, (16,), "nll(x, z)")
    with contract.promise("gradients reach every weight"):
        moved = stirred(model)
        moved.nll(x, moved.encode(x)).sum().backward()
        cure = "use each, undetached, or leave it out"
        expect(not (lost := unreached(moved.named_parameters())), f"none reaches {', '.join(lost)}", cure)
    model.eval()
    if spec.modality == "sentence":
        _check_weights(contract, model, x)
    with torch.no_grad():
        with contract.promise("in eval mode the nll of a sample does not depend on the rest of its batch"):
            one, all_of_them = model.nll(x[:1], model.encode(x[:1])), model.nll(x, model.encode(x))
            same = torch.allclose(one, all_of_them[:1], rtol=1e-3, atol=1e-4)
            expect(same, f"it is {one.item():.6g} alone, and {all_of_them[0]:.6g} in a batch", "treat rows alike")
        check_generated(contract, model, model.encode(x[:3]), x)


def _check_decoder(contract: Contract, network: Network, spec: Spec, z: torch.Tensor) -> nn.Module:
    """The decoder, whose parameters of the likelihood are checked unless they depend on x."""
    from dimecli.model import Autoregressive

    with contract.needed(f"decoder(spec, {_FEATURES}) gives the likelihood's parameters"):
        decoder = network.decoder(spec, _FEATURES)
        if isinstance(decoder, Autoregressive):
            return decoder
        parameters = decoder(z)
        free = torch.zeros(len(z), *spec.likelihood.parameters(spec.shape))
        check_tensor(parameters, tuple(spec.likelihood.output()(free).shape), "its output")
    if spec.modality == "image":
        with contract.promise("means of pixels lie in [0, 1]"):
            means = parameters[:, : spec.shape[0]]
            inside = ((means >= 0) & (means <= 1)).all()
            wrong = f"they lie in [{means.min():.3g}, {means.max():.3g}]"
            expect(inside, wrong, "end the decoder in spec.likelihood.output()")
    return decoder


def _check_noise(contract: Contract, network: Network, spec: Spec) -> None:
    """A decoder has room for a noise that is not fixed, and gives it to the likelihood."""
    from dimecli.model import Autoencoder

    for noise in ("learned", "predicted"):
        noisy = spec.model_copy(update={"likelihood": spec.likelihood.model_copy(update={"noise": noise})})
        with contract.section(f"on {spec.modality}s with {noise} noise"):
            z, x = torch.randn(3, _FEATURES, generator=seeded()), data(noisy, 3)
            decoder = _check_decoder(contract, network, noisy, z)
            with contract.promise("the nll of each sample is finite"):
                model = Autoencoder(noisy, nn.Identity(), decoder, _FEATURES)
                check_tensor(model.nll(x, z), (3,), "nll(x, z)")


def _check_weights(contract: Contract, model: Any, x: torch.Tensor) -> None:
    """Objectives that need the gradient of their input give an encoder weights over the symbols in place of ids."""
    cure = "start with dimecli.nn.sequence.OneHot"
    symbols = model.spec.likelihood.parameters(model.spec.shape)[-1]
    weights = F.one_hot(x.long(), symbols).float().requires_grad_()
    with contract.section():
        with contract.needed("one-hot weights have the codes of the symbols"):
            codes = model.encode(weights)
            expect(torch.allclose(codes, model.encode(x), atol=1e-4), "they have others", cure)
        with contract.promise("weights over symbols get a finite gradient"):
            codes.square().sum().backward()
            reached = weights.grad is not None and weights.grad.isfinite().all() and weights.grad.any()
            expect(reached, "they get none", cure)
