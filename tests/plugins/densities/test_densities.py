from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from dimecli.distributions import HypersphereUniform, StandardNormal
from dimecli.errors import DimeError, UserError
from dimecli.plugin import Context, Density
from dimecli_plugins.densities.gaussian import Gaussian
from dimecli_plugins.densities.gmm import GMM
from dimecli_plugins.densities.prior import Prior
from dimecli_plugins.densities.sphere_uniform import SphereUniform

DENSITIES: dict[str, Density] = {
    "gaussian": Gaussian(),
    "gmm": GMM(components=3),
    "gmm-diag": GMM(components=3, covariance="diag"),
    "prior": Prior(),
    "sphere-uniform": SphereUniform(),
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(n: int, size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """`(n, size)` codes in three clusters, correlated within each."""
    g = rng(7)
    mix = torch.randn(size, size, generator=g)
    centres = 6 * torch.randn(3, size, generator=g)
    chosen = torch.multinomial(torch.tensor([0.2, 0.3, 0.5]), n, replacement=True, generator=g)
    codes: torch.Tensor = centres[chosen] + torch.randn(n, size, generator=g) @ mix / math.sqrt(size)
    return codes.to(dtype)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("size", [1, 2, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_density_survives_a_file(name: str, size: int, dtype: torch.dtype) -> None:
    density, codes, prior = DENSITIES[name], clusters(100, size, dtype), StandardNormal(size)
    fitted = density.fit(codes, rng(), Context(prior))
    restored = density.restore(load(save(fitted.state())), Context(prior))
    samples = fitted.sample(30, rng(1))
    assert samples.shape == (30, size)
    assert samples.dtype == (dtype if "g" in name else torch.float32)
    assert torch.equal(restored.sample(30, rng(1)), samples)
    log_prob = fitted.log_prob(samples)
    assert log_prob.shape == (30,)
    assert log_prob.isfinite().all()
    assert torch.equal(restored.log_prob(samples), log_prob)


@pytest.mark.parametrize("size", [1, 2, 16, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gaussian_has_the_mean_and_covariance_of_numpy(size: int, dtype: torch.dtype) -> None:
    codes = clusters(500, size, dtype)
    state = Gaussian().fit(codes, rng(), Context()).state()
    exact = codes.numpy().astype(np.float64)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    scale_tril = state["scale_trils"][0].double()
    covariance = np.atleast_2d(np.cov(exact, rowvar=False))
    np.testing.assert_allclose(state["means"][0], exact.mean(0), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(scale_tril @ scale_tril.T, covariance, atol=tolerance * np.abs(covariance).max())


@pytest.mark.parametrize("density", [Gaussian(), GMM(components=2), GMM(components=2, covariance="diag")])
@pytest.mark.parametrize("degenerate", ["constant column", "repeated column", "few codes"])
def test_codes_on_a_subspace(density: Density, degenerate: str) -> None:
    codes = clusters(200, 8)
    if degenerate == "constant column":
        codes[:, 3] = 0.1
    elif degenerate == "repeated column":
        codes[:, 3] = codes[:, 2]
    else:
        codes = codes[:5]
    fitted = density.fit(codes, rng(), Context())
    samples = fitted.sample(500, rng(1))
    assert samples.isfinite().all()
    assert fitted.log_prob(samples).isfinite().all()
    assert fitted.log_prob(codes).isfinite().all()
    if degenerate == "constant column":
        assert (samples[:, 3] - 0.1).abs().max() < 0.01 * codes.std()
    if degenerate == "repeated column" and not (isinstance(density, GMM) and density.covariance == "diag"):
        assert (samples[:, 3] - samples[:, 2]).abs().max() < 0.01 * codes.std()


@pytest.mark.parametrize("density", [Gaussian(), GMM(components=2)])
def test_collapsed_codes_are_refused(density: Density) -> None:
    with pytest.raises(DimeError, match="all the same"):
        density.fit(torch.full((50, 3), 0.1), rng(), Context())


@pytest.mark.parametrize("density", [Gaussian(), GMM(components=3)])
def test_temperature_needs_no_new_fit(density: Density) -> None:
    codes = clusters(300, 4)
    cold: Any = density.model_copy(update={"temperature": 1e-6})
    assert density.sampling_options == {"temperature"}
    fitted, chilled = density.fit(codes, rng(), Context()), cold.fit(codes, rng(), Context())
    assert all(torch.equal(tensor, chilled.state()[name]) for name, tensor in fitted.state().items())
    for frozen in (chilled, cold.restore(fitted.state(), Context())):
        assert nearest(frozen.sample(100, rng(1)), fitted.state()["means"]).max() < 1e-3
    assert nearest(fitted.sample(100, rng(1)), fitted.state()["means"]).median() > 0.1


def nearest(z: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    """`(n,)` distances to the nearest of the means."""
    distances: torch.Tensor = torch.linalg.vector_norm(z[:, None] - means, dim=2)
    return distances.amin(1)


@pytest.mark.parametrize("covariance", ["full", "diag"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gmm_log_prob_is_sklearns(covariance: Any, dtype: torch.dtype) -> None:
    from sklearn.mixture import GaussianMixture

    codes = clusters(400, 5, dtype)
    fitted = GMM(components=3, covariance=covariance).fit(codes, rng(4), Context())
    same = GaussianMixture(3, covariance_type=covariance)
    same.weights_, same.means_ = fitted.state()["weights"].double().numpy(), fitted.state()["means"].double().numpy()
    precisions = torch.linalg.inv(fitted.state()["scale_trils"].double()).mT
    same.precisions_cholesky_ = (precisions if covariance == "full" else precisions.diagonal(dim1=1, dim2=2)).numpy()
    z = codes + torch.randn(codes.shape, generator=rng(), dtype=dtype)
    np.testing.assert_allclose(fitted.log_prob(z), same.score_samples(z.double().numpy()), rtol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_gmm_finds_separate_clusters(covariance: Any) -> None:
    g = rng()
    centres = torch.tensor([[-20.0, 0.0], [0.0, 20.0], [20.0, 0.0]])
    label = torch.arange(600) % 6
    label = torch.where(label < 3, 2, label % 2)  # shares 1/6, 1/3 and 1/2 of the three centres
    scale = torch.tensor([[1.0, 0.5], [0.3, 2.0], [1.0, 1.0]])
    codes = centres[label] + scale[label] * torch.randn(600, 2, generator=g)
    state = GMM(components=3, covariance=covariance).fit(codes, g, Context()).state()
    order = state["means"][:, 0].argsort()
    for k, found in enumerate(order.tolist()):
        cluster = codes[label == k].double()
        expected = torch.cov(cluster.T, correction=0)
        expected = torch.diag(expected.diagonal()) if covariance == "diag" else expected
        scale_tril = state["scale_trils"][found].double()
        assert state["weights"][found].item() == pytest.approx(len(cluster) / 600, abs=1e-6)
        torch.testing.assert_close(state["means"][found].double(), cluster.mean(0), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(scale_tril @ scale_tril.T, expected, rtol=1e-3, atol=1e-3)


def test_gmm_says_how_its_fit_went_and_warns_of_nothing() -> None:
    codes = clusters(300, 4)
    stopped = GMM(components=8, max_iter=1).fit(codes, rng(), Context()).state()  # warnings are errors here
    assert (stopped["converged"].item(), stopped["iterations"].item()) == (False, 1)
    done = GMM(components=2).fit(codes, rng(), Context()).state()
    assert done["converged"].item() is True
    assert 1 <= done["iterations"].item() <= 100


def test_gmm_depends_on_the_generator_alone() -> None:
    codes, gmm = clusters(300, 4), GMM(components=8)
    np.random.seed(0)  # sklearn's default source of randomness
    first = gmm.fit(codes, rng(1), Context()).state()["means"]
    np.random.seed(1)
    assert torch.equal(gmm.fit(codes, rng(1), Context()).state()["means"], first)
    assert not torch.equal(gmm.fit(codes, rng(2), Context()).state()["means"], first)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_gmm_follows_the_scale_of_the_codes(scale: float) -> None:
    codes = clusters(300, 3, torch.float64)
    state = GMM(components=3).fit(codes, rng(), Context()).state()
    scaled = GMM(components=3).fit(scale * codes, rng(), Context()).state()
    torch.testing.assert_close(scaled["weights"], state["weights"])
    torch.testing.assert_close(scaled["scale_trils"], scale * state["scale_trils"])


def test_gmm_needs_a_code_per_component() -> None:
    with pytest.raises(UserError, match=r"--components 10: at most the number of codes, 9, is allowed"):
        GMM().fit(clusters(9, 2), rng(), Context())
    assert GMM(components=9).fit(clusters(9, 2), rng(), Context()).state()["weights"].shape == (9,)


def test_prior_is_the_objectives() -> None:
    codes = clusters(10, 4)
    for prior in (StandardNormal(4), HypersphereUniform(4)):
        assert Prior().fit(codes, rng(), Context(prior)) is prior
        assert Prior().restore(prior.state(), Context(prior)) is prior
    with pytest.raises(UserError, match="has no prior; use --density gaussian or gmm"):
        Prior().fit(codes, rng(), Context())
    with pytest.raises(UserError, match="has no prior"):
        Prior().restore({}, Context())


def test_priors_temperature() -> None:
    cold = Prior(temperature=0.5).fit(clusters(10, 4), rng(), Context(StandardNormal(4)))
    assert torch.equal(cold.sample(9, rng()), 0.5 * StandardNormal(4).sample(9, rng()))
    with pytest.raises(UserError, match=r"--temperature 0\.5: .* HypersphereUniform, has no standard deviation"):
        Prior(temperature=0.5).fit(clusters(10, 4), rng(), Context(HypersphereUniform(4)))


@pytest.mark.parametrize("size", [2, 64])
def test_sphere_uniform_takes_the_dimension_of_the_codes(size: int) -> None:
    fitted = SphereUniform().fit(clusters(10, size), rng(), Context())
    assert torch.equal(fitted.sample(20, rng()), HypersphereUniform(size).sample(20, rng()))
    assert SphereUniform.latent_spaces == {"sphere"}
    assert "temperature" not in SphereUniform.model_fields
