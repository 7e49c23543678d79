"""What objectives promise to do."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import nn, torch
from dimecli.plugin import Loss, Network, Objective
from dimecli.testing.contract import Contract
from dimecli.testing.densities import CODES, check_fitted
from dimecli.testing.expect import check_tensor, expect, only_own_randomness, seeded
from dimecli.testing.models import check_generated, check_posterior, learning, stirred, unreached
from dimecli.testing.networks import check_modalities
from dimecli.testing.processes import check_processes
from dimecli.testing.specs import IMAGE, SENTENCE, VECTOR, data

_BATCH = 32
_BFLOAT16 = 0.1  # relative error that its 8 bits may make in a loss


class _Tiny(Network):
    """A small network, so that objectives are checked alone."""

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        from dimecli.nn.sequence import OneHot

        parameters = spec.likelihood.parameters(spec.shape)
        numbers = (OneHot(parameters[-1]),) if spec.modality == "sentence" else ()
        layers = (nn.Flatten(), nn.Linear(math.prod(parameters), 16), nn.Tanh(), nn.Linear(16, features))
        return nn.Sequential(*numbers, *layers)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        parameters = spec.likelihood.parameters(spec.shape)
        layers = (nn.Linear(latent_size, 16), nn.Tanh(), nn.Linear(16, math.prod(parameters)))
        return nn.Sequential(*layers, nn.Unflatten(1, parameters), spec.likelihood.output())


def check_objective(contract: Contract, objective: Objective) -> None:
    """Trains a few steps on data of each modality that it takes, and uses the model."""
    check_modalities(contract, objective.modalities)
    with contract.needed(f"it can be made with codes of {CODES} dimensions"):
        small = type(objective)(latent_size=CODES)
    for spec in (IMAGE, VECTOR, SENTENCE):
        if spec.modality in objective.modalities:
            with contract.section(f"on {spec.modality}s"):
                _check_on(contract, small, spec)


def _check_on(contract: Contract, objective: Objective, spec: Spec) -> None:
    x = data(spec, _BATCH)
    with contract.needed("build gives a model that can be copied"):
        model: Any = copy.deepcopy(objective.build(spec, _Tiny()))
    with contract.needed("the loss is finite"):
        loss = objective.loss(copy.deepcopy(model), x, seeded())
        _check_finite(loss)
    with contract.promise("the same seed gives the same loss"):
        with only_own_randomness():
            again = objective.loss(copy.deepcopy(model), x, seeded())
        same = torch.equal(loss.total, again.total)
        expect(same, f"it gives {loss.total.item():.6g}, then {again.total.item():.6g}", "draw from `rng` only")
    repeats = contract.findings[-1].held
    if objective.players or loss.players:
        _check_players(contract, objective, model, x)
    _check_learning(contract, objective, model, x)
    with contract.promise("the loss in bfloat16, as of --precision bf16, is that in float32 but for rounding"):
        _check_bfloat16(objective, model, x, loss)
    with contract.promise("a batch of one sample gives a finite loss, or an error that says how many it takes"):
        _check_single(objective, model, x[:1])
    model = _trained(contract, objective, model, x)
    if objective.data_parallel and repeats:  # on codes that tell samples apart, so that what couples them shows
        check_processes(contract, objective, model, x)
    _check_use(contract, objective, model.eval(), x)


def _check_finite(loss: Loss) -> None:
    expect(isinstance(loss, Loss), f"loss gives {type(loss).__name__}", "return Loss(reconstruction=..., ...)")
    expect(loss.terms, "it has no terms", "return Loss(reconstruction=..., ...)")
    for name, term in (loss.terms | loss.players).items():
        expect(term.dim() == 0, f"term '{name}' is {tuple(term.shape)}", "return scalars, such as means over the batch")
        expect(term.isfinite(), f"term '{name}' is {term.item()}", "keep it finite")


def _check_players(contract: Contract, objective: Objective, model: Any, x: torch.Tensor) -> None:
    """Each further player has weights, a loss, and a gradient of that loss on all of them."""
    model = stirred(model)
    named = set(objective.players)
    with contract.needed("each player has a loss, and nobody else has one"):
        loss = objective.loss(model, x, seeded())
        given = sorted(loss.players)
        expect(set(given) == named, f"there are losses of {given}", f"give those of {sorted(named)}")
    with contract.promise("no term is called as a player"):
        expect(not (both := sorted(named & set(loss.terms))), f"{both} are both", "give the term another name")
    with contract.needed("each player is a submodule of the model"):
        strangers = sorted(named - dict(model.named_modules()).keys())
        expect(not strangers, f"the model has no submodule {strangers}", "call the player as its submodule")
    with contract.promise("gradients of its own loss reach every weight of a player"):
        lost = []
        for name in objective.players:
            player = model.get_submodule(name)
            weights = [weight for weight in player.parameters() if weight.requires_grad]
            loss.players[name].backward(retain_graph=True, inputs=weights)
            lost += [f"{name}.{weight}" for weight in unreached(player.named_parameters())]
        expect(not lost, f"none reaches {', '.join(lost)}", "use each in the player's loss, undetached")


def _check_learning(contract: Contract, objective: Objective, model: Any, x: torch.Tensor) -> None:
    with contract.promise("gradients reach every weight"):
        model = stirred(model)
        own = {id(weight) for weight in learning(objective, model)[0]}
        objective.loss(model, x, seeded()).total.backward()
        lost = unreached((name, weight) for name, weight in model.named_parameters() if id(weight) in own)
        cure = "use each in the loss, undetached; freeze on purpose what is not to learn, by requires_grad_(False)"
        expect(not lost, f"none reaches {', '.join(lost)}", cure)


def _check_bfloat16(objective: Objective, model: Any, x: torch.Tensor, exact: Loss) -> None:
    from dimecli.training.step import compute_in_bfloat16

    model = copy.deepcopy(model)
    for part in (model.encoder, model.decoder):
        compute_in_bfloat16(part, torch.device("cpu"))
    loss = objective.loss(model, x, seeded())
    _check_finite(loss)
    size = torch.stack([term.abs() for term in exact.terms.values()]).sum()
    near = (loss.total - exact.total).abs() <= _BFLOAT16 * (size + 1e-3)
    wrong = f"it is {loss.total.item():.6g}, in float32 {exact.total.item():.6g}"
    expect(near, wrong, "compute sums over many samples in float32, outside of encoder and decoder")
    loss.total.backward()
    _check_gradient(model)


def _check_gradient(model: Any) -> None:
    weights = [(name, weight.grad) for name, weight in model.named_parameters() if weight.grad is not None]
    wrong = [name for name, gradient in weights if not gradient.isfinite().all()]
    expect(not wrong, f"its gradient by {', '.join(wrong)} has NaN or infinite values", "keep it finite")


def _check_single(objective: Objective, model: Any, x: torch.Tensor) -> None:
    model = copy.deepcopy(model)
    try:
        loss = objective.loss(model, x, seeded())
    except (UserError, ValueError) as error:
        said = str(error)
        clear = "\n" not in said and re.search(r"[0-9]|\b(one|two|three|four)\b", said)
        expect(clear, f"its error is '{said}'", "say in one line how many samples the loss takes, such as 'at least 2'")
        return
    _check_finite(loss)
    loss.total.backward()
    _check_gradient(model)


def _trained(contract: Contract, objective: Objective, model: Any, x: torch.Tensor) -> Any:
    """The model after 20 steps, if it can take them.

    Its loss is compared with that of the first weights under the last buffers, one of which may be a weight of
    a term that grows with the steps.
    """
    first, model = model, copy.deepcopy(model)
    with contract.promise("20 steps of Adam lower the loss"):
        weights = learning(objective, model)[0]
        optimizer = torch.optim.Adam(weights, lr=1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            objective.loss(model, x, seeded()).total.backward(inputs=weights)
            optimizer.step()
        before = copy.deepcopy(model)
        before.load_state_dict(dict(first.named_parameters()), strict=False)
        losses = [objective.loss(one, x, seeded()).total.item() for one in (before, model)]
        expect(losses[1] < losses[0], f"it goes from {losses[0]:.6g} to {losses[1]:.6g}", "mind the signs of its terms")
    return model


def _check_use(contract: Contract, objective: Objective, model: Any, x: torch.Tensor) -> None:
    """What is done with a trained model: validating, encoding, decoding, drawing."""
    from dimecli.model import LatentVariableModel

    with torch.no_grad():
        with contract.promise("the loss is finite without gradients, in eval mode"):
            try:
                loss = objective.loss(model, x, seeded())
            except RuntimeError as error:
                cure = "turn gradients on with torch.enable_grad() where the loss contains one"
                raise AssertionError(f"it fails ({error}); {cure}") from error
            _check_finite(loss)
        with contract.section():
            codes = _check_codes(contract, objective, model, x)
            check_generated(contract, model, codes, x)
        with contract.section("prior"):
            prior = None
            with contract.needed("it can be had"):
                prior = objective.prior(model)
            if prior is not None:
                check_fitted(contract, prior)
        if isinstance(model, LatentVariableModel):
            check_posterior(contract, model, x)


def _check_codes(contract: Contract, objective: Objective, model: Any, x: torch.Tensor) -> torch.Tensor:
    with contract.needed("encode(x) gives codes of the latent size"):
        codes: torch.Tensor = model.encode(x)
        check_tensor(codes, (len(x), model.latent_size), "encode(x)")
    if objective.latent_space == "sphere":
        with contract.promise("encode(x) gives codes on the unit sphere"):
            lengths = torch.linalg.vector_norm(codes, dim=1)
            on_sphere = torch.allclose(lengths, torch.ones_like(lengths), atol=1e-5)
            wrong = f"their lengths are {lengths.min():.4g} to {lengths.max():.4g}"
            expect(on_sphere, wrong, "divide codes by their length")
    with contract.promise("the nll of each sample is finite"):
        check_tensor(model.nll(x, codes), (len(x),), "nll(x, z)")
    return codes
