import math
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from dimecli.search.believer import log_ei
from dimecli.search.gp import fit_gp
from dimecli.search.sphere import Box, Sphere, jitter, project, refine, region, retract, slerp, tangent

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # gpytorch compiles with torch.jit.script
    from botorch.acquisition.analytic import PosteriorMean
    from botorch.models.deterministic import GenericDeterministicModel
    from botorch.optim.optimize import optimize_acqf


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(n: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, size, generator=rng(seed), dtype=torch.float64)


def sphere(n: int, size: int, seed: int = 0) -> torch.Tensor:
    return project(flat(n, size, seed))


def space(codes: torch.Tensor, latent_space: str = "sphere") -> Any:
    return SimpleNamespace(codes=codes, latent_space=latent_space)


@pytest.mark.parametrize("size", [2, 3, 25])
def test_a_jitter_has_its_angle_and_any_direction(size: int) -> None:
    z = sphere(1, size).expand(4000, -1)
    angle = torch.rand(4000, 1, generator=rng(), dtype=torch.float64) * math.pi
    moved = jitter(z, angle, rng(1))
    torch.testing.assert_close((moved * z).sum(1, keepdim=True), angle.cos())
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(4000).double())
    directions = project(tangent(z, moved))
    assert directions.mean(0).norm() < 0.05  # 1 / sqrt(4000) = 0.016
    second = directions.T @ directions / 4000
    expected = (torch.eye(size, dtype=torch.float64) - z[0].outer(z[0])) / (size - 1)
    torch.testing.assert_close(second, expected, rtol=0, atol=0.05)


def test_a_great_circle_is_walked_evenly() -> None:
    a, b = sphere(50, 6, 1), sphere(50, 6, 2)
    angle = (a * b).sum(1).acos()
    for share in (0.0, 0.3, 1.0):
        between = slerp(a, b, share)
        torch.testing.assert_close((a * between).sum(1), (share * angle).cos())
        torch.testing.assert_close((b * between).sum(1), ((1 - share) * angle).cos())
    torch.testing.assert_close(slerp(a, a, 0.5), a)
    near = project(a + 1e-9 * b)
    assert (slerp(a, near, 0.5) - a).norm(dim=1).max() < 1e-8


def test_the_tangent_gradient_is_that_of_finite_differences_along_the_sphere() -> None:
    gp = fit_gp(sphere(40, 5), flat(40, 1, 3)[:, 0])

    def acquisition(z: torch.Tensor) -> torch.Tensor:
        return log_ei(*gp.predict(z), 0.5)

    z = sphere(6, 5, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(acquisition(z).sum(), z)
    z = z.detach()
    step = 1e-5
    for seed in range(10):
        v = tangent(z, flat(6, 5, seed))
        with torch.no_grad():
            slope = (acquisition(retract(z, step * v)) - acquisition(retract(z, -step * v))) / (2 * step)
        torch.testing.assert_close((tangent(z, gradient) * v).sum(1), slope, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close((retract(z, step * v) - z) / step, v, rtol=0, atol=1e-3)  # first order
    torch.testing.assert_close(Sphere().uphill(z, gradient), F.normalize(tangent(z, gradient), dim=1))


def test_refining_finds_at_least_what_botorch_finds_through_division_by_the_length() -> None:
    gp = fit_gp(sphere(40, 5), flat(40, 1, 3)[:, 0])
    model = GenericDeterministicModel(lambda x: gp.predict(project(x.reshape(-1, 5)))[0].reshape(*x.shape[:-1], 1))
    bounds = torch.tensor([[-1.0], [1.0]]).double().expand(2, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        expected: Any = optimize_acqf(PosteriorMean(model), bounds, q=1, num_restarts=10, raw_samples=200)[1]
    found = refine(lambda z: gp.predict(z)[0], sphere(30, 5, 4), space(gp.codes), 60)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(30).double())
    assert gp.predict(found)[0].max().item() >= expected.item() - 1e-4


def test_each_start_climbs_on_its_own_and_never_down() -> None:
    peaks = sphere(4, 6, 5)

    def acquisition(z: torch.Tensor) -> torch.Tensor:
        return (8 * (z @ peaks.T - 1)).exp().sum(1)

    start = sphere(12, 6, 6)
    found = refine(acquisition, start, space(start), 25)
    assert (acquisition(found) > acquisition(start)).all()
    torch.testing.assert_close(found[3:4], refine(acquisition, start[3:4], space(start), 25))
    assert torch.equal(refine(acquisition, start, space(start), 0), start)


def test_flat_codes_stay_in_the_box_of_the_data() -> None:
    codes = flat(200, 3) * torch.tensor([1.0, 10.0, 0.1]).double()
    flat_space = space(codes, "euclidean")
    box = region(flat_space)
    assert isinstance(box, Box)
    corner = torch.tensor([5.0, -50.0, 0.02]).double()  # beyond the box in two dimensions
    scale = codes.std(0)

    def acquisition(z: torch.Tensor) -> torch.Tensor:
        return -((z - corner) / scale).square().sum(1)

    found = refine(acquisition, codes[:20], flat_space, 80)
    expected = corner.clamp(codes.amin(0), codes.amax(0))
    torch.testing.assert_close((found - expected) / scale, torch.zeros(20, 3).double(), rtol=0, atol=1e-3)
    moved = box.jitter(codes, torch.full((200, 1), 0.3).double(), rng())
    assert (moved >= codes.amin(0)).all()
    assert (moved <= codes.amax(0)).all()
    assert ((moved - codes) / scale).square().sum(1).mean().sqrt() == pytest.approx(0.3 * math.sqrt(3), rel=0.05)
    torch.testing.assert_close(
        box.between(codes[:1], codes[1:2], torch.tensor([[0.25]])), codes[:1] * 0.75 + codes[1:2] / 4
    )
