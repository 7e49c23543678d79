"""vmf-mixture, kde, bayesian-gmm and vampprior against references of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from scipy import stats
from torch import distributions as td

from dimecli.distributions import HypersphereUniform
from dimecli.errors import DimeError, UserError
from dimecli.nn.vmf import VonMisesFisher
from dimecli.plugin import Context, Density, Fitted
from dimecli_plugins.densities.bayesian_gmm import BayesianGMM
from dimecli_plugins.densities.kde import KDE
from dimecli_plugins.densities.vampprior import VampPrior
from dimecli_plugins.densities.vmf_mixture import VMFMixture

DTYPES = [torch.float32, torch.float64]
SIGMAS = 5.0
DENSITIES: dict[str, Density] = {
    "vmf-mixture": VMFMixture(components=3),
    "kde": KDE(),
    "bayesian-gmm": BayesianGMM(components=3),
    "vampprior": VampPrior(components=7),
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(n: int, size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """`(n, size)` codes in three clusters, in turns."""
    g = rng(7)
    centres = 6 * torch.randn(3, size, generator=g)
    return (centres[torch.arange(n) % 3] + torch.randn(n, size, generator=g)).to(dtype)


def sphere(n: int, size: int, kappa: float, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """`(n, size)` codes around three directions with shares 1/6, 1/3 and 1/2, and the directions."""
    directions = F.normalize(torch.randn(3, size, generator=rng(3), dtype=torch.float64), dim=1)
    chosen = torch.tensor([0, 1, 1, 2, 2, 2]).repeat(n // 6)
    q = VonMisesFisher(directions[chosen], torch.full((len(chosen),), kappa, dtype=torch.float64))
    return q.sample(rng(1)).to(dtype), directions


def fit(density: Density, codes: torch.Tensor, seed: int = 0) -> Fitted:
    std = 0.1 + codes.abs() / 10 if isinstance(density, VampPrior) else None
    return density.fit(codes, rng(seed), Context(std=std))


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("size", [2, 64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_survives_a_file(name: str, size: int, dtype: torch.dtype) -> None:
    density, codes = DENSITIES[name], clusters(120, size, dtype)
    codes = F.normalize(codes, dim=1) if name == "vmf-mixture" else codes
    fitted = fit(density, codes)
    restored = density.restore(load(save(fitted.state())), Context())
    samples = fitted.sample(30, rng(1))
    assert torch.equal(restored.sample(30, rng(1)), samples)
    assert samples.dtype == (torch.float32 if name == "vampprior" else dtype)
    log_prob = fitted.log_prob(samples)
    assert log_prob.isfinite().all()
    assert torch.equal(restored.log_prob(samples), log_prob)


@pytest.mark.parametrize("name", DENSITIES)
def test_fit_depends_on_the_generator_alone(name: str) -> None:
    codes = F.normalize(torch.randn(400, 5, generator=rng(8)), dim=1)

    def state(seed: int) -> dict[str, torch.Tensor]:
        return fit(DENSITIES[name], codes, seed).state()

    np.random.seed(0)  # sklearn's default source of randomness
    torch.manual_seed(0)
    first = state(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert all(torch.equal(tensor, first[key]) for key, tensor in state(1).items())
    if name != "kde":  # all codes are in it, whatever the seed
        assert any(not torch.equal(tensor, first[key]) for key, tensor in state(2).items())


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_come_in_random_order_and_differ_by_seed(name: str) -> None:
    """scikit-learn's come component by component, and are the same at every call for a seeded mixture."""
    codes = sphere(300, 3, 200.0)[0]
    fitted = fit(DENSITIES[name], codes)
    samples = fitted.sample(600, rng(1))
    assert not torch.equal(fitted.sample(600, rng(2)), samples)
    nearest = (samples @ sphere(6, 3, 1.0)[1].float().T).argmax(1)
    changes = (nearest.diff() != 0).double().mean().item()
    shares = torch.bincount(nearest) / 600
    expected = 1 - shares.square().sum().item()  # of independent draws
    assert abs(changes - expected) < SIGMAS * math.sqrt(0.5 / 600)


@pytest.mark.parametrize("name", DENSITIES)
def test_temperature_needs_no_new_fit(name: str) -> None:
    codes = F.normalize(clusters(300, 4), dim=1)
    density = DENSITIES[name]
    cold: Any = density.model_copy(update={"temperature": 1e-4})
    assert density.sampling_options == {"temperature"}
    fitted = fit(density, codes)
    state: Any = fitted.state()
    assert all(torch.equal(tensor, state[key]) for key, tensor in fit(cold, codes).state().items())
    centres = next(state[key] for key in ("means", "mean", "directions", "codes") if key in state)
    for frozen in (fit(cold, codes), cold.restore(state, Context())):
        assert torch.cdist(frozen.sample(100, rng(1)), centres).amin(1).max() < 1e-3
    assert torch.cdist(fitted.sample(100, rng(1)), centres).amin(1).median() > 1e-3


