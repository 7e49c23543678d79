"""What plugins of each kind promise to do, tried on tiny data with the plugin's defaults."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dimecli.data.likelihood import Gaussian
from dimecli.data.spec import Spec
from dimecli.lazy import F, nn, torch
from dimecli.plugin import Dataset, Density, Fitted, Network, Objective, Plugin
from dimecli.registry import find, names

_IMAGE = Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True))
_COLOUR = Spec(modality="image", shape=(3, 12, 8), likelihood=Gaussian(bounded=True))
_VECTOR = Spec(modality="vector", shape=(6,), likelihood=Gaussian())
_CODES = 4


def expect(holds: object, wrong: str, cure: str) -> None:
    """Raises an AssertionError that says what is wrong, and the cure, unless it holds."""
    if not holds:
        raise AssertionError(f"{wrong}; {cure}")


def check_behaviour(plugin: Plugin) -> None:
    """Tries what the plugin's kind promises.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if isinstance(plugin, Objective):
            small = type(plugin)(latent_size=_CODES)
            for spec in (_IMAGE, _VECTOR):
                _check_objective(small, spec, f"{type(plugin).__name__} on {spec.modality}s")
        elif isinstance(plugin, Network):
            expect(plugin.modalities, f"{type(plugin).__name__} takes no modality", "fill `modalities`")
            for spec in [spec for spec in (_COLOUR, _VECTOR) if spec.modality in plugin.modalities]:
                _check_network(plugin, spec, f"{type(plugin).__name__} on {spec.modality}s")
        elif isinstance(plugin, Dataset):
            for split in ("train", "test"):
                _check_dataset(plugin, split, f"{type(plugin).__name__}, {split}")
        elif isinstance(plugin, Density):
            for space in sorted(plugin.latent_spaces):
                _check_density(plugin, space, f"{type(plugin).__name__} on a {space} latent space")


class _Tiny(Network):
    """A small network, so that objectives are checked alone."""

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(spec.elements, 16), nn.Tanh(), nn.Linear(16, features))

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        layers = (nn.Linear(latent_size, 16), nn.Tanh(), nn.Linear(16, spec.elements))
        return nn.Sequential(*layers, nn.Unflatten(1, spec.shape), spec.likelihood.output())


class _Prior:
    """N(0, I), or the uniform distribution on the sphere up to a constant, for densities that want a prior."""

    def __init__(self, space: str) -> None:
        self._sphere = space == "sphere"

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        z = torch.randn(n, _CODES, generator=rng)
        return F.normalize(z, dim=1) if self._sphere else z

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -0.5 * z.square().sum(1)

    def state(self) -> dict[str, torch.Tensor]:
        return {}


def _check_objective(objective: Objective, spec: Spec, where: str) -> None:
    model: Any = objective.build(spec, _Tiny())
    x = torch.rand(32, *spec.shape)

    def loss(model: Any = model) -> torch.Tensor:
        with _only_own_randomness(f"{where}: loss"):
            return objective.loss(model, x, _rng()).total

    twin = copy.deepcopy(model)  # a step may move buffers, such as those of a spectral norm
    first = loss()
    expect(first.dim() == 0 and first.isfinite(), f"{where}: the loss is {first}", "return finite scalars")
    expect(first == loss(twin), f"{where}: the same generator gives another loss", "draw from `rng` only")
    first.backward()
    for part in ("encoder", "decoder"):
        for name, weight in getattr(model, part).named_parameters():
            reached = weight.grad is not None and weight.grad.any()
            expect(reached, f"{where}: {part}.{name} gets no gradient", "use it in the loss, undetached")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
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


def _check_model(objective: Objective, model: Any, x: torch.Tensor, where: str) -> None:
    codes = model.encode(x)
    _check_tensor(codes, (len(x), model.latent_size), f"{where}: encode(x)")
    if objective.latent_space == "sphere":
        lengths = torch.linalg.vector_norm(codes, dim=1)
        on_sphere = torch.allclose(lengths, torch.ones_like(lengths), atol=1e-5)
        expect(on_sphere, f"{where}: encode(x) leaves the unit sphere", "divide codes by their length")
    _check_tensor(model.nll(x, codes), (len(x),), f"{where}: nll(x, z)")
    _check_tensor(model.generate(codes), x.shape, f"{where}: generate(z)")
    _check_tensor(model.generate(codes, _rng()), x.shape, f"{where}: generate(z, rng)")
    prior = objective.prior(model)
    if prior is not None:
        _check_fitted(prior, f"{where}: the prior")


def _check_network(network: Network, spec: Spec, where: str) -> None:
    encoder, decoder = network.encoder(spec, 5), network.decoder(spec, _CODES)
    _check_tensor(encoder(torch.rand(3, *spec.shape)), (3, 5), f"{where}: encoder(spec, 5)(x)")
    means = decoder(torch.randn(3, _CODES))
    _check_tensor(means, (3, *spec.shape), f"{where}: decoder(spec, {_CODES})(z)")
    if spec == _COLOUR:
        inside = ((means >= 0) & (means <= 1)).all()
        expect(inside, f"{where}: means of pixels leave [0, 1]", "end the decoder in spec.likelihood.output()")


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
    right = x.dtype in (torch.uint8, torch.float32)
    expect(right, f"{where}: samples are {x.dtype}", "give pixels as uint8, all else as float32")
    same = samples.fingerprint() == dataset.read(split).fingerprint()
    expect(same, f"{where}: a second read gives other samples", "fix the order, and seed what is drawn")
    if (y := samples.y) is not None:
        valid = y.shape == (count,) and y.min() >= 0 and y.max() < len(spec.classes)
        expect(valid, f"{where}: labels do not match the samples or the classes", "number the classes from 0")


def _check_density(density: Density, space: str, where: str) -> None:
    codes, prior = torch.randn(200, _CODES), _Prior(space)
    codes = F.normalize(codes, dim=1) if space == "sphere" else codes
    with _only_own_randomness(f"{where}: fit"):
        fitted = density.fit(codes, _rng(), prior)
    drawn = _check_fitted(fitted, where)
    restored = density.restore(fitted.state(), prior)
    same = torch.equal(restored.sample(50, _rng()), drawn)
    same &= torch.equal(restored.log_prob(drawn), fitted.log_prob(drawn))
    expect(same, f"{where}: what restore gives is not what fit gave", "put all that is learned into state()")


def _check_fitted(fitted: Fitted, where: str) -> torch.Tensor:
    """Checks a distribution over codes; returns 50 draws."""
    with _only_own_randomness(f"{where}: sample"):
        drawn = fitted.sample(50, _rng())
    _check_tensor(drawn, (50, _CODES), f"{where}: sample(50, rng)")
    expect(torch.equal(drawn, fitted.sample(50, _rng())), f"{where}: a seed gives two samples", "draw from `rng` only")
    _check_tensor(fitted.log_prob(drawn), (50,), f"{where}: log_prob(z)")
    return drawn


def _check_tensor(x: torch.Tensor, shape: tuple[int, ...], where: str) -> None:
    expect(x.shape == shape, f"{where} is {tuple(x.shape)}", f"return {tuple(shape)}")
    expect(x.isfinite().all(), f"{where} has NaN or infinite values", "keep it finite")


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@contextmanager
def _only_own_randomness(where: str) -> Iterator[None]:
    before = torch.random.get_rng_state()
    yield
    untouched = torch.equal(before, torch.random.get_rng_state())
    expect(untouched, f"{where} draws from torch's global generator", "draw from `rng` only")
