"""`dime embed`: draws the codes of a run in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dimecli.cli.picture import Picture, PictureSettings, picture_command

if TYPE_CHECKING:
    from dimecli.api import Run


class EmbedSettings(PictureSettings):
    """The options of `dime embed`; the table [embed] of a TOML file."""

    method: Literal["auto", "codes", "pca", "tsne", "umap"] = Field(
        "auto",
        description="The codes as they are (of 2 dimensions, or of 3 on the sphere), their principal components, "
        "t-SNE or UMAP; auto: as they are, else t-SNE.",
    )
    count: int = Field(2000, ge=1, description="How many codes at most, chosen at random.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the choice, and of the method.")


def _draw(run: Run, settings: EmbedSettings) -> Picture:
    from dimecli.run.embed import embed, save_embedding

    found = embed(run, settings.method, settings.split, settings.count, settings.seed)
    result = {"method": found.method, "n": len(found.points), "axes": list(found.axes)}
    said = f"{len(found.points)} codes of {run.path.name}, method {found.method}"
    return Picture(save_embedding(run, found), said, result)


build = picture_command("embed", EmbedSettings, "Embedding", _draw, following="evaluate", short={"count": "-n"})
