"""A small classifier whose penultimate features compare images, trained once for a dataset and kept.

Importing this module imports torch.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.data.cache import cache_folder
from dimecli.data.samples import Samples
from dimecli.errors import DimeError, UserError
from dimecli.evaluation.features import Extractor
from dimecli.evaluation.subject import Subject
from dimecli.nn.conv import Halve
from dimecli.nn.fit import fresh_weights
from dimecli.run.files import file_hash, read_tensors, write_tensors
from dimecli.run.reconstruct import choose
from dimecli.run.run import Run
from dimecli.seeds import generator

FEATURES = 64
RECIPE = 1
"""Number of the way in which extractors are made; another one makes other features."""
_STEPS, _BATCH, _LR = 600, 100, 3e-3
_EVERY, _JUDGED = 100, 2000  # steps between looks at validation samples, and how many are looked at


def trained(subject: Subject) -> Extractor:
    """The extractor of the run's dataset, trained now unless it was before.

    Raises:
        UserError: the dataset has no labels, or only one class.
        DimeError: it cannot be kept in the cache.
    """
    run, samples = subject.run, subject.run.samples("train")
    dataset, fingerprint = run.record["config"]["dataset"]["name"], samples.fingerprint()
    file = cache_folder() / "extractors" / f"{dataset}-{fingerprint[:16]}.safetensors"
    about = {"recipe": RECIPE, "dataset": dataset, "fingerprint": fingerprint, "shape": list(samples.spec.shape)}
    if file.exists():
        try:
            extractor, found = _read(file, run)
            if about.items() <= found.items():
                return extractor
        except DimeError as error:
            subject.reporter.say(f"Warning: {error}; it is trained again")
    network, accuracy = train(run, subject.reporter)
    about["accuracy"] = round(accuracy, 4)
    tensors = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    write_tensors(file, tensors, {**about, "digest": _digest(tensors, about)})
    subject.reporter.say(
        f"Note: trained a classifier of {dataset} once, whose features compare its images (test accuracy "
        f"{accuracy:.4f}); kept in {file}, for --extractor elsewhere"
    )
    return _read(file, run)[0]  # always from the file: layouts in memory decide the last bits


def load(file: Path, run: Run) -> Extractor:
    """An extractor from a file that `trained` left, on this machine or another.

    Raises:
        UserError: it is no such file, was damaged, or is for images of another shape.
    """
    try:
        return _read(file.expanduser(), run)[0]
    except DimeError as error:
        raise UserError(f"--extractor {error}") from error


def train(run: Run, reporter: Reporter) -> tuple[nn.Module, float]:
    """The body of a classifier of the run's training samples, and its accuracy on the test samples.

    Trained by Adam, at a rate that falls to 0 as a cosine; the weights that tell most validation samples
    right are kept.

    Raises:
        UserError: there are no labels, or only one class.
    """
    samples, validation = run.samples("train"), run.samples("validation")
    if samples.y is None or len(samples.y.unique()) < 2:
        raise UserError("the training samples have no labels of two or more classes; give --extractor FILE")
    with fresh_weights(generator(0, "extractor weights")):
        classifier = nn.Sequential(body(samples.spec.shape), nn.Linear(FEATURES, len(samples.spec.classes)))
    classifier.to(run.device)
    optimizer, rng = torch.optim.Adam(classifier.parameters(), _LR), generator(0, "extractor training")
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    best, kept = 0.0, classifier.state_dict()
    with reporter.progress("training a feature extractor", _STEPS, "step", transient=True) as bar:
        for step in range(1, _STEPS + 1):
            x, y = _shown(samples, torch.randint(len(samples), (_BATCH,), generator=rng), run, rng)
            F.cross_entropy(classifier(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            if step % _EVERY == 0 and (found := _accuracy(classifier, validation, run, _JUDGED)) >= best:
                best, kept = found, copy.deepcopy(classifier.state_dict())
            bar.update(step, accuracy=best)
    classifier.load_state_dict(kept)
    return classifier[0], _accuracy(classifier, run.samples("test"), run)


def body(shape: tuple[int, ...]) -> nn.Sequential:
    """From `(B, C, H, W)` images of any size to `(B, 64)` features."""
    channels, height, width = shape[0], *(-(-side // 8) for side in shape[1:])
    return nn.Sequential(
        Halve(channels, 32, 3), nn.ReLU(), Halve(32, 64, 3), nn.ReLU(), Halve(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * height * width, FEATURES), nn.ReLU(),
    )  # fmt: skip


def _shown(samples: Samples, rows: torch.Tensor, run: Run, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as the model is shown them, and their labels."""
    taken = samples.take(rows.tolist())
    assert taken.y is not None
    x = next(Batches(taken, torch.device("cpu"), "never").ordered(len(rows)))
    return samples.spec.likelihood.observe(x, rng).to(run.device), taken.y.to(run.device)


@torch.no_grad()
def _accuracy(classifier: nn.Module, samples: Samples, run: Run, judged: int | None = None) -> float:
    """Share of samples whose class is told right; of `judged` drawn ones, as the first may be of one class alone."""
    rng, right = generator(0, "extractor accuracy"), 0
    rows = choose(len(samples), judged, 0)
    for part in rows.split(500):
        x, y = _shown(samples, part, run, rng)
        right += int(classifier(x).argmax(1).eq(y).sum())
    return right / len(rows)


def _read(file: Path, run: Run) -> tuple[Extractor, dict[str, Any]]:
    """The extractor in a file and what the file says about it.

    Raises:
        DimeError: it is no such file, was damaged, or is for images of another shape.
    """
    tensors, about = read_tensors(file)
    shape = tuple(run.model.spec.shape)
    if not isinstance(about, dict) or about.get("recipe") != RECIPE or "digest" not in about:
        raise DimeError(f"{file} holds no feature extractor of this dimecli")
    if _digest(tensors, {key: value for key, value in about.items() if key != "digest"}) != about["digest"]:
        raise DimeError(f"{file} is not what was written: it was damaged or edited")
    if tuple(about["shape"]) != shape:
        raise DimeError(f"{file} is for images of shape {tuple(about['shape'])}; this run's are {shape}")
    with fresh_weights(torch.Generator()):
        network = body(shape)
    network.load_state_dict(tensors)
    network.to(run.device).eval().requires_grad_(False)
    name = f"cnn-{re.sub('[^a-z0-9-]', '', str(about['dataset']))}:{file_hash(file)[:8]}"
    conditions = {"extractor_accuracy": float(about["accuracy"])}
    return Extractor(name, lambda x: network(x.to(run.device).clamp(0, 1)), conditions), about


def _digest(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> str:
    """SHA-256 over all that a file holds."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
