"""The Hamiltonian variational autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Spec, VariationalObjective
from dimecli_plugins.presets import dime_table2

if TYPE_CHECKING:
    from dimecli.nn.hamiltonian import HamiltonianModel


class HamiltonianVAE(VariationalObjective):
    """A Gaussian posterior moved by K leapfrog steps towards what the decoder finds probable (Caterini et al. 2018).

    From `z_0 ~ q(z|x)` and `p_0 ~ N(0, T_0 I)`, K steps of the dynamics of `U(z) = -log p(x|z) + |z|^2 / 2`
    give (z_K, p_K); after each the momentum is multiplied by sqrt(T_k / T_(k-1)) until T_K = 1. With l
    learned step sizes below 0.5 it minimises (algorithm 1)
    `E[-log p(x|z_K) + |z_K|^2 / 2 + |p_K|^2 / 2] - sum log sigma(x) - l`. Beta weights all but the first
    term; U then has -log p(x|z) / beta, so that the loss stays beta times a bound, of a decoder whose
    likelihood is raised to 1 / beta. Gradients pass through the dynamics, at a price of K + 2 passes
    through the decoder, most of them twice backward; ReLU decoders have no curvature there, and
    `--activation softplus` of the network `mlp` has. Batch norms in a decoder make the dynamics of
    the samples of a batch depend on each other while training.

    A code is where the dynamics take the mean of q from rest: on `digits`, after 30 epochs, it has 0.74
    nats of reconstruction where the mean itself has 0.86. `log_prob` weights pairs (z, p), because
    q(z_K|x) alone has no closed form.
    """

    steps: int = Field(3, ge=1, description="Number of leapfrog steps, K.")
    first_step: float = Field(
        0.2, gt=0, lt=0.5, description="Step size epsilon to begin with, of every dimension; learned, below 0.5."
    )
    tempering: Literal["fixed", "free", "none"] = Field(
        "fixed",
        description="Momenta cool down quadratically (fixed) or by learned factors (free), or have temperature 1.",
    )
    beta: float | None = Field(
        None,
        gt=0,
        description="Weight of the divergence; if not given, 0.1 for sentences and for x with a fixed variance, "
        "else 1 (ELBO).",
    )

    presets = {
        # Caterini et al., MNIST: Bernoulli logits, whose loss is the bound itself. They ran 1 to 20 steps; 5 are the
        # fewest with every tempering. Their 5 x 5 convolutions are not here, their dense layer and its softplus are.
        "paper": {
            "objective": {"latent_size": 64, "steps": 5, "first_step": 0.2, "tempering": "fixed", "beta": 1.0},
            "network": {"name": "mlp", "widths": [450], "activation": "softplus"},
            "dataset": {"name": "mnist", "image_size": 28, "likelihood": "bernoulli", "binarize": "dynamic"},
            "train": {"epochs": 2000, "batch_size": 100, "optimizer": "adamax", "lr": 5e-4, "early_stop": 100},
        },
        # pythae minimises SSE / 2 + KL, half of SSE + 2 KL; its steps are of size 0.001 and its tempering has no effect
        "dime-table2": dime_table2({"steps": 3, "first_step": 1e-3, "tempering": "none", "beta": 2.0}),
    }

    def build(self, spec: Spec, network: Network) -> HamiltonianModel:
        """The encoder gives a mean and a log-variance per dimension."""
        from dimecli.nn.hamiltonian import HamiltonianModel, Schedule

        encoder, decoder = network.encoder(spec, 2 * self.latent_size), network.decoder(spec, self.latent_size)
        schedule = Schedule(self.latent_size, self.steps, self.first_step, self.tempering)
        weight = self.weight(spec) * (spec.elements if self.reduction == "mean" else 1)
        return HamiltonianModel(spec, encoder, decoder, schedule, weight)

    def loss(self, model: HamiltonianModel, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """The negative bound; the expectations over the first position and momentum are exact where they can be."""
        start = model.start(x)
        first = start.sample(rng)
        noise = torch.randn(first.shape, generator=rng, device=first.device, dtype=first.dtype)
        z, momentum = model.move(x, first, noise)  # (B, l)
        squares = z.square() + momentum.square()
        kl = (0.5 * (squares - start.log_variance) - 1).sum(1)
        return Loss(reconstruction=self.reconstruction(model, x, z), kl=self.weight(model.spec) * kl.mean())