@pytest.mark.parametrize("name", ["vmf-mixture", "kde", "bayesian-gmm"])
def test_collapsed_codes_are_refused(name: str) -> None:
    with pytest.raises(DimeError, match="all the same"):
        fit(DENSITIES[name], torch.full((50, 3), 1 / math.sqrt(3)))


@pytest.mark.parametrize("density", [VMFMixture(), BayesianGMM()])
def test_a_code_per_component_is_needed(density: Density) -> None:
    with pytest.raises(UserError, match=r"--components 10: at most the number of codes, 9, is allowed"):
        fit(density, sphere(6, 3, 1.0)[0].repeat(2, 1)[:9])


@pytest.mark.parametrize("size", [2, 3, 16, 128])
@pytest.mark.parametrize("kappa", [1e3, 1e5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vmf_mixture_finds_concentrated_clusters(size: int, kappa: float, dtype: torch.dtype) -> None:
    codes, directions = sphere(600, size, kappa, dtype)
    state = VMFMixture(components=3).fit(codes, rng(2), Context()).state()
    assert state["converged"].item() is True
    order = (directions.to(dtype) @ state["directions"].T).argmax(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    for index, share in zip(order, (1 / 6, 1 / 3, 1 / 2), strict=True):
        assert state["weights"][index].item() == pytest.approx(share, abs=0.01)
        spread = math.sqrt(2 / (share * 600 * (size - 1)))  # relative, of a variance with so many degrees of freedom
        assert state["concentrations"][index].item() == pytest.approx(kappa, rel=SIGMAS * spread)
    direct = (directions.to(dtype) * state["directions"][order]).sum(1)
    assert (direct > 1 - 20 * size / kappa / 100).all()


def test_vmf_mixture_of_one_has_the_mean_resultant_length() -> None:
    """The most likely distribution has the codes' mean as its own (Mardia and Jupp, 2000, 10.3.1)."""
    codes, _ = sphere(600, 4, 5.0, torch.float64)
    state = VMFMixture(components=1).fit(codes, rng(), Context()).state()
    kappa, order = state["concentrations"].item(), 1
    from scipy.special import ive

    assert ive(order + 1, kappa) / ive(order, kappa) == pytest.approx(codes.mean(0).norm().item(), rel=1e-6)
    torch.testing.assert_close(state["directions"][0], F.normalize(codes.mean(0), dim=0))


@pytest.mark.parametrize("size", [2, 3, 10])
def test_vmf_mixture_log_prob_is_scipys_per_surface_area(size: int) -> None:
    codes, _ = sphere(300, size, 20.0, torch.float64)
    fitted = VMFMixture(components=3).fit(codes, rng(), Context())
    state = fitted.state()
    parts = [
        weight * stats.vonmises_fisher(direction.numpy(), kappa.item()).pdf(codes.numpy())
        for weight, direction, kappa in zip(
            state["weights"].numpy(), state["directions"], state["concentrations"], strict=True
        )
    ]
    np.testing.assert_allclose(fitted.log_prob(codes), np.log(sum(parts)), rtol=1e-7, atol=1e-7)
    z = HypersphereUniform(size).sample(200_000, rng(5))
    ratio = (fitted.log_prob(z) - HypersphereUniform(size).log_prob(z)).exp()
    assert abs(ratio.mean().item() - 1) < SIGMAS * ratio.std().item() / math.sqrt(len(z))  # integrates to 1


def test_vmf_mixture_never_lowers_the_likelihood() -> None:
    codes = F.normalize(torch.randn(300, 4, generator=rng(2)) + torch.tensor([1.0, 0, 0, 0]), dim=1)
    means = [
        VMFMixture(components=4, max_iter=steps).fit(codes, rng(3), Context()).log_prob(codes).mean().item()
        for steps in (1, 2, 4, 8, 16)
    ]
    assert means == sorted(means)
    assert means[-1] > means[0]


def test_vmf_mixture_survives_more_components_than_distinct_codes() -> None:
    codes = sphere(6, 3, 1.0)[0][:2].repeat(20, 1)
    fitted = VMFMixture(components=5).fit(codes, rng(), Context())
    samples = fitted.sample(100, rng(1))
    assert torch.cdist(samples, codes[:2]).amin(1).max() < 1e-2
    assert fitted.log_prob(samples).isfinite().all()


@pytest.mark.parametrize("rule", ["scott", "silverman"])
@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("dtype", DTYPES)
def test_kde_is_scipys(rule: Any, size: int, dtype: torch.dtype) -> None:
    codes = clusters(200, size, dtype)
    z = codes[:50] + 0.3
    expected = stats.gaussian_kde(codes.double().numpy().T, bw_method=rule)
    fitted = KDE(bandwidth=rule).fit(codes, rng(), Context())
    assert fitted.state()["bandwidth"].item() == pytest.approx(expected.factor, rel=1e-12)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    np.testing.assert_allclose(fitted.log_prob(z), expected.logpdf(z.double().numpy().T), rtol=tolerance)


def test_kde_samples_have_the_mean_and_covariance_of_the_estimate() -> None:
    codes = clusters(100, 3, torch.float64)
    fitted = KDE(bandwidth="scott").fit(codes, rng(), Context())
    samples = fitted.sample(50_000, rng(1))
    h = fitted.state()["bandwidth"].item()
    expected = torch.cov(codes.T, correction=0) + h**2 * torch.cov(codes.T)
    error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - codes.mean(0)).abs() < SIGMAS * error).all()
    torch.testing.assert_close(torch.cov(samples.T), expected, rtol=0, atol=0.03 * expected.max().item())


def test_kde_bandwidth_is_the_best_of_a_brute_force_leave_one_out() -> None:
    codes = clusters(60, 2, torch.float64)
    state = KDE().fit(codes, rng(), Context()).state()
    inverse = np.linalg.inv(np.cov(codes.numpy().T))

    def left_out(h: float) -> float:
        total = 0.0
        for i, a in enumerate(codes.numpy()):
            kernels = [math.exp(-(a - b) @ inverse @ (a - b) / (2 * h * h)) for b in np.delete(codes.numpy(), i, 0)]
            total += math.log(sum(kernels)) - 2 * math.log(h)
        return total

    h = state["bandwidth"].item()
    assert left_out(h) > max(left_out(h * 1.25), left_out(h / 1.25))
    assert h < stats.gaussian_kde(codes.numpy().T).factor  # clusters are narrower than Scott's rule takes them for


def test_bayesian_gmm_is_sklearns_with_raes_settings() -> None:
    from sklearn.mixture import BayesianGaussianMixture

    codes = clusters(300, 4, torch.float64)
    seed = int(torch.randint(2**31, (), generator=rng()))
    theirs = BayesianGaussianMixture(
        n_components=10,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.1,
        reg_covar=1e-6 * codes.var(0).mean().item(),
        random_state=seed,
        max_iter=100,
    )
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(codes.numpy())
    state = BayesianGMM().fit(codes, rng(), Context()).state()
    np.testing.assert_allclose(state["weights"], theirs.weights_, rtol=1e-9)
    np.testing.assert_allclose(state["means"], theirs.means_, rtol=1e-9)
    scale_trils = state["scale_trils"]
    np.testing.assert_allclose(scale_trils @ scale_trils.mT, theirs.covariances_, rtol=1e-6, atol=1e-9)
    assert state["iterations"].item() == theirs.n_iter_


def test_bayesian_gmm_empties_what_a_small_concentration_does_not_need() -> None:
    codes = clusters(900, 3)
    few = BayesianGMM(concentration=1e-3, max_iter=500).fit(codes, rng(), Context()).state()["weights"]
    assert (few > 0.01).sum() == 3
    assert few.sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 16])
