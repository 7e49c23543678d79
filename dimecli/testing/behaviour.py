"""What plugins of each kind promise to do, tried on tiny data with the plugin's defaults."""

from __future__ import annotations

import copy
import math
from typing import Any

from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.lazy import F, nn, np, torch
from dimecli.plugin import (
    Classifier,
    Dataset,
    Density,
    Executor,
    Language,
    Metric,
    Network,
    Objective,
    Plugin,
    Problem,
    Search,
    Tracker,
)
from dimecli.registry import find, names
from dimecli.testing.classifiers import check_classifier
from dimecli.testing.densities import CODES, check_density, check_fitted
from dimecli.testing.executors import check_executor
from dimecli.testing.expect import check_tensor, expect, only_own_randomness, seeded
from dimecli.testing.languages import check_language
from dimecli.testing.metrics import check_metric
from dimecli.testing.problems import check_problem
from dimecli.testing.searches import check_search
from dimecli.testing.trackers import check_tracker

_IMAGE = Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True))
_COLOUR = Spec(modality="image", shape=(3, 12, 8), likelihood=Gaussian(bounded=True))
_VECTOR = Spec(modality="vector", shape=(6,), likelihood=Gaussian())
_SENTENCE = Spec(
    modality="sentence",
    shape=(9,),
    likelihood=Productions(grammar="%start S\n%max_len 9\nS -> S '+' T | T\nT -> '(' S ')' | 'x' | 'y'"),
)


