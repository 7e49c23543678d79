"""Samples as files: what a person looks at, a picture or lines of text, and an .npz that a program reads."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from dimecli.data.batches import Batches
from dimecli.data.sentences import Sentences
from dimecli.errors import DimeError
from dimecli.run.files import write_atomic
from dimecli.run.pictures import image_grid, scatter
from dimecli.run.run import Drawn, Run
from dimecli.run.sentences import write_sentences
from dimecli.run.style import title_of, write_figure

_SHOWN = 400  # images in a picture; the .npz has all


def save_samples(run: Run, drawn: Drawn) -> list[Path]:
    """Write `samples/001-gmm.png` and `.npz` (samples, codes, conditions as JSON) into the run; returns the paths.

    Of more than 400 samples the picture shows the first, and is called `001-gmm-first-400.png`. Sentences
    make a `001-gmm.txt` instead, one a line in the order of drawing, without those that are incomplete.
    """
    arrays = _claim(run.path / "samples", drawn.conditions["density"]["name"])
    conditions = np.array(json.dumps(drawn.conditions))
    samples, codes = drawn.x.numpy(), drawn.codes.numpy()
    try:
        write_atomic(
            arrays, lambda file: np.savez_compressed(file, samples=samples, codes=codes, conditions=conditions)
        )
    except BaseException:
        arrays.unlink()
        raise
    return [_show(run, drawn, arrays), arrays]


def _show(run: Run, drawn: Drawn, arrays: Path) -> Path:
    """Write what a person looks at beside the arrays."""
    likelihood = run.model.spec.likelihood
    if isinstance(likelihood, Sentences):
        return write_sentences(arrays.with_suffix(".txt"), likelihood.text(drawn.x))
    capped = f"-first-{_SHOWN}" if len(drawn.x) > _SHOWN else ""
    png = arrays.with_name(f"{arrays.stem}{capped}.png")
    if run.model.spec.modality == "image":
        return write_atomic(png, lambda file: image_grid(drawn.x[:_SHOWN], file))
    data = next(Batches(run.samples("test"), torch.device("cpu")).ordered(len(drawn.x[:_SHOWN])))
    title = title_of(run, f"Samples, density {drawn.conditions['density']['name']}")
    return write_figure(scatter(data, drawn.x[:_SHOWN], title), png)


def _claim(folder: Path, density: str) -> Path:
    """An empty file for the next samples, whose name no other process has."""
    try:
        folder.mkdir(exist_ok=True)
        taken = [re.match(r"[0-9]+(?=-)", file.name) for file in folder.glob("*.npz")]
        number = max((int(found[0]) for found in taken if found), default=0)
        while True:
            number += 1
            file = folder / f"{number:03d}-{density}.npz"
            with suppress(FileExistsError), file.open("x"):
                return file
    except OSError as error:
        raise DimeError(f"cannot write into {folder}: {error.strerror}") from error
