"""A mixture of von Mises-Fisher distributions over codes on the sphere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import Field

from dimecli.errors import UserError
from dimecli.lazy import F, torch
from dimecli.plugin import Context, Density, Fitted

_TOLERANCE = 1e-3  # nats per code: a smaller gain is none
_REGULARISATION = 1e-8  # of the 1 - |mean| of all codes, added to that of every component: it bounds kappa


class VMFMixture(Density):
    """A mixture of von Mises-Fisher distributions, the sphere's GMM, fitted by expectation-maximisation.

    Of Banerjee et al. (2005), with exact concentrations: kappa solves `A(kappa) = |mean of the
    component's codes|`. The fit starts from k-means++. One that stops at `--max-iter` before it
    converges is used as it is,
    which is told.
    """

    components: int = Field(10, ge=1, description="Number of distributions, K.")
    max_iter: int = Field(100, ge=1, description="Most iterations of expectation-maximisation.")
    temperature: float = Field(
        1.0, gt=0, description="Factor on the spread of what is drawn: concentrations kappa become kappa / its square."
    )

    latent_spaces = frozenset({"sphere"})
    sampling_options = frozenset({"temperature"})

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The mixture of `(N, l)` codes, computed in float64.

        Raises:
            UserError: there are fewer codes than components.
            DimeError: the codes are not finite, or all the same.
        """
        from dimecli.distributions import check_codes

        if len(codes) < self.components:
            raise UserError(f"--components {self.components}: at most the number of codes, {len(codes)}, is allowed")
        check_codes(codes)
        z = F.normalize(codes.double(), dim=1)
        shares = F.one_hot((z @ _spread(z, self.components, rng).T).argmax(1), self.components).double()
        gain, log_prob, iteration = float("inf"), float("-inf"), 0
        while gain > _TOLERANCE and iteration < self.max_iter:
            mixture = _maximise(z, shares)
            joint = mixture.log_joint(z)  # (N, K)
            shares = joint.softmax(1)
            before, log_prob = log_prob, joint.logsumexp(1).mean().item()
            gain, iteration = log_prob - before, iteration + 1
        went = {"converged": torch.tensor(gain <= _TOLERANCE), "iterations": torch.tensor(iteration)}
        return self.restore({name: tensor.to(codes) for name, tensor in mixture.state().items()} | went, context)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The mixture of that state."""
        record = dict(state)
        weights, directions, concentrations = (record.pop(name) for name in ("weights", "directions", "concentrations"))
        return VonMisesFisherMixture(weights, directions, concentrations, self.temperature, record)


@dataclass(frozen=True, eq=False)
class VonMisesFisherMixture:
    """`sum_k weights_k vMF(directions_k, concentrations_k)`; `record` holds how a fit went."""

    weights: torch.Tensor  # (K,)
    directions: torch.Tensor  # (K, l)
    concentrations: torch.Tensor  # (K,)
    temperature: float = 1.0
    record: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """`(n, l)` draws of length 1, in no particular order."""
        from dimecli.nn.vmf import VonMisesFisher

        component = torch.multinomial(self.weights, n, replacement=True, generator=rng)  # (n,)
        concentration = self.concentrations[component] / self.temperature**2
        return VonMisesFisher(self.directions[component], concentration).sample(rng)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """`(n,)` nats per surface area, computed in float64."""
        return self.log_joint(F.normalize(z.double(), dim=1)).logsumexp(1).to(z.dtype)

    def log_joint(self, z: torch.Tensor) -> torch.Tensor:
        """`(n, K)` nats: the log-density of each code and component, of float64 codes."""
        from dimecli.distributions import HypersphereUniform
        from dimecli.nn.vmf import log_partition

        concentrations = self.concentrations.double()
        log_z, _ = log_partition(concentrations, z.shape[1])
        cosines = z @ F.normalize(self.directions.double(), dim=1).T
        uniform = HypersphereUniform(z.shape[1]).log_prob(z)[:, None]
        return self.weights.double().log() + uniform + concentrations * cosines - log_z

    def state(self) -> dict[str, torch.Tensor]:
        """`weights` (K,), `directions` (K, l), `concentrations` (K,), and the record."""
        learned = {"weights": self.weights, "directions": self.directions, "concentrations": self.concentrations}
        return {**self.record, **learned}

    def tempered(self, temperature: float) -> VonMisesFisherMixture:
        """The same mixture that draws from components with concentrations divided by the square of `temperature`."""
        return replace(self, temperature=temperature)


def _spread(z: torch.Tensor, components: int, rng: torch.Generator) -> torch.Tensor:
    """`(K, l)` of the codes, each drawn with a probability that is its squared distance to those before (k-means++)."""
    distances = torch.ones(len(z), dtype=z.dtype)
    chosen: list[torch.Tensor] = []
    for _ in range(components):
        chosen.append(z[torch.multinomial(distances, 1, generator=rng)[0]])
        distances = torch.minimum(distances, 1 - z @ chosen[-1]).clamp_min(1e-30)  # half the squares
    return torch.stack(chosen)


def _maximise(z: torch.Tensor, shares: torch.Tensor) -> VonMisesFisherMixture:
    """The most likely mixture for `(N, K)` shares of the codes in the components."""
    from dimecli.nn.vmf import concentration_of

    counts = shares.sum(0)
    means = (shares.T @ z) / counts.clamp_min(1e-30)[:, None]
    spread = 1 - torch.linalg.vector_norm(z.mean(0))
    gaps = 1 - torch.linalg.vector_norm(means, dim=1) + _REGULARISATION * spread
    concentrations = concentration_of(gaps.clamp(1e-15, 1), z.shape[1])
    return VonMisesFisherMixture(counts / len(z), F.normalize(means, dim=1), concentrations)
