"""The leapfrog and its tempering against what Hamiltonian dynamics conserve."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from dimecli.nn.hamiltonian import Schedule, leapfrog

DTYPES = [torch.float32, torch.float64]
TEMPERINGS = ["fixed", "free", "none"]


def quadratic(z: torch.Tensor) -> torch.Tensor:
    return 0.5 * (torch.tensor([1.0, 2.0, 0.5], dtype=z.dtype) * z.square()).sum(1)


def quartic(z: torch.Tensor) -> torch.Tensor:
    """A potential that couples the dimensions and is no quadratic."""
    return 0.5 * z.square().sum(1) + 0.1 * z.sum(1).pow(4) + torch.cos(z[:, 0])


def start(dtype: torch.dtype, count: int = 5, size: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    z, momentum = torch.randn(2, count, size, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return z.requires_grad_(), momentum


def energy(potential: Any, z: torch.Tensor, momentum: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = potential(z) + 0.5 * momentum.square().sum(1)
    return total


@pytest.mark.parametrize("potential", [quadratic, quartic])
def test_leapfrog_conserves_energy_to_the_second_order_of_the_step(potential: Any) -> None:
    z, momentum = start(torch.float64)
    errors = []
    for steps in (50, 100, 200):
        step = torch.full((3,), 1.0 / steps, dtype=torch.float64)
        moved = leapfrog(potential, z, momentum, step, torch.ones(steps, dtype=torch.float64))
        errors.append((energy(potential, *moved) - energy(potential, z, momentum)).abs().max().item())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_leapfrog_advances_positions_by_the_new_momentum() -> None:
    """With the old one the energy of 50 steps of 0.2 grows to 2.8 times; one step is also written out."""
    z, momentum = start(torch.float64, size=1)
    moved = leapfrog(lambda z: 0.5 * z.square().sum(1), z, momentum, torch.tensor([0.2]), torch.ones(50))
    before = energy(lambda z: 0.5 * z.square().sum(1), z, momentum)
    after = energy(lambda z: 0.5 * z.square().sum(1), *moved)
    torch.testing.assert_close(after / before, torch.ones_like(after), atol=0.011, rtol=0)
    once = leapfrog(lambda z: 0.5 * z.square().sum(1), z, momentum, torch.tensor([0.2]), torch.ones(1))
    half = momentum - 0.1 * z
    torch.testing.assert_close(once[0], z + 0.2 * half)
    torch.testing.assert_close(once[1], half - 0.1 * (z + 0.2 * half))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("potential", [quadratic, quartic])
def test_leapfrog_is_reversible(potential: Any, dtype: torch.dtype) -> None:
    z, momentum = start(dtype)
    step, ones = torch.tensor([0.05, 0.1, 0.2], dtype=dtype), torch.ones(7, dtype=dtype)
    there, back = leapfrog(potential, z, momentum, step, ones)
    again, reversed_momentum = leapfrog(potential, there, -back, step, ones)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    torch.testing.assert_close(again, z, atol=tolerance, rtol=0)
    torch.testing.assert_close(-reversed_momentum, momentum, atol=tolerance, rtol=0)


@pytest.mark.parametrize("tempering", TEMPERINGS)
def test_the_volume_changes_by_the_tempering_alone(tempering: Any) -> None:
    schedule = Schedule(3, 4, 0.2, tempering).double()
    z, momentum = start(torch.float64, count=1)

    def flow(both: torch.Tensor) -> torch.Tensor:
        ends = leapfrog(quartic, both[None, :3], both[None, 3:], schedule.step, schedule.factors)
        return torch.cat(ends, 1)[0]

    jacobian = torch.autograd.functional.jacobian(flow, torch.cat((z, momentum), 1)[0].detach())
    volume = torch.linalg.det(jacobian).item()
    assert volume == pytest.approx(schedule.factors.prod().item() ** 3, rel=1e-9)
    assert volume == pytest.approx(schedule.temperature.item() ** (-3 / 2), rel=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tempering_changes_the_momentum(dtype: torch.dtype) -> None:
    """One step with a factor is the plain step with the momentum times it; with several, positions differ, too."""
    z, momentum = start(dtype)
    step = torch.full((3,), 0.2, dtype=dtype)
    plain = leapfrog(quartic, z, momentum, step, torch.ones(1, dtype=dtype))
    cooled = leapfrog(quartic, z, momentum, step, torch.full((1,), 0.5, dtype=dtype))
    torch.testing.assert_close(cooled[0], plain[0])
    torch.testing.assert_close(cooled[1], 0.5 * plain[1])
    hot, cold = (leapfrog(quartic, z, momentum, step, torch.full((2,), f, dtype=dtype))[0] for f in (1.0, 0.5))
    assert not torch.allclose(hot, cold, atol=1e-2)


def test_schedules_begin_where_the_paper_does() -> None:
    fixed = Schedule(2, 5, 0.2, "fixed").double()
    assert fixed.temperature.item() == pytest.approx(1.5)
    k = torch.arange(6, dtype=torch.float64)
    temperatures = (1 - 1.5) * k**2 / 25 + 1.5
    torch.testing.assert_close(fixed.factors, (temperatures[1:] / temperatures[:-1]).sqrt(), atol=1e-7, rtol=0)
    free = Schedule(2, 5, 0.2, "free").double()
    torch.testing.assert_close(free.factors, torch.full((5,), 0.9, dtype=torch.float64), atol=1e-7, rtol=0)
    assert free.temperature.item() == pytest.approx(0.9**-10)
    none = Schedule(2, 5, 0.2, "none")
    assert none.factors.tolist() == [1.0] * 5
    for schedule in (fixed, free, none):
        assert schedule.step.tolist() == pytest.approx([0.2, 0.2])
        assert schedule.factors.prod().square().item() == pytest.approx(1 / schedule.temperature.item())


def test_gradients_flow_through_the_dynamics() -> None:
    """Checked by finite differences: they reach where it starts, the step sizes, and weights of the potential."""
    z, momentum = start(torch.float64, count=2)
    step = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64, requires_grad=True)
    factors = torch.tensor([0.9, 0.8], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)

    def end(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z, momentum, step, factors, weight = inputs
        return leapfrog(lambda z: weight * quartic(z), z, momentum, step, factors)

    assert torch.autograd.gradcheck(end, (z, momentum.requires_grad_(), step, factors, weight))


def test_a_quadratic_potential_turns_by_the_angle_of_the_oscillator() -> None:
    """Many small steps for a time t rotate (z, p) by t."""
    z, momentum = start(torch.float64, size=1)
    count, time = 400, 0.7
    step = torch.tensor([time / count], dtype=torch.float64)
    moved, _ = leapfrog(lambda z: 0.5 * z.square().sum(1), z, momentum, step, torch.ones(count))
    torch.testing.assert_close(moved, math.cos(time) * z + math.sin(time) * momentum, atol=1e-5, rtol=0)
