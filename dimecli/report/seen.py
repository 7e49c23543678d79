"""What a run makes, as blocks of a page: samples, reconstructions, interpolations, traversals, codes, neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from dimecli.console import QUIET, Reporter
from dimecli.evaluation.conditions import flat, number, written
from dimecli.plugin import Density
from dimecli.report.page import Block, Lines, Pictures, Table, Text, picture
from dimecli.run.embed import Embedded, embed, save_embedding
from dimecli.run.files import write_atomic
from dimecli.run.interpolate import interpolate, save_interpolation, told
from dimecli.run.nearest import nearest, save_nearest
from dimecli.run.pictures import image_grid, scatter
from dimecli.run.reconstruct import (
    Reconstructed,
    choose,
    exact_match,
    observed,
    reconstruct,
    save_comparison,
    squared_error,
)
from dimecli.run.run import Drawn, Run
from dimecli.run.sentences import first_different, rates
from dimecli.run.style import title_of, write_figure
from dimecli.run.traverse import save_traversal, traverse

_OWN = {"run", "draws", "projected"}  # conditions of samples that are of the run, not of what was asked for
_SENTENCES = 20  # of a kind that are shown
_RECONSTRUCTED = 1000
_EMBEDDED = 2000
_NEIGHBOURS = 5
_ROWS = 8  # samples that are shown with their neighbours
_POINTS = 1000  # vectors of the data behind samples


@dataclass(frozen=True)
class Seen:
    """A run as a page shows it; pictures are left in its `figures/` too.

    Args:
        run: The run.
        density: What samples are drawn from; None takes the default.
        count: How many.
        seed: Of all draws and choices.
        reporter: Told how a long fit goes.
    """

    run: Run
    density: Density | str | None = None
    count: int = 64
    seed: int = 0
    reporter: Reporter = QUIET

    @property
    def modality(self) -> str:
        """Of the data."""
        return self.run.model.spec.modality

    @cached_property
    def drawn(self) -> Drawn:
        """The samples; of sentences, different ones as far as there are so many."""
        return self._drawn[0]

    @cached_property
    def _drawn(self) -> tuple[Drawn, Drawn]:
        """The samples, and all draws that they were taken from."""

        def draw(count: int) -> Drawn:
            return self.run.sample(count, self.density, self.seed, reporter=self.reporter)

        if self.modality == "sentence":
            return first_different(self.run, self.count, draw)
        return (drawn := draw(self.count)), drawn

    @property
    def sampling(self) -> str:
        """What the samples were drawn from."""
        other = _OWN if self.modality == "sentence" else _OWN | {"reserve"}  # which is of derivations
        conditions = {key: value for key, value in self.drawn.conditions.items() if key not in other}
        return f"{len(self.drawn.x)} samples: {written(dict(flat(conditions)))}"

    @cached_property
    def reconstructed(self) -> Reconstructed:
        """Some test samples and their reconstructions."""
        return reconstruct(self.run, "test", _RECONSTRUCTED, self.seed)

    @cached_property
    def embedded(self) -> Embedded:
        """Some codes in two dimensions."""
        return embed(self.run, n=_EMBEDDED, seed=self.seed)

    def samples(self) -> Iterator[Block]:
        """Decoded draws of the density."""
        if self.modality != "sentence":
            yield Pictures([picture(self.sample_picture(), f"Samples of {self.run.path.name}", self.sampling)])
            return
        yield Text(self.sampling)
        sentences = told(self.run, self.drawn.x[:_SENTENCES])
        yield Lines("\n".join(sentences))
        shares = asdict(rates(self.run, self._drawn[1].x))
        cells = ["unknown" if share is None else f"{share:.1%}" for share in shares.values()]
        row = [f"{len(self._drawn[1].x)} draws", *cells]
        yield Table(["", *shares], [row], numbers=range(1, len(row)))

    def sample_picture(self) -> Path:
        """Write `figures/samples-gmm.png`: a grid of images; vectors over the data."""
        drawn, run = self.drawn, self.run
        name = drawn.conditions["density"]["name"]
        file = run.path / "figures" / f"samples-{name}.png"
        if self.modality == "image":
            return write_atomic(file, lambda temporary: image_grid(drawn.x, temporary))
        data = observed(run, "test", choose(len(run.samples("test")), _POINTS, self.seed), self.seed)
        return write_figure(scatter(data, drawn.x, title_of(run, f"Samples, density {name}")), file)

    def reconstructions(self) -> Iterator[Block]:
        """How well test samples come back."""
        found, run = self.reconstructed, self.run
        if self.modality != "sentence":
            caption = f"Squared error of a sample, mean of {len(found.originals)}: {number(squared_error(found))}"
            yield Pictures([picture(save_comparison(run, found), "Test samples and their reconstructions", caption)])
            return
        exact = exact_match(run, found)
        symbols = f"{exact.symbols:.1%} of the symbols are in their place"
        yield Text(f"{exact.exact:.1%} of {len(found.originals)} test sentences come back word for word; {symbols}.")
        pairs = list(zip(*(told(run, x[:_SENTENCES]) for x in (found.originals, found.reconstructions)), strict=True))
        yield Table(("sentence", "reconstruction"), pairs)

    def interpolations(self) -> Iterator[Block]:
        """What lies between the codes of pairs of test samples."""
        file = save_interpolation(self.run, interpolate(self.run, seed=self.seed))
        yield from self._shown(file, "Data decoded between the codes of pairs of test samples")

    def traversals(self) -> Iterator[Block]:
        """What changes with each dimension of the code."""
        yield from self._shown(save_traversal(self.run, traverse(self.run)), "Data decoded while one dimension changes")

    def codes(self) -> Iterator[Block]:
        """Test codes in two dimensions."""
        file = save_embedding(self.run, self.embedded)
        alt = f"{len(self.embedded.points)} test codes in two dimensions"
        yield Pictures([picture(file, alt, chart=True)])

    def neighbours(self) -> Iterator[Block]:
        """The training samples nearest to some samples: copies are seen by them."""
        few = Drawn(self.drawn.x[:_ROWS], self.drawn.codes[:_ROWS], self.drawn.conditions)
        found = nearest(self.run, few, _NEIGHBOURS)
        if self.modality != "sentence":
            alt = "Samples, and the training samples that are nearest to each"
            yield Pictures([picture(save_nearest(self.run, found), alt)])
            return
        first = found.neighbours(self.run)[:, 0]
        distances = [f"{distance:.0f}" for distance in found.distances[:, 0].tolist()]
        rows = list(zip(told(self.run, few.x), told(self.run, first), distances, strict=True))
        yield Table(("sample", "nearest training sentence", "edits"), rows, numbers=(2,))

    def _shown(self, file: Path, alt: str) -> Iterator[Block]:
        """A picture, or the lines of a text."""
        if file.suffix == ".txt":
            yield Lines(file.read_text(encoding="utf-8").rstrip("\n"))
        else:
            yield Pictures([picture(file, alt)])
