"""A sparse autoencoder, as a third party would add it to dime."""

from pydantic import Field

from dimecli.plugin import Loss, Objective


class Hello(Objective):
    """A sparse autoencoder: an L1 penalty keeps most entries of a code small."""

    sparsity: float = Field(0.01, ge=0, description="Weight of the L1 norm of a code.")

    def loss(self, model, x, rng):
        """Reconstruction and penalty, in nats per sample."""
        z = model.encode(x)  # (B, l)
        return Loss(reconstruction=self.reconstruction(model, x, z), sparsity=self.sparsity * z.abs().sum(1).mean())
