"""`dime interpolate`: decodes the codes between those of pairs of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dimecli.cli.picture import Picture, PictureSettings, picture_command

if TYPE_CHECKING:
    from dimecli.api import Run


class InterpolateSettings(PictureSettings):
    """The options of `dime interpolate`; the table [interpolate] of a TOML file."""

    pairs: int = Field(8, ge=1, le=100, description="Pairs of samples, chosen at random.")
    steps: int = Field(11, ge=2, le=100, description="Codes from one sample to the other, both with them.")
    path: Literal["spherical", "linear"] = Field(
        "spherical", description="Turn evenly from one direction to the other (slerp), or go straight."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the choice.")


def _draw(run: Run, settings: InterpolateSettings) -> Picture:
    from dimecli import api
    from dimecli.run.interpolate import interpolate, interpolated_sentences, save_interpolation

    found = interpolate(run, settings.pairs, settings.steps, settings.path, settings.split, settings.seed)
    result: dict[str, Any] = {"path": found.path, "pairs": found.indices.tolist()}
    lines: list[str] = []
    if run.model.spec.modality == "sentence":
        start, end = (api.texts(run, x) for x in found.ends.unbind(1))
        between = [api.texts(run, x) for x in found.x]
        keys = ("start", "decoded", "end")
        result["sentences"] = [dict(zip(keys, row, strict=True)) for row in zip(start, between, end, strict=True)]
        lines = list(interpolated_sentences(run, found))
    said = f"{settings.path} interpolations between {settings.pairs} pairs of {run.path.name}"
    return Picture(save_interpolation(run, found), said, result, lines)


build = picture_command("interpolate", InterpolateSettings, "Interpolation", _draw, following="traverse")
