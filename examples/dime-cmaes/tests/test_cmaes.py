"""The search keeps the contract, and its Gaussian moves to where values are good."""

from typing import Any

import torch
from dime_cmaes import CMAES

from dimecli.plugin import History
from dimecli.testing import check_plugin


class Line:
    """A flat space of two dimensions whose sentences spell the first coordinate of their code."""

    latent_space = "euclidean"
    codes = torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def decode(self, codes: torch.Tensor) -> list[str]:
        return [f"{x:.6f}" for x in codes[:, 0].tolist()]


def test_contract() -> None:
    assert check_plugin("search", "cma-es") is None


def asked(history: History) -> torch.Tensor:
    space: Any = Line()
    codes = CMAES(population=10, sigma=0.5).ask(200, history, space, torch.Generator().manual_seed(1)).codes
    assert codes is not None
    return codes


def told(codes: torch.Tensor, values: torch.Tensor) -> History:
    """The first of them is what the search starts from."""
    words = Line().decode(codes)
    n = len(words)
    return History(words, codes, values, torch.ones(n).bool(), torch.arange(n).clamp(max=1), frozenset(words))


def test_it_starts_around_the_best_and_goes_where_values_are_larger() -> None:
    rng = torch.Generator().manual_seed(2)
    cloud = torch.randn(51, 2, generator=rng, dtype=torch.float64)
    start = told(torch.tensor([[1.0, -1.0]]).double(), torch.ones(1).double())
    torch.testing.assert_close(asked(start).mean(0), torch.tensor([1.0, -1.0]).double(), atol=0.1, rtol=0)
    right, left = (asked(told(cloud, sign * cloud[:, 0]))[:, 0].mean() for sign in (1, -1))
    assert left < -0.5
    assert right > 0.5


def test_draws_stay_in_the_box_of_the_codes() -> None:
    far = told(torch.full((1, 2), 2.5).double(), torch.ones(1).double())
    codes = asked(far)
    assert (codes <= Line.codes.amax(0)).all()
    assert (codes == Line.codes.amax(0)).any()


def test_generations_that_are_not_full_wait() -> None:
    """Nine evaluations after the start are no generation of ten."""
    cloud = torch.randn(11, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    values = cloud[:, 0]
    one, nine, ten = (asked(told(cloud[:n], values[:n])) for n in (1, 10, 11))
    assert torch.equal(one, nine)
    assert not torch.equal(one, ten)