def test_vampprior_is_the_mixture_of_posteriors(dtype: torch.dtype, size: int) -> None:
    codes = clusters(40, size, dtype)
    std = 0.1 + torch.rand(40, size, generator=rng(4), dtype=dtype)
    fitted = VampPrior(components=40).fit(codes, rng(), Context(std=std))
    normals = td.Independent(td.Normal(codes, std), 1)
    reference = td.MixtureSameFamily(td.Categorical(torch.ones(40, dtype=dtype)), normals)
    z = codes[:20] + 0.2
    torch.testing.assert_close(fitted.log_prob(z), reference.log_prob(z), rtol=1e-5, atol=1e-5)


def test_vampprior_draws_a_random_component_each_time() -> None:
    """Not the first pseudo-inputs in order, and not N(0, I)."""
    codes = torch.arange(10.0)[:, None] * 100
    fitted = VampPrior(components=10).fit(codes, rng(), Context(std=torch.full((10, 1), 0.5)))
    samples = fitted.sample(5_000, rng(1))[:, 0]
    component = (samples / 100).round().long()
    assert stats.chisquare(torch.bincount(component, minlength=10).numpy()).pvalue > 1e-4
    assert not torch.equal(component[:10], component[10:20])
    assert (samples - 100 * component).std().item() == pytest.approx(0.5, rel=0.06)


def test_vampprior_takes_some_training_samples_or_all() -> None:
    codes = clusters(30, 4)
    mean = fit(VampPrior(components=8), codes).state()["mean"]
    assert len(mean.unique(dim=0)) == 8
    assert (mean[:, None] == codes).all(2).any(1).all()
    assert len(fit(VampPrior(), codes).state()["mean"]) == 30


def test_vampprior_refuses_codes_without_posteriors() -> None:
    with pytest.raises(UserError, match="no Gaussian posteriors; use gmm or kde"):
        VampPrior().fit(clusters(30, 4), rng(), Context())