def check_behaviour(plugin: Plugin) -> None:
    """Tries what the plugin's kind promises.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if isinstance(plugin, Objective):
            small = type(plugin)(latent_size=CODES)
            for spec in (_IMAGE, _VECTOR, _SENTENCE):
                _check_objective(small, spec, f"{type(plugin).__name__} on {spec.modality}s")
        elif isinstance(plugin, Network):
            expect(plugin.modalities, f"{type(plugin).__name__} takes no modality", "fill `modalities`")
            for spec in [spec for spec in (_COLOUR, _VECTOR, _SENTENCE) if spec.modality in plugin.modalities]:
                where = f"{type(plugin).__name__} on {spec.modality}s"
                _check_network(plugin, spec, where)
                if isinstance(spec.likelihood, Gaussian):
                    _check_noise(plugin, spec, where)
        elif isinstance(plugin, Dataset):
            for split in ("train", "test"):
                _check_dataset(plugin, split, f"{type(plugin).__name__}, {split}")
        elif isinstance(plugin, Language):
            check_language(plugin, type(plugin).__name__)
        elif isinstance(plugin, Density):
            for space in sorted(plugin.latent_spaces):
                check_density(plugin, space, f"{type(plugin).__name__} on a {space} latent space")
        elif isinstance(plugin, Classifier):
            check_classifier(plugin, type(plugin).__name__)
        elif isinstance(plugin, Metric):
            check_metric(plugin, type(plugin).__name__)
        elif isinstance(plugin, Tracker):
            check_tracker(plugin, type(plugin).__name__)
        elif isinstance(plugin, Problem):
            check_problem(plugin, type(plugin).__name__)
        elif isinstance(plugin, Executor):
            check_executor(plugin, type(plugin).__name__)
        elif isinstance(plugin, Search):
            for space in sorted(plugin.latent_spaces):
                check_search(plugin, space, f"{type(plugin).__name__} on a {space} latent space")


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


def _check_objective(objective: Objective, spec: Spec, where: str) -> None:
    model: Any = objective.build(spec, _Tiny())
    x = _data(spec, 32)

    def loss(model: Any = model) -> torch.Tensor:
        with only_own_randomness(f"{where}: loss"):
            return objective.loss(model, x, seeded()).total

    _check_players(objective, model, x, where)
    twin = copy.deepcopy(model)  # a step may move buffers, such as those of a spectral norm
    first = loss()
    expect(first.dim() == 0 and first.isfinite(), f"{where}: the loss is {first}", "return finite scalars")
    expect(first == loss(twin), f"{where}: the same generator gives another loss", "draw from `rng` only")
    first.backward()
    for part in ("encoder", "decoder"):
        for name, weight in getattr(model, part).named_parameters():
            reached = weight.grad is not None and weight.grad.any()
            expect(reached, f"{where}: {part}.{name} gets no gradient", "use it in the loss, undetached")
    rivals = {id(weight) for name in objective.players for weight in model.get_submodule(name).parameters()}
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if id(weight) not in rivals], lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    expect(loss() < first, f"{where}: 20 steps of Adam do not lower the loss", "mind the signs of its terms")
    with torch.no_grad():
        model.eval()
        try:
            validation = loss()
        except RuntimeError as error:
            cure = "turn gradients on with torch.enable_grad() where the loss contains one"
            raise AssertionError(f"{where}: the loss fails without gradients ({error}); {cure}") from error
        expect(validation.isfinite(), f"{where}: the loss in eval mode is {validation}", "return finite scalars")
        _check_model(objective, model, x, where)


def _check_players(objective: Objective, model: Any, x: torch.Tensor, where: str) -> None:
    """Each further player has weights, a loss, and a gradient of that loss on all of them."""
    loss = objective.loss(model, x, seeded())
    named = set(objective.players)
    expect(set(loss.players) == named, f"{where}: losses of {sorted(loss.players)}", f"give those of {sorted(named)}")
    expect(not named & set(loss.terms), f"{where}: a player is called as a term", "give one of them another name")
    modules = dict(model.named_modules())
    for name in objective.players:
        expect(name in modules, f"{where}: the model has no submodule '{name}'", "call the player as its submodule")
        weights = dict(modules[name].named_parameters())
        gradients = torch.autograd.grad(
            loss.players[name], tuple(weights.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for weight, gradient in zip(weights, gradients, strict=True):
            expect(gradient.any(), f"{where}: {name}.{weight} gets no gradient", "use it in the player's loss")


def _check_model(objective: Objective, model: Any, x: torch.Tensor, where: str) -> None:
    from dimecli.model import LatentVariableModel

    codes = model.encode(x)
    check_tensor(codes, (len(x), model.latent_size), f"{where}: encode(x)")
    if objective.latent_space == "sphere":
        lengths = torch.linalg.vector_norm(codes, dim=1)
        on_sphere = torch.allclose(lengths, torch.ones_like(lengths), atol=1e-5)
        expect(on_sphere, f"{where}: encode(x) leaves the unit sphere", "divide codes by their length")
    check_tensor(model.nll(x, codes), (len(x),), f"{where}: nll(x, z)")
    _check_generated(model, codes, x, where)
    prior = objective.prior(model)
    if prior is not None:
        check_fitted(prior, f"{where}: the prior")
    if isinstance(model, LatentVariableModel):
        _check_posterior(model, x, where)


def _check_posterior(model: Any, x: torch.Tensor, where: str) -> None:
    with only_own_randomness(f"{where}: infer(x, rng)"):
        z, log_prob = model.infer(x, seeded())
    check_tensor(z, (len(x), model.latent_size), f"{where}: z of infer(x, rng)")
    check_tensor(log_prob, (len(x),), f"{where}: log q(z|x) of infer(x, rng)")
    check_tensor(model.prior().log_prob(z), (len(x),), f"{where}: prior().log_prob(z)")
    rng, draws = seeded(), 10
    bound = torch.stack([model.log_weight(x, rng) for _ in range(draws)]).mean(0)
    log_prob = model.log_prob(x, seeded(), draws)
    check_tensor(log_prob, (len(x),), f"{where}: log_prob(x, rng, draws)")
    above = (log_prob >= bound - 1e-3).all()
    expect(above, f"{where}: log_prob is below the mean of log_weight over the same draws", "mean the weights, in logs")


def _check_generated(model: Any, codes: torch.Tensor, x: torch.Tensor, where: str) -> None:
    for call, rng in {"generate(z)": None, "generate(z, rng)": seeded()}.items():
        with only_own_randomness(f"{where}: {call}"):
            generated = model.generate(codes, rng)
        check_tensor(generated, (len(codes), *x.shape[1:]), f"{where}: {call}")
        expect(generated.dtype == x.dtype, f"{where}: {call} is {generated.dtype}", f"return {x.dtype}, as the data")
        if model.spec.modality == "sentence":
            complete = model.spec.likelihood.complete(generated).all()
            expect(complete, f"{where}: {call} leaves sentences incomplete", "choose among what the likelihood allows")


def _check_network(network: Network, spec: Spec, where: str) -> None:
    from dimecli.model import Autoencoder, Autoregressive

    samples: Any = network.prepare(Samples(spec, _data(spec, 16)))
    spec, x = samples.spec, samples.x
    encoder, decoder = network.encoder(spec, 5), network.decoder(spec, 5)
    codes = encoder(x)
    check_tensor(codes, (16, 5), f"{where}: encoder(spec, 5)(x)")
    if not isinstance(decoder, Autoregressive):
        _check_parameters(decoder(codes), spec, f"{where}: decoder(spec, 5)(z)")
    model = Autoencoder(spec, encoder, decoder, 5)
    nll = model.nll(x, codes)
    check_tensor(nll, (16,), f"{where}: nll(x, z)")
    nll.sum().backward()
    for part in ("encoder", "decoder"):
        for name, weight in getattr(model, part).named_parameters():
            reached = weight.grad is not None and weight.grad.any()
            expect(reached, f"{where}: {part}.{name} gets no gradient", "use it, undetached, or leave it out")
    model.eval()
    if spec.modality == "sentence":
        _check_weights(model, x, where)
    with torch.no_grad():
        one, both = model.nll(x[:1], model.encode(x[:1])), model.nll(x, model.encode(x))
        same = torch.allclose(one, both[:1], rtol=1e-3, atol=1e-4)
        expect(same, f"{where}: in eval mode a sample's nll depends on the rest of its batch", "treat rows alike")
        _check_generated(model, model.encode(x[:3]), x, where)


def _check_noise(network: Network, spec: Spec, where: str) -> None:
    """A decoder has room for a noise that is not fixed, and gives it to the likelihood."""
    from dimecli.model import Autoencoder, Autoregressive

    for noise in ("learned", "predicted"):
        noisy = spec.model_copy(update={"likelihood": spec.likelihood.model_copy(update={"noise": noise})})
        decoder = network.decoder(noisy, 5)
        z, x = torch.randn(3, 5, generator=seeded()), _data(noisy, 3)
        if not isinstance(decoder, Autoregressive):
            _check_parameters(decoder(z), noisy, f"{where}, {noise} noise: decoder(spec, 5)(z)")
        model = Autoencoder(noisy, nn.Identity(), decoder, 5)
        check_tensor(model.nll(x, z), (3,), f"{where}, {noise} noise: nll(x, z)")


def _check_parameters(parameters: torch.Tensor, spec: Spec, where: str) -> None:
    free = torch.zeros(len(parameters), *spec.likelihood.parameters(spec.shape))
    check_tensor(parameters, tuple(spec.likelihood.output()(free).shape), where)
    if spec.modality == "image":
        means = parameters[:, : spec.shape[0]]
        inside = ((means >= 0) & (means <= 1)).all()
        expect(inside, f"{where}: means of pixels leave [0, 1]", "end the decoder in spec.likelihood.output()")


def _check_weights(model: Any, x: torch.Tensor, where: str) -> None:
    """Objectives that need the gradient of their input give an encoder weights over the symbols in place of ids."""
    symbols = model.spec.likelihood.parameters(model.spec.shape)[-1]
    weights = F.one_hot(x.long(), symbols).float().requires_grad_()
    codes = model.encode(weights)
    same = torch.allclose(codes, model.encode(x), atol=1e-4)
    expect(same, f"{where}: one-hot weights have other codes than the ids", "start with dimecli.nn.sequence.OneHot")
    codes.square().sum().backward()
    reached = weights.grad is not None and weights.grad.isfinite().all() and weights.grad.any()
    expect(reached, f"{where}: weights over symbols get no finite gradient", "start with dimecli.nn.sequence.OneHot")


def _check_dataset(dataset: Dataset, split: Any, where: str) -> None:
    network = dataset.network
    expect(network in names("network"), f"{where}: there is no network '{network}'", "name an installed one")
    samples = dataset.read(split)
    spec, count = samples.spec, len(samples)
    taken: Any = find("network", network).plugin
    expect(spec.modality in taken.modalities, f"{where}: network '{network}' takes no {spec.modality}", "name another")
    expect(count > 0, f"{where}: no samples", "raise a UserError that says how to get them")
    x = samples.x[0]
    expect(
        x.shape == spec.shape, f"{where}: samples are {tuple(x.shape)}, the spec says {spec.shape}", "make them agree"
    )
    right = x.dtype == torch.int16 if spec.modality == "sentence" else x.dtype in (torch.uint8, torch.float32)
    expect(right, f"{where}: samples are {x.dtype}", "give pixels as uint8, symbols as int16, all else as float32")
    if spec.modality == "sentence":
        likelihood: Any = spec.likelihood
        complete = isinstance(samples.x, torch.Tensor) and likelihood.complete(samples.x).all()
        expect(complete, f"{where}: there are incomplete sentences", "give whole derivations")
    same = samples.fingerprint() == dataset.read(split).fingerprint()
    expect(same, f"{where}: a second read gives other samples", "fix the order, and seed what is drawn")
    if (y := samples.y) is not None:
        valid = y.shape == (count,) and y.min() >= 0 and y.max() < len(spec.classes)
        expect(valid, f"{where}: labels do not match the samples or the classes", "number the classes from 0")


def _data(spec: Spec, n: int) -> torch.Tensor:
    """`(n, *shape)` samples: uniform in [0, 1), or distinct sentences."""
    if isinstance(spec.likelihood, Productions):
        grammar = spec.likelihood.compiled
        ids = np.concatenate([grammar.enumerate(length) for length in range(grammar.max_len + 1)])
        return torch.from_numpy(np.random.default_rng(0).permutation(ids)[:n])
    return torch.rand(n, *spec.shape)
