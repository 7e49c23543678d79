"""The Inception network of 2015, whose features the FID and the KID are defined by."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from dimecli.data.cache import cache_folder
from dimecli.data.spec import Modality
from dimecli.errors import DimeError, UserError
from dimecli.evaluation.features import Extractor
from dimecli.lazy import nn, torch
from dimecli.plugin import Metric
from dimecli.run.files import file_hash, write_atomic

if TYPE_CHECKING:
    from dimecli.evaluation.subject import Subject
    from dimecli.run.run import Run

NAME = "inception-2015-12-05"
SHA256 = "6726825d"  # the first digits
WEIGHTS = f"weights-{NAME}-{SHA256}.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS}"
_BATCH = 50


class InceptionMetric(Metric):
    """A metric of the features of Inception."""

    inception_weights: Path | None = Field(
        None, description=f"File of the network's weights, {WEIGHTS} of torch-fidelity, whose SHA-256 is checked."
    )
    download: bool = Field(False, description="Download the weights, 96 MB, unless $DIME_CACHE has them.")

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})

    def refusal(self, run: Run) -> str | None:
        """As of any metric; also where the weights or the package that has the network are missing."""
        if reason := super().refusal(run):
            return reason
        if (channels := run.model.spec.shape[0]) not in (1, 3):
            return f"Inception sees grey or RGB images; this run's have {channels} channels"
        if not self.inception_weights and not self.download:
            return f"the weights of Inception are missing; give --inception-weights FILE ({WEIGHTS}) or --download"
        if find_spec("torch_fidelity") is None:
            return "torch-fidelity, which has the network, is not installed: pip install 'dimecli[inception]'"
        return None

    def look(self, subject: Subject) -> Extractor:
        """What makes the features.

        Raises:
            UserError: the file is missing, or holds other weights.
            DimeError: the download failed.
        """
        file = self.inception_weights.expanduser() if self.inception_weights else _downloaded(subject)
        return subject.shared(f"{NAME} of {file}", lambda: load(file, subject.run))


def load(file: Path, run: Run) -> Extractor:
    """The network with the weights in a file.

    Pixels are rounded to 8 bits, grey is repeated to RGB, and all are resized as TensorFlow 1 did, bilinear
    without antialiasing, which decides the value as much as the weights do.

    Raises:
        UserError: the file is missing, or holds other weights.
    """
    tensors = _weights(file)
    try:
        network = _network(tensors)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f"--inception-weights {file} holds weights of another network") from error
    network.to(run.device)

    def features(x: torch.Tensor) -> torch.Tensor:
        pixels = (x.to(run.device).clamp(0, 1) * 255).round().byte()
        found: torch.Tensor = network(pixels.expand(-1, 3, -1, -1))[0]
        return found

    conditions = {"resize": "bilinear to 299, no antialiasing"}
    if run.model.spec.shape[0] == 1:
        conditions["grey"] = "repeated to RGB"
    return Extractor(NAME, features, conditions, _BATCH)


def _weights(file: Path) -> dict[str, torch.Tensor]:
    """The tensors in a file that is what its name says.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    where = f"--inception-weights {file}"
    if not file.is_file():
        raise UserError(f"{where}: no such file; allowed: {WEIGHTS}")
    if not (found := file_hash(file)).startswith(SHA256):
        raise UserError(f"{where}: its SHA-256 begins with {found[:8]}; allowed: {WEIGHTS}, where it is {SHA256}")
    try:
        tensors: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a crafted file leads to
        cause = " ".join(str(error).split()).partition(". ")[0]
        raise UserError(f"{where} holds more than weights, or is damaged ({type(error).__name__}: {cause})") from error
    return tensors


def _network(tensors: dict[str, torch.Tensor]) -> nn.Module:
    """torch-fidelity's network with these weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    weights = io.BytesIO()  # the library unpickles without restraint, so it gets what was written here
    torch.save(tensors, weights)
    weights.seek(0)
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = FeatureExtractorInceptionV3(NAME, ["2048"], weights)
    return network


def _downloaded(subject: Subject) -> Path:
    """The weights in the cache, downloaded unless they are there.

    Raises:
        DimeError: the download failed.
    """
    file = cache_folder() / "inception" / WEIGHTS
    if file.exists():
        return file
    subject.reporter.say(f"Downloading {URL} to {file}")

    def fetch(part: Path) -> None:
        try:
            torch.hub.download_url_to_file(URL, str(part), SHA256, progress=False)
        except Exception as error:  # network, or another file than expected
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            by_hand = f"by hand: get {URL} and give --inception-weights"
            raise DimeError(f"the download failed ({cause}); {by_hand}") from error

    return write_atomic(file, fetch)
