"""InfoMax-VAE: a variational autoencoder that maximises the information in its codes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dimecli.distributed import gather, rank
from dimecli.lazy import torch
from dimecli.nn.divergence import Divergence, lower_bound, shuffled
from dimecli.plugin import Loss, Network, Spec, VariationalObjective

if TYPE_CHECKING:
    from dimecli.model import VariationalAutoencoder

_TRAIN = {"lr": 1e-3}
_BERNOULLI = {"likelihood": "bernoulli"}


class InfoMaxVAE(VariationalObjective):
    """A VAE rewarded for the mutual information of data and codes, as a critic estimates it (InfoMax-VAE, eq. 6).

    Minimises `E_q[-log p(x|z)] + beta KL(q(z|x) || N(0, I)) - alpha D(q(x, z) || q(x) q(z))`, where D is
    bounded from below by scores t of pairs (x, z) against pairs whose codes were shuffled in the batch:
    `E t - E exp(t - 1)` for D = KL, the mutual information (eq. 6), `E t - log E exp(t)` (eq. 12), or the
    bound of another divergence. The critic maximises the same bound (algorithm 1).

    The paper's alpha and beta are options `--gamma` and `--alpha` of its released program. Its
    reconstruction is a cross-entropy summed over pixels, so its weights hold for `--likelihood
    bernoulli`. The information in codes of N samples is at most log N nats, and a batch of B shows about
    log B of it: a larger estimate is not to be believed, and one above log N is warned of. Batches under
    64 are too small to shuffle.
    """

    alpha: float = Field(10.0, ge=0, description="Weight alpha of the mutual information, eq. 3.")
    divergence: Divergence = Field(
        "kl-f", description="D of eq. 4: KL by its f-dual (eq. 6) or Donsker-Varadhan (eq. 12) bound, or another."
    )
    critic_lr: float = Field(1e-4, gt=0, description="Learning rate of the critic t.")
    critic_widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1000, 400, 100), description="Units of the critic's hidden layers."
    )
    clip_logits: float = Field(20.0, gt=0, le=50, description="Largest absolute score t of the critic.")

    presets = {
        "infomax-fc": {
            "objective": {"latent_size": 2, "alpha": 10, "beta": 1},
            "network": {"name": "infomax-mlp"},
            "dataset": {"name": "mnist", "image_size": 28, **_BERNOULLI},
            "train": _TRAIN,
        },
        "infomax-cnn": {
            "objective": {"latent_size": 20, "alpha": 20, "beta": 1},
            "network": {"name": "infomax-conv"},
            "dataset": {"name": "mnist", "image_size": 28, **_BERNOULLI},
            "train": _TRAIN,
        },
        "infomax-cifar10": {
            "objective": {"latent_size": 100, "alpha": 10, "beta": 0.1},
            "network": {"name": "infomax-conv"},
            "dataset": {"name": "cifar10", **_BERNOULLI},
            "train": _TRAIN,
        },
        "infomax-celeba": {
            "objective": {"latent_size": 100, "alpha": 10, "beta": 1},
            "network": {"name": "infomax-conv"},
            "dataset": {"name": "celeba", **_BERNOULLI},
            "train": _TRAIN,
        },
    }

    @property
    def players(self) -> dict[str, float]:
        """The critic."""
        return {"critic": self.critic_lr}

    def build(self, spec: Spec, network: Network) -> VariationalAutoencoder:
        """A variational autoencoder and its critic."""
        from dimecli.model import VariationalAutoencoder
        from dimecli.nn.critic import Critic

        model = VariationalAutoencoder.of(spec, network, self.latent_size)
        model.add_module("critic", Critic(spec, self.latent_size, self.critic_widths, self.clip_logits))
        return model

    def notes(self, terms: Mapping[str, float], samples: int) -> Sequence[str]:
        """Whether the estimate of the information is more than the samples can have."""
        bound = -terms["critic"]
        if not self.divergence.startswith("kl") or bound <= math.log(samples):
            return ()
        return (
            f"the critic's estimate of the information, {bound:.4g} nats, is above log N = {math.log(samples):.4g}",
        )

    def loss(self, model: VariationalAutoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Eq. 6, negated; the bound is that of the whole batch, over all processes."""
        posterior = model.posterior(x)
        z = posterior.sample(rng)  # (B, l)
        critic = model.get_submodule("critic")
        others = shuffled(gather(z), rng)[rank() * len(z) :][: len(z)]  # (B, l), of the whole batch
        bound = lower_bound(self.divergence, gather(critic(x, z)), gather(critic(x, others)))
        return Loss(
            players={"critic": -bound},
            reconstruction=self.reconstruction(model, x, z),
            kl=self.weight(model.spec) * posterior.kl().mean(),
            information=-self.alpha * bound,
        )
