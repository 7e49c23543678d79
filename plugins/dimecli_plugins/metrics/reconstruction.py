"""How well the run gives back what it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dimecli.lazy import torch
from dimecli.plugin import Measured, Metric

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.reconstruct import Reconstructed

_WINDOW, _SIGMA = 11, 1.5  # pixels
_BATCH = 100


class Reconstruction(Metric):
    """Errors of reconstructions: squared ones, PSNR and SSIM of images; exact match of sentences.

    Codes are decoded to the mean of the likelihood, those of sentences to the most probable symbol at every
    step; decoders that make pixel after pixel draw. `squared-error` is summed over the elements of a sample,
    `mse` is per element. PSNR is `10 log10(1 / mse)` of each image, averaged. SSIM (Wang et al. 2004) looks
    through a Gaussian window of 11 pixels, or as many as a smaller image has. `symbols` is the share of
    symbols that came back in their place.
    """

    def measure(self, subject: Subject) -> Iterator[Measured]:
        """Of the split's samples."""
        from dimecli.run.decoding import AUTO
        from dimecli.run.reconstruct import exact_match

        model, found = subject.run.model, subject.reconstructed
        modality, decode = model.spec.modality, AUTO.of(model).decode
        if modality != "sentence" and decode == "argmax":
            decode = "mean"  # what that is where nothing is chosen among symbols
        conditions = {"n": len(found.originals), "decode": decode}
        if modality == "sentence":
            match = exact_match(subject.run, found)
            yield Measured("reconstruction/exact", match.exact, "higher", conditions=conditions)
            yield Measured("reconstruction/symbols", match.symbols, "higher", conditions=conditions)
        else:
            yield from _squared(found, conditions, modality == "image")
        if modality == "image":
            window = min(_WINDOW, *((side + 1) // 2 * 2 - 1 for side in found.originals.shape[2:]))  # odd
            ssim = _similarities(found, window).double().mean().item()
            yield Measured("reconstruction/ssim", ssim, "higher", conditions=conditions | {"window": window})


def _squared(found: Reconstructed, conditions: dict[str, Any], images: bool) -> Iterator[Measured]:
    """Squared errors; of images also PSNR, unless that is infinite."""
    from dimecli.run.reconstruct import squared_errors

    errors = squared_errors(found)
    per_element = errors / found.originals[0].numel()
    exact = int((errors == 0).sum())
    remark = f"no PSNR, which is infinite: {exact} images came back exactly" if images and exact else ""
    yield Measured("reconstruction/mse", per_element.mean().item(), "lower", conditions=conditions, remark=remark)
    yield Measured("reconstruction/squared-error", errors.mean().item(), "lower", conditions=conditions)
    if images and not exact:
        psnr = -10 * per_element.log10().mean().item()
        yield Measured("reconstruction/psnr", psnr, "higher", "dB", conditions)


def _similarities(found: Reconstructed, window: int) -> torch.Tensor:
    """`(n,)` SSIM of each image and its reconstruction, float32: convolutions in float64 take ten times as long."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    sigma = _SIGMA * window / _WINDOW  # from which torchmetrics makes a window of this size
    pairs = zip(found.reconstructions.split(_BATCH), found.originals.split(_BATCH), strict=True)
    parts: Any = [ssim(x, y, sigma=sigma, reduction="none", data_range=1.0) for x, y in pairs]
    return torch.cat(parts)
