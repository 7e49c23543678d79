"""What the models that objectives build promise to do, once they are trained."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from dimecli.lazy import nn, torch
from dimecli.plugin import Objective
from dimecli.testing.contract import Contract
from dimecli.testing.expect import check_tensor, expect, only_own_randomness, seeded


def check_generated(contract: Contract, model: Any, codes: torch.Tensor, x: torch.Tensor) -> None:
    """Checks what `(B, l)` codes become: data such as the `(N, *shape)` samples x."""
    for call, rng in {"generate(z)": None, "generate(z, rng)": seeded()}.items():
        with contract.section():
            with contract.needed(f"{call} gives data"):
                with only_own_randomness():
                    generated = model.generate(codes, rng)
                check_tensor(generated, (len(codes), *x.shape[1:]), call)
                expect(generated.dtype == x.dtype, f"{call} is {generated.dtype}", f"return {x.dtype}, as the data")
            if model.spec.modality == "sentence":
                with contract.promise(f"{call} gives complete sentences"):
                    complete = model.spec.likelihood.complete(generated).all()
                    expect(complete, "some are incomplete", "choose among what the likelihood allows")


def check_posterior(contract: Contract, model: Any, x: torch.Tensor) -> None:
    """Checks q(z|x) of a `LatentVariableModel`, and log p(x) by it."""
    with contract.section():
        with contract.needed("infer(x, rng) gives codes and their log-density"):
            with only_own_randomness():
                z, log_prob = model.infer(x, seeded())
            check_tensor(z, (len(x), model.latent_size), "z of infer(x, rng)")
            check_tensor(log_prob, (len(x),), "log q(z|x) of infer(x, rng)")
        with contract.needed("prior().log_prob(z) is finite at its codes"):
            check_tensor(model.prior().log_prob(z), (len(x),), "prior().log_prob(z)")
        with contract.promise("log_prob(x, rng, draws) is at least the mean of log_weight over the same draws"):
            rng, draws = seeded(), 10
            bound = torch.stack([model.log_weight(x, rng) for _ in range(draws)]).mean(0)
            log_prob = model.log_prob(x, seeded(), draws)
            check_tensor(log_prob, (len(x),), "log_prob(x, rng, draws)")
            expect((log_prob >= bound - 1e-3).all(), "it is below", "take the mean of the weights, in logs")


def stirred(model: Any) -> Any:
    """A copy whose weights are moved a little: a layer that begins at zero lets no gradient through it at first."""
    other, rng = copy.deepcopy(model), seeded()
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.01 * torch.randn(weight.shape, generator=rng)
    return other


def unreached(named: Iterable[tuple[str, nn.Parameter]]) -> list[str]:
    """The names of weights that a backward pass gave no gradient; those that are frozen on purpose need none."""
    return [name for name, weight in named if weight.requires_grad and (weight.grad is None or not weight.grad.any())]


def learning(objective: Objective, model: Any) -> list[list[nn.Parameter]]:
    """The weights that learn: those that minimise the terms, then those of each further player."""
    players = [list(model.get_submodule(name).parameters()) for name in objective.players]
    taken = {id(weight) for weights in players for weight in weights}
    own = [weight for weight in model.parameters() if id(weight) not in taken]
    return [[weight for weight in weights if weight.requires_grad] for weights in (own, *players)]
