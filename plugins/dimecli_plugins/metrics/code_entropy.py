"""How evenly the codes are spread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dimecli.errors import UserError
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject


class CodeEntropy(Metric):
    """The differential entropy of the codes, by kernels around all codes but the one that is looked at.

    On the sphere the kernels are von Mises-Fisher laws, and the most that it can be, the logarithm of the area, is
    `code-entropy/uniform`. Elsewhere they are Gaussians with the shape of the codes' covariance, and the most that
    codes of this covariance can have is `code-entropy/gaussian`. The width of the kernels is the one of some
    twenty under which left-out codes are most likely. In expectation it is an upper bound, and a loose one in
    many dimensions.

    A deterministic encoder has an infinite mutual information with continuous data; what it can be asked for is this.
    It depends on the scale of the codes, so off the sphere it compares the two numbers, not two runs. Of samples
    that are the same one is looked at, because their codes have no density.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the split's codes: the deterministic ones, or the means of the posteriors.

        Raises:
            UserError: there are fewer than two different samples.
        """
        from dimecli.evaluation.entropy import distinct, entropy, entropy_on_sphere

        codes, rng = subject.codes[distinct(subject.data)], subject.rng("code-entropy")
        if len(codes) < 2:
            raise UserError(f"-n {subject.n}: code-entropy needs 2 different samples of {subject.split}")
        spherical = subject.run.experiment.objective.latent_space == "sphere"
        found = entropy_on_sphere(codes, rng) if spherical else entropy(codes, rng)
        conditions = {"n": len(codes), "kernels": "von Mises-Fisher" if spherical else "gaussian"}
        remark = ""
        if found.nats > found.most:
            remark = f"More than it can be: {len(codes)} codes are few for kernels in {codes.shape[1]} dimensions."
        elif found.narrowest:
            remark = "The narrowest kernels that were tried are the best: it may be much less."
        yield Measured("code-entropy", found.nats, None, "nats", conditions, remark)
        most = "uniform" if spherical else "gaussian"
        yield Measured(f"code-entropy/{most}", found.most, None, "nats", {"n": len(codes)})
