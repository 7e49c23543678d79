"""MIM: the mutual information machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.distributed import gather
from dimecli.errors import UserError
from dimecli.lazy import torch
from dimecli.plugin import Loss, Network, Objective, Spec

if TYPE_CHECKING:
    from dimecli.nn.mim import MutualInformationMachine


class MIM(Objective):
    """Encoder and decoder made to agree on one joint distribution of low entropy (Livne et al., 2019, eq. 9).

    Minimises `-1/2 E[log p(x|z) p(z)] - 1/2 E[log q(z|x) q(x)]`, half of the expectation over
    `P(x) q(z|x)`, half over `p(x|z) P(z)`: the average, over samples of the encoder and of the decoder,
    of the cross-entropies to both (eq. 15, algorithm 2). P(z) = p(z) = N(0, I), and q(x) is the marginal
    of the decoder (eq. 16), estimated with one z: `log p(x|z) + log p(z) - log q(z|x)` for z of the
    encoder, `log p(x|z)` for z of the prior. The first expectation is the term `decoding`, the second
    `encoding`, so that `--warm-up` is the beta of eq. 18; the paper trains with one.

    Gradients reach decoder samples of a density through their draws, those of pixels that are 0 or 1
    and of sentences through the score function (eq. 17), less a baseline that leaves its mean alone.
    The loss has no lower bound where p(x|z) may become narrow (`--noise learned`, or predicted, as in
    the paper's toy): it falls with the standard deviation of the posterior, down to 1e-6. Codes then
    hold nearly all of x but are far from N(0, I), so fit a density to them. Discrete x are for a-mim:
    here every z of the prior came to decode to the same image of Bernoulli `digits`, and to one of 3
    sentences of `expressions`, of which 4 % of unseen ones were reconstructed after 30 epochs, and
    87 % with a-mim (one run each). The authors' program takes probabilities of pixels for draws. The
    paper's images have two levels of 40 dimensions; here is one.
    """

    reduction: Literal["sum"] = Field(
        "sum", description="Densities of x and of z are compared, so they are in nats per sample (sum)."
    )

    fixed_terms = frozenset({"decoding"})
    presets = {
        "mim-toy": {
            "objective": {"latent_size": 2},
            "network": {"name": "mlp", "widths": [500, 500], "activation": "tanh"},
            "dataset": {"name": "gaussian-mixture", "noise": "predicted"},
            "train": {"epochs": 200, "batch_size": 128, "lr": 1e-3, "warm_up": 3},
        },
    }

    def build(self, spec: Spec, network: Network) -> MutualInformationMachine:
        """The encoder gives a mean and a log-variance per dimension.

        Raises:
            UserError: the decoder is autoregressive.
        """
        from dimecli.model import Autoregressive
        from dimecli.nn.mim import MutualInformationMachine

        model = MutualInformationMachine.of(spec, network, self.latent_size)
        if isinstance(model.decoder, Autoregressive):
            raise UserError(
                "mim draws x from the decoder in every step of training, which takes an autoregressive decoder one "
                "pass for each element; use objective a-mim, or a network that decodes all elements at once"
            )
        return model

    def loss(self, model: MutualInformationMachine, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Algorithm 2: the mean of the losses of encoder and decoder samples, in two terms."""
        z, _ = model.infer(x, rng)  # (B, l) of the encoder, for x of the data
        encoded = -model.log_joint(x, z) / 2  # both terms alike: log q(z|x) + log q(x) is log p(x|z) + log p(z)
        z = model.prior().sample(len(x), rng).to(z)  # of the prior, for x of the decoder
        x, log_likelihood = model.draw(z, rng)
        decoding = -(log_likelihood + model.prior().log_prob(z)) / 2
        encoding = -(model.posterior(x).log_prob(z) + log_likelihood) / 2
        if not model.spec.likelihood.reparametrised:
            decoding, encoding = _scored(decoding, log_likelihood), _scored(encoding, log_likelihood)
        return Loss(decoding=(encoded + decoding).mean() / 2, encoding=(encoded + encoding).mean() / 2)


def _scored(values: torch.Tensor, log_prob: torch.Tensor) -> torch.Tensor:
    """`(B,)` values with the gradient of their expectation over draws that have none: REINFORCE, eq. 17.

    The baseline of a value is the mean of the others in the whole batch, which its draw does not affect.
    """
    of_all = gather(values.detach())
    n = len(of_all)
    advantage = (values.detach() - of_all.mean()) * n / max(n - 1, 1)
    return values + advantage * (log_prob - log_prob.detach())
