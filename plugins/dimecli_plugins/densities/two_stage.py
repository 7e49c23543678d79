"""The second stage of the two-stage variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dimecli.lazy import torch
from dimecli.plugin import Context, Density, Fitted

if TYPE_CHECKING:
    from dimecli.nn.second_stage import SecondStage

_LEAST_SCALE = 1e-5  # of a dimension, as a share of the codes' root mean variance


class TwoStage(Density):
    """A second variational autoencoder, fitted to codes drawn from the posteriors of the first (Dai and Wipf 2019).

    `z = dec(u) + gamma eps` with u of the same dimension as z, and gamma learned; every network is a ReLU
    MLP whose last layer sees its input as well. Codes are drawn anew whenever they are seen from
    N(code, std^2), the posteriors of the run's first stage; codes of a deterministic encoder are taken as
    they are. What is drawn has the noise gamma eps, without which it would lie on the mean of a manifold.

    The authors train 3 layers of 1024 units with Adam at 1e-4 for 800 epochs in batches of 64, halving the
    rate every 300 (`--widths 1024,1024,1024 --batch-size 64`, 750,000 steps for 60,000 codes), which is hours
    on a CPU; the default takes half a minute, and on 54,000 codes of a VAE on MNIST gives draws of test
    posteriors -14.6 nats, where `gmm` gives -14.4. Dimensions are brought to one scale first, a tenth of the
    codes is held out to stop in time, and `log_prob` is a lower bound by importance sampling, with 100 draws,
    in nats of the whole space, on the sphere too. Their first stage learns the noise of its decoder as well
    (`dime train vae --noise learned`).
    """

    normalized = False

    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (256, 256, 256), min_length=1, description="Units of the hidden layers of both networks."
    )
    steps: int = Field(2000, ge=1, description="Most steps of Adam; it stops when the held-out bound gets no better.")
    batch_size: int = Field(256, ge=1, description="Codes per step.")
    lr: float = Field(1e-3, gt=0, description="Learning rate, which falls to 0 as a cosine.")

    def fit(self, codes: torch.Tensor, rng: torch.Generator, context: Context) -> Fitted:
        """The model of `(N, l)` codes, with the standard deviations of the context, where it has them.

        Raises:
            DimeError: the codes are not finite, or all the same, or the fit diverged.
        """
        from dimecli.distributions import check_codes
        from dimecli.nn.fit import fit, fresh_weights

        check_codes(codes)
        std = torch.zeros_like(codes) if context.std is None else context.std.to(codes)
        with fresh_weights(rng):
            stage = self._fresh(codes.shape[1]).to(codes.dtype)
        variance = codes.var(0, correction=0) + std.square().mean(0)  # (l,)
        stage.loc.copy_(codes.mean(0))
        stage.scale.copy_(variance.clamp_min(_LEAST_SCALE**2 * variance.mean()).sqrt())
        rows = torch.cat((codes, std), 1)  # (N, 2 l)
        return fit(stage, rows, rng, context, steps=self.steps, batch_size=self.batch_size, lr=self.lr)

    def restore(self, state: Mapping[str, torch.Tensor], context: Context) -> Fitted:
        """The model of that state."""
        from dimecli.nn.fit import restored

        return restored(lambda: self._fresh(len(state["loc"])), state)

    def _fresh(self, size: int) -> SecondStage:
        from dimecli.nn.second_stage import SecondStage

        return SecondStage(size, self.widths)
