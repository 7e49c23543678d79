"""The contract of densities: what keeps it passes, and each breach is told by the promise that it breaks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F

from dimecli.distributions import GaussianMixture, HypersphereUniform
from dimecli.errors import UserError
from dimecli.plugin import Context, Density, Fitted
from dimecli.testing import Contract
from dimecli.testing.densities import check_density
from dimecli.testing.integral import over_circle, over_plane

INTEGRAL = "exp(log_prob), per volume, integrates to one over the plane"
ON_CIRCLE = "exp(log_prob), per surface area, integrates to one over the circle"
DRAWS = "as many draws lie in each part of the space as log_prob says"
FIT, SAMPLE, SEED = "it fits them", "sample(n, rng) draws n finite codes", "the same seed gives the same draws"
FINITE, RESTORE = "log_prob(z) is finite at its draws", "what restore gives is what fit gave"
STATE = "state() survives being written to a safetensors file and read"


def broken(density: Density) -> dict[str, str]:
    """What is wrong, by the promise that is broken."""
    contract = Contract()
    with contract.section(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        check_density(contract, density)
    assert contract.findings
    return {finding.promise: finding.reason for finding in contract.findings if not finding.held}


class Normal:
    """N(mean, diag std^2)."""

    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        self.mean, self.std = mean, std

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        return self.mean + self.std * torch.randn(n, len(self.mean), generator=rng)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        white = (z - self.mean) / self.std
        return -0.5 * (white.square() + math.log(2 * math.pi)).sum(1) - self.std.log().sum()

    def state(self) -> dict[str, torch.Tensor]:
        return {"mean": self.mean, "std": self.std}


class Good(Density):
    """A normal distribution."""

    latent_spaces = frozenset({"euclidean"})
    law: ClassVar[type[Normal]] = Normal

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        return self.law(codes.mean(0), codes.std(0))

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        return self.law(state["mean"], state["std"])


class Beside(Good):
    """A normal distribution around the sphere."""

    latent_spaces = frozenset({"sphere"})


class Uniform(Density):
    """The uniform distribution on the sphere."""

    latent_spaces = frozenset({"sphere"})
    law: ClassVar[type[HypersphereUniform]] = HypersphereUniform

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        return self.law(codes.shape[1])

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        return self.law(int(state["size"]))


def with_law(**methods: Any) -> type[Good]:
    """`Good` with a distribution that does something otherwise."""

    class Broken(Good):
        law = type("Law", (Normal,), methods)

    return Broken


def squared(self: Normal, z: torch.Tensor) -> torch.Tensor:
    return -0.5 * ((z - self.mean) / self.std).square().sum(1)


@pytest.mark.parametrize("density", [Good, Beside, Uniform])
def test_a_good_density_keeps_every_promise(density: type[Density]) -> None:
    assert not broken(density())


def test_a_very_narrow_density_is_not_refused_for_the_error_of_its_integral() -> None:
    class Narrow(Good):
        def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
            return Normal(codes.mean(0), codes.std(0) / 1000)

    assert not broken(Narrow())


def test_a_density_of_both_spaces_is_tried_on_both() -> None:
    class Both(Good):
        latent_spaces = frozenset({"euclidean", "sphere"})

    contract = Contract()
    check_density(contract, Both())
    spaces = [f"codes of a {space} latent space" for space in ("euclidean", "sphere")]
    assert [finding.where for finding in contract.findings if finding.promise == DRAWS] == spaces


def test_forgotten_constants_do_not_integrate_to_one() -> None:
    assert list(broken(with_law(log_prob=squared)())) == [INTEGRAL]


def test_a_density_that_says_it_is_not_normalized_is_not_asked_to_be() -> None:
    density = with_law(log_prob=squared)
    density.normalized = False
    assert not broken(density())


def test_an_area_that_is_forgotten_on_the_sphere() -> None:
    class Free(HypersphereUniform):
        def log_prob(self, z: torch.Tensor) -> torch.Tensor:
            return z.new_zeros(len(z))

    class Unmeasured(Uniform):
        law = Free

    found = broken(Unmeasured())
    assert list(found) == [ON_CIRCLE]
    assert "it gives 6.28;" in found[ON_CIRCLE]


def wide(self: Normal, n: int, rng: torch.Generator) -> torch.Tensor:
    return self.mean + 1.3 * self.std * torch.randn(n, len(self.mean), generator=rng)


def moved(self: Normal, n: int, rng: torch.Generator) -> torch.Tensor:
    return Normal.sample(self, n, rng) + 0.3 * self.std


def mirrored(self: Normal, n: int, rng: torch.Generator) -> torch.Tensor:
    return Normal.sample(self, n, rng).flip(1)


@pytest.mark.parametrize("sample", [wide, moved, mirrored])
def test_draws_of_another_distribution(sample: Any) -> None:
    assert list(broken(with_law(sample=sample)())) == [DRAWS]


def test_draws_of_one_half_of_the_circle() -> None:
    class Half(HypersphereUniform):
        def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
            return super().sample(n, rng).abs()

    class Halved(Uniform):
        law = Half

    assert list(broken(Halved())) == [DRAWS]


def test_what_is_learned_is_in_the_state() -> None:
    class Forgetful(Good):
        def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
            return Normal(torch.zeros_like(state["mean"]), state["std"])

    assert broken(Forgetful()) == {RESTORE: "it draws or weighs otherwise; put all that is learned into state()"}


def test_a_state_is_tensors() -> None:
    found = broken(with_law(state=lambda self: {"mean": self.mean, "std": self.std, "kind": "normal"})())
    assert found == {STATE: "'kind' is a str; make it a tensor"}


def test_a_state_is_tensors_that_the_file_knows() -> None:
    def sparse(self: Normal) -> dict[str, torch.Tensor]:
        return {**Normal.state(self), "counts": torch.ones(3).to_sparse()}

    assert list(broken(with_law(state=sparse)())) == [STATE]


@pytest.mark.parametrize(
    ("methods", "promise", "reason"),
    [
        ({"sample": lambda self, n, rng: self.mean + torch.randn(n, len(self.mean))}, SAMPLE, "global generator"),
        ({"sample": lambda self, n, rng: torch.zeros(n, 1)}, SAMPLE, "is (50, 1); return (50, 4)"),
        ({"log_prob": lambda self, z: torch.full((len(z),), math.nan)}, FINITE, "log_prob(z) has NaN"),
        ({"log_prob": lambda self, z: torch.zeros(())}, FINITE, "log_prob(z) is (); return (50,)"),
    ],
)
def test_draws_and_log_densities(methods: dict[str, Any], promise: str, reason: str) -> None:
    assert reason in broken(with_law(**methods)())[promise]


def test_a_generator_of_its_own() -> None:
    def unseeded(self: Normal, n: int, rng: torch.Generator) -> torch.Tensor:
        rng = torch.Generator()
        rng.seed()
        return Normal.sample(self, n, rng)

    assert SEED in broken(with_law(sample=unseeded)())


def test_defaults_that_do_not_work() -> None:
    class Refusing(Good):
        def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
            raise UserError("--power is missing")

    reason = "with its defaults it refuses: --power is missing"
    assert broken(Refusing()) == {FIT: reason}


@pytest.mark.parametrize("thin", [1.0, 0.02])
def test_integrals_over_the_plane_are_right_however_thin_the_mixture(thin: float) -> None:
    weights, means = torch.tensor([0.3, 0.7]), torch.tensor([[0.0, 0.0], [4.0, 1.0]])
    trils = torch.tensor([[[1.0, 0.0], [0.5, thin]], [[thin, 0.0], [0.0, 1.0]]])
    mixture, rng = GaussianMixture(weights, means, trils), torch.Generator().manual_seed(0)
    integral = over_plane(mixture, mixture.sample(400, rng), rng)
    assert integral.total == pytest.approx(1, abs=0.07)
    mean, variance = integral.mean(integral.points.double())
    assert torch.allclose(mean.float(), weights @ means, atol=0.2)
    assert (variance.sqrt() < 0.1).all()


def test_integrals_over_the_circle_are_right() -> None:
    class Cardioid(HypersphereUniform):
        def log_prob(self, z: torch.Tensor) -> torch.Tensor:
            return (1 + 0.8 * F.normalize(z, dim=1)[:, 0]).log() - math.log(2 * math.pi)

    integral = over_circle(Cardioid(2))
    assert integral.total == pytest.approx(1, abs=1e-6)
    mean, variance = integral.mean(integral.points.double())
    assert torch.allclose(mean, torch.tensor([0.4, 0.0]).double(), atol=1e-6)
    assert not variance.any()
