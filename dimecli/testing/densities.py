"""What densities, and the distributions that they fit, promise to do."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dimecli.lazy import F, torch
from dimecli.plugin import Context, Density, Fitted, LatentSpace
from dimecli.testing.contract import Contract
from dimecli.testing.expect import check_tensor, expect, only_own_randomness, seeded
from dimecli.testing.integral import Integral, over_circle, over_plane

CODES = 4
"""Dimension of the codes in all checks but those of integrals, which are of two."""
_OFF = 0.1  # by which an integral may differ from one: a forgotten constant is far more
_DRAWS = 2000
_CELLS = 8  # each of which is split by the log-density
_TOO_MUCH = 80.0  # chi-square of 15 degrees of freedom: chance gives more than 61 once in a million


def check_density(contract: Contract, density: Density) -> None:
    """Fits, samples, and restores what was fitted, on each of its latent spaces."""
    for space in sorted(density.latent_spaces):
        with contract.section(f"codes of a {space} latent space"):
            _check_space(contract, density, space)
            if density.normalized:
                _check_integral(contract, density, space)


def _check_space(contract: Contract, density: Density, space: LatentSpace) -> None:
    codes = torch.randn(200, CODES)
    codes = F.normalize(codes, dim=1) if space == "sphere" else codes
    context = _context(space, codes)
    with contract.needed("it fits them"), only_own_randomness():
        fitted = density.fit(codes, seeded(), context)
    drawn = check_fitted(contract, fitted)
    with contract.promise("what restore gives is what fit gave"):
        restored = density.restore(fitted.state(), Context(context.prior))
        same = torch.equal(restored.sample(50, seeded()), drawn)
        same &= torch.equal(restored.log_prob(drawn), fitted.log_prob(drawn))
        expect(same, "it draws or weighs otherwise", "put all that is learned into state()")
    with contract.promise("state() survives being written to a safetensors file and read"):
        _check_state(fitted)


def _context(space: LatentSpace, codes: torch.Tensor) -> Context:
    from dimecli.distributions import HypersphereUniform, StandardNormal

    size = codes.shape[1]
    if space == "sphere":
        return Context(HypersphereUniform(size))
    return Context(StandardNormal(size), torch.full_like(codes, 0.1))


def check_fitted(contract: Contract, fitted: Fitted) -> torch.Tensor:
    """Checks a distribution over codes; returns 50 draws."""
    with contract.needed("sample(n, rng) draws n finite codes"), only_own_randomness():
        drawn = fitted.sample(50, seeded())
        check_tensor(drawn, (50, CODES), "sample(50, rng)")
    with contract.promise("the same seed gives the same draws"):
        expect(torch.equal(drawn, fitted.sample(50, seeded())), "it gives others", "draw from `rng` only")
    with contract.promise("log_prob(z) is finite at its draws"):
        check_tensor(fitted.log_prob(drawn), (50,), "log_prob(z)")
    return drawn


def _check_state(fitted: Fitted) -> None:
    from dimecli.run.files import read_tensors, write_tensors

    state = fitted.state()
    for name, value in state.items():
        expect(isinstance(value, torch.Tensor), f"'{name}' is a {type(value).__name__}", "make it a tensor")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.safetensors"
        write_tensors(file, state, {})
        read, _ = read_tensors(file)
    torch.testing.assert_close(read, dict(state), rtol=0, atol=0, equal_nan=True)


def _check_integral(contract: Contract, density: Density, space: LatentSpace) -> None:
    """On two-dimensional codes: what `log_prob` integrates to, and whether draws are where it says."""
    codes = _clusters(space)
    with contract.needed("it fits two-dimensional ones"):
        fitted = density.fit(codes, seeded(), _context(space, codes))
        draws = fitted.sample(_DRAWS, seeded())
        check_tensor(draws, (_DRAWS, 2), f"sample({_DRAWS}, rng)")
    lengths = torch.linalg.vector_norm(draws, dim=1)
    on_circle = torch.allclose(lengths, torch.ones_like(lengths), atol=1e-4)
    where, measure = ("circle", "surface area") if on_circle else ("plane", "volume")
    with contract.promise(f"exp(log_prob), per {measure}, integrates to one over the {where}"):
        around = torch.cat([draws[:150], codes[:100]])
        integral = over_circle(fitted) if on_circle else over_plane(fitted, around, seeded())
        cure = "mind the constants, or say `normalized = False` if it is a bound or known up to a constant"
        allowed = max(_OFF, 4 * integral.error)  # of what is very narrow the integral is rough
        expect(abs(integral.total - 1) < allowed, f"it gives {integral.total:.3g}", cure)
    with contract.promise("as many draws lie in each part of the space as log_prob says"):
        surprise = _chi_square(integral, fitted, draws, codes[:_CELLS])
        wrong = f"of {_DRAWS} draws, the numbers in {2 * _CELLS} parts have a chi-square of {surprise:.0f}"
        expect(surprise < _TOO_MUCH, wrong, "let sample() and log_prob() be of the same distribution")


def _chi_square(integral: Integral, fitted: Fitted, draws: torch.Tensor, centres: torch.Tensor) -> float:
    """Of the draws nearest to each centre, and below or above the density's median there; less is likelier."""
    level = integral.median

    def cells(z: torch.Tensor, log_prob: torch.Tensor) -> torch.Tensor:
        nearest = torch.cdist(z.double(), centres.double()).argmin(1)
        return F.one_hot(2 * nearest + (log_prob > level), 2 * len(centres)).double()  # (n, cells)

    expected, variance = integral.mean(cells(integral.points, integral.log_prob))
    counts = cells(draws, fitted.log_prob(draws).double()).sum(0)
    n = len(draws)
    spread = n * expected * (1 - expected) + n**2 * variance + 1  # 1: a cell with next to nothing says nothing
    return ((counts - n * expected).square() / spread).sum().item()


def _clusters(space: LatentSpace) -> torch.Tensor:
    """`(300, 2)` codes in three clusters of different sizes; on the sphere arcs of the circle."""
    rng = seeded()
    cluster = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 300, replacement=True, generator=rng)
    if space == "sphere":
        angle = torch.tensor([0.3, 2.0, 4.5])[cluster] + 0.4 * torch.randn(300, generator=rng)
        return torch.stack([angle.cos(), angle.sin()], 1)
    centre = torch.tensor([[0.0, 0.0], [3.0, 1.0], [-1.0, 2.5]])[cluster]
    return centre + torch.tensor([0.8, 0.5]) * torch.randn(300, 2, generator=rng)
