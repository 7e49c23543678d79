"""`dime traverse`: decodes what becomes of a code when one dimension changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from dimecli.cli.picture import Picture, PictureSettings, picture_command

if TYPE_CHECKING:
    from dimecli.api import Run


class TraverseSettings(PictureSettings):
    """The options of `dime traverse`; the table [traverse] of a TOML file."""

    start: int | None = Field(
        None, ge=0, description="Place in the split of the sample whose code is changed; default: the mean code."
    )
    dimensions: int = Field(10, ge=1, le=100, description="How many, those along which the codes vary most.")
    steps: int = Field(7, ge=2, le=100, description="Values that each dimension takes.")
    span: float = Field(
        3.0, gt=0, le=10, description="The largest of them, in standard deviations of the codes from their mean."
    )


def _draw(run: Run, settings: TraverseSettings) -> Picture:
    from dimecli import api
    from dimecli.run.traverse import save_traversal, traverse, traversed_sentences

    found = traverse(run, settings.start, settings.dimensions, settings.steps, settings.span, settings.split)
    rows: list[dict[str, Any]] = [
        {"dimension": d, "std": std} for d, std in zip(found.dimensions.tolist(), found.std.tolist(), strict=True)
    ]
    lines: list[str] = []
    if run.model.spec.modality == "sentence":
        rows = [{**row, "decoded": api.texts(run, x)} for row, x in zip(rows, found.x, strict=True)]
        lines = list(traversed_sentences(run, found))
    result = {"start": found.start, "offsets": found.offsets.tolist(), "dimensions": rows}
    return Picture(save_traversal(run, found), f"{len(rows)} dimensions of {run.path.name}", result, lines)


build = picture_command("traverse", TraverseSettings, "Traversal", _draw, following="embed")
