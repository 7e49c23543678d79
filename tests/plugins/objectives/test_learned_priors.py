"""VampPrior and the hierarchical VAE: learned priors, two levels of codes, and exact log-densities."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from dimecli.data.likelihood import Bernoulli, Gaussian
from dimecli.data.sentences import Productions
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.nn.hierarchical import bounded_normal
from dimecli.plugin import Network
from dimecli_plugins.networks.mlp import MLP
from dimecli_plugins.objectives.hierarchical_vae import HierarchicalVAE
from dimecli_plugins.objectives.vampprior import VampPriorVAE

DTYPES = [torch.float32, torch.float64]
IMAGE = Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True))
VECTOR = Spec(modality="vector", shape=(2,), likelihood=Gaussian())
SENTENCE = Spec(
    modality="sentence", shape=(4,), likelihood=Productions(grammar="%start S\n%max_len 4\nS -> 'x' S | 'y'")
)
NETWORK = MLP(widths=(8,), activation="tanh")


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def batch(dtype: torch.dtype = torch.float32, count: int = 6) -> torch.Tensor:
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)


def vampprior(spec: Spec = IMAGE, network: Network = NETWORK, **options: Any) -> tuple[VampPriorVAE, Any]:
    torch.manual_seed(0)
    objective = VampPriorVAE(**{"latent_size": 3, "components": 5, **options})
    return objective, objective.build(spec, network)


def hierarchical(spec: Spec = IMAGE, network: Network = NETWORK, **options: Any) -> tuple[HierarchicalVAE, Any]:
    torch.manual_seed(0)
    sizes = {"latent_size": 7, "upper_size": 2, "components": 5, "hidden": 9}
    objective = HierarchicalVAE.model_validate({**sizes, **options})
    return objective, objective.build(spec, network)


def normal(parameters: tuple[torch.Tensor, torch.Tensor]) -> Independent[Normal]:
    return Independent(Normal(parameters[0], parameters[1].exp().sqrt()), 1)


class Normed(Network):
    """A network with a batch norm and dropout in its encoder."""

    def encoder(self, spec: Spec, features: int) -> nn.Module:
        layers = (nn.Linear(spec.elements, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, features))
        return nn.Sequential(nn.Flatten(), *layers)

    def decoder(self, spec: Spec, latent_size: int) -> nn.Module:
        return NETWORK.decoder(spec, latent_size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spec", [IMAGE, VECTOR], ids=["image", "vector"])
def test_vampprior_log_density_equals_mixture_same_family(spec: Spec, dtype: torch.dtype) -> None:
    _, model = vampprior(spec)
    model = model.to(dtype)
    posteriors = normal(model.posterior(model.pseudo_inputs()))
    mixture = MixtureSameFamily(Categorical(torch.ones(5, dtype=dtype)), posteriors)
    z = torch.randn(9, 3, generator=rng(), dtype=dtype)
    assert torch.allclose(model.prior().log_prob(z), mixture.log_prob(z), rtol=1e-5)


def test_vampprior_loss_is_the_log_ratio_at_the_sample() -> None:
    objective, model = vampprior(beta=0.7)
    x = batch()
    z, log_posterior = model.infer(x, rng())
    assert torch.allclose(log_posterior, normal(model.posterior(x)).log_prob(z), rtol=1e-4)
    terms = objective.loss(model, x, rng()).terms
    kl = 0.7 * (log_posterior - model.prior().log_prob(z)).mean()
    assert terms["kl"].item() == pytest.approx(kl.item(), rel=1e-4)
    squares = (model.decoder(z) - x).square().sum() / 6
    assert terms["reconstruction"].item() == pytest.approx(squares.item(), rel=1e-4)


def test_vampprior_of_the_data_itself_leaves_no_more_than_log_n() -> None:
    """With the data as pseudo-inputs the prior is the aggregate posterior: the KL is the information, below log N."""
    objective, model = vampprior(beta=1.0, components=6)
    x = batch()
    with torch.no_grad():
        model.pseudo_inputs.free.copy_(x)
        model.encoder[-1].weight *= 50
        model.encoder[-1].bias[3:] = -100  # narrow posteriors
        kl = objective.loss(model, x, rng()).terms["kl"].item()
    assert kl == pytest.approx(math.log(6), abs=0.05)


@pytest.mark.parametrize("build", [vampprior, lambda **options: hierarchical(prior="vamp", **options)])
def test_pseudo_inputs_leave_batch_norms_to_the_data(build: Any) -> None:
    objective, model = build(network=Normed())
    torch.manual_seed(0)
    norm: Any = next(module for module in model.encoder.modules() if isinstance(module, nn.BatchNorm1d))
    first = next(module for module in model.encoder.modules() if isinstance(module, nn.Linear))
    x = batch(count=50)
    objective.loss(model, x, rng()).total.backward()
    expected = 0.1 * first(x.flatten(1)).mean(0)  # one step of momentum 0.1 from 0
    assert torch.allclose(norm.running_mean, expected, atol=1e-6)
    assert all(module.training for module in model.modules())
    assert model.pseudo_inputs.free.grad.any()
    z = torch.zeros(1, model.latent_size)
    while_training = model.prior().log_prob(z)
    assert torch.equal(while_training, model.prior().log_prob(z))  # no dropout
    assert torch.equal(while_training, model.eval().prior().log_prob(z))
    assert not any(module.training for module in model.modules())


def test_pseudo_inputs_stay_in_the_space_of_the_data() -> None:
    _, images = vampprior(IMAGE)
    _, bits = vampprior(Spec(modality="image", shape=(1, 4, 4), likelihood=Bernoulli()))
    _, predicted = vampprior(
        Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True, noise="predicted"))
    )
    _, vectors = vampprior(VECTOR)
    for model in (images, bits, predicted, vectors):
        with torch.no_grad():
            model.pseudo_inputs.free *= 100
    for model in (images, bits, predicted):
        assert model.pseudo_inputs().shape == (5, 1, 4, 4)
        assert model.pseudo_inputs().min() >= 0
        assert model.pseudo_inputs().max() <= 1
    assert vectors.pseudo_inputs().abs().max() > 1


def test_pseudo_inputs_of_sentences_are_weights_over_symbols() -> None:
    from dimecli.nn.vamp import PseudoInputs

    weights = PseudoInputs(SENTENCE, 5)()
    assert weights.shape == (5, 4, 3)
    assert (weights > 0).all()
    assert torch.allclose(weights.sum(2), torch.ones(5, 4))


def test_codes_of_two_levels_are_the_lower_first_in_sizes_of_their_own() -> None:
    _, model = hierarchical()
    assert model.sizes == (5, 2)
    assert HierarchicalVAE(latent_size=7).build(IMAGE, NETWORK).sizes == (4, 3)
    x = batch()
    parameters = model.encoder(x)
    assert parameters.shape == (6, 2 * 2 + 9)
    upper = bounded_normal(parameters[:, :4])
    lower = model.lower_posterior(torch.cat([parameters[:, 4:], upper.mean], 1))
    assert torch.allclose(model.encode(x), torch.cat([lower.mean, upper.mean], 1))
    z, log_posterior = model.infer(x, rng())
    lower = model.lower_posterior(torch.cat([parameters[:, 4:], z[:, 5:]], 1))
    expected = normal(lower).log_prob(z[:, :5]) + normal(upper).log_prob(z[:, 5:])
    assert torch.allclose(log_posterior, expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("prior", ["standard", "vamp"])
def test_prior_of_two_levels_equals_torch_distributions(prior: str, dtype: torch.dtype) -> None:
    _, model = hierarchical(prior=prior)
    model = model.to(dtype)
    z = torch.randn(9, 7, generator=rng(), dtype=dtype)
    z1, z2 = z[:, :5], z[:, 5:]
    upper: Any = Independent(Normal(torch.zeros(2, dtype=dtype), 1.0), 1)
    if prior == "vamp":
        components = normal(bounded_normal(model.encoder.upper(model.pseudo_inputs())))
        upper = MixtureSameFamily(Categorical(torch.ones(5, dtype=dtype)), components)
    expected = upper.log_prob(z2) + normal(model.lower_prior(z2)).log_prob(z1)
    assert torch.allclose(model.prior().log_prob(z), expected, rtol=1e-5)


@pytest.mark.parametrize("prior", ["standard", "vamp"])
def test_draws_of_two_levels_of_unequal_sizes_follow_the_prior(prior: str) -> None:
    _, model = hierarchical(prior=prior)
    with torch.no_grad():
        model.lower_prior.layers[-1].weight *= 5  # so that p(z1|z2) depends on z2
        drawn = model.double().prior().sample(20_000, rng())
        assert drawn.shape == (20_000, 7)
        assert drawn.dtype == torch.float32
        z1, z2 = drawn.double()[:, :5], drawn.double()[:, 5:]
        mean, log_variance = model.lower_prior(z2)
        standard = (z1 - mean) / (log_variance / 2).exp()
        assert mean.std(0).min() > 0.1
        assert torch.allclose(standard.mean(0), torch.zeros(5).double(), atol=4 / math.sqrt(20_000))
        assert torch.allclose(standard.T.cov(), torch.eye(5).double(), atol=0.05)
        upper = model.prior().upper
        expected = torch.zeros(2) if prior == "standard" else upper.components.mean.mean(0).float()
        assert torch.allclose(z2.mean(0).float(), expected, atol=0.05)


def test_log_variances_of_two_levels_stay_in_range() -> None:
    free = torch.tensor([[0.0, -1e30], [0.0, -2.0], [0.0, 1e30]], dtype=torch.float64)
    assert bounded_normal(free).log_variance.flatten().tolist() == pytest.approx([-6, -2, 2])
    near = torch.tensor([[0.0, -2.1], [0.0, -1.9]], dtype=torch.float64)
    assert bounded_normal(near).log_variance.flatten().tolist() == pytest.approx([-2.1, -1.9], rel=1e-4)


def test_hierarchical_loss_is_the_log_ratio_at_the_sample() -> None:
    objective, model = hierarchical(beta=0.7)
    x = batch()
    z, log_posterior = model.infer(x, rng())
    terms = objective.loss(model, x, rng()).terms
    kl = 0.7 * (log_posterior - model.prior().log_prob(z)).mean()
    assert terms["kl"].item() == pytest.approx(kl.item(), rel=1e-4)
    squares = (model.decoder(z) - x).square().sum() / 6
    assert terms["reconstruction"].item() == pytest.approx(squares.item(), rel=1e-4)


def test_hierarchical_decoder_sees_both_levels() -> None:
    _, model = hierarchical()
    z = torch.randn(4, 7, generator=rng(), requires_grad=True)
    model.nll(batch()[:4], z).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().amin() > 0


@pytest.mark.parametrize(
    "build",
    [
        lambda spec: vampprior(spec, latent_size=2),
        lambda spec: hierarchical(spec, latent_size=2, upper_size=1),
        lambda spec: hierarchical(spec, latent_size=2, upper_size=1, prior="vamp"),
    ],
)
def test_importance_sampling_finds_the_exact_log_density(build: Any) -> None:
    """Against the integral of p(x|z) p(z) over a grid of codes in two dimensions."""
    _, model = build(VECTOR)
    model = model.double()
    x = torch.tensor([[0.3, -0.6]], dtype=torch.float64)
    axis = torch.linspace(-8, 8, 401, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_joint = model.prior().log_prob(z) - model.nll(x.expand(len(z), -1), z) - 2 * VECTOR.likelihood.constant
        exact = log_joint.logsumexp(0) + 2 * math.log(axis[1] - axis[0])
        weights = model.log_weight(x.expand(50_000, -1), rng())
    assert (weights.logsumexp(0) - math.log(50_000)).item() == pytest.approx(exact.item(), abs=0.03)
    assert weights.mean() < exact


def test_upper_codes_must_leave_some_for_the_lower() -> None:
    with pytest.raises(UserError, match="--upper-size 4: must be less than --latent-size, which is 4"):
        HierarchicalVAE(latent_size=4, upper_size=4).build(IMAGE, NETWORK)


@pytest.mark.parametrize("components", [None, 4])
def test_a_prior_s_density_is_that_of_codes_wherever_they_are(components: int | None) -> None:
    """A run on a GPU has its prior there, and its codes on the CPU: here float64 stands for another place."""
    objective = HierarchicalVAE(
        latent_size=4, hidden=8, components=components or 1, upper_prior="vamp" if components else "standard"
    )
    prior = objective.build(VECTOR, NETWORK).double().prior()
    z = torch.randn(5, 4)
    assert prior.log_prob(z).dtype == z.dtype
    torch.testing.assert_close(prior.log_prob(z).double(), prior.log_prob(z.double()))
