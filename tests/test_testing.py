"""`check_plugin` passes what keeps the contract, and names what does not: what every plugin promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dimecli.errors import UserError
from dimecli.registry import find
from dimecli.testing import check_plugin, findings_of
from dimecli.testing.check import _heavy_imports

SOURCE = '''
import math
from pydantic import Field
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli.lazy import nn, torch
from dimecli.plugin import Dataset, Density, Language, Loss, Network, Objective
from dimecli.data.spec import Spec
from dimecli.data.likelihood import Gaussian


class Good(Objective):
    """Reconstruction, and codes near 0."""

    lam: float = Field(0.1, ge=0, validation_alias="lambda", description="Weight of the codes' length.")
    presets = {"weak": {"objective": {"lambda": 0.0}, "train": {"epochs": 3}, "network": {"name": "good", "width": 4}}}

    def loss(self, model, x, rng):
        z = model.encode(x)
        noisy = z + 0.01 * torch.randn(z.shape, generator=rng)
        return Loss(nll=self.reconstruction(model, x, noisy), length=self.lam * z.square().mean())


class Undocumented(Good):
    pass


class Blank(Good):
    """An option without a word."""

    x: int = 3


class Formless(Good):
    """An option that nobody can type."""

    x: dict[str, int] = Field({}, description="No form.")


class NoFlag(Good):
    """An option that would be --no-x."""

    no_x: int = Field(1, description="Bad name.")


class PresetKey(Good):
    """A preset with a key of no table."""

    presets = {"p": {"objective": {"lamda": 1.0}}}


class PresetTable(Good):
    """A preset with a table of nobody."""

    presets = {"p": {"objectiv": {}}}


class PresetValue(Good):
    """A preset out of bounds."""

    presets = {"p": {"train": {"epochs": 0}}}


class PresetNameless(Good):
    """A preset for a network that it does not name."""

    presets = {"p": {"network": {"width": 4}}}


class Sizeless(Good):
    """Has no codes of another size."""

    latent_size: int = Field(16, ge=16, description="Dimension l of the codes.")


class Normal:
    def __init__(self, scale, size):
        self.scale, self.size = scale, size

    def sample(self, n, rng):
        return self.scale * torch.randn(n, self.size, generator=rng)

    def log_prob(self, z):
        return -0.5 * (z / self.scale).square().sum(1)

    def state(self):
        return {"scale": self.scale}


class GoodNetwork(Network):
    """Linear maps."""

    width: int = Field(2, ge=1, description="Width.")
    modalities = frozenset({"image", "vector"})

    def encoder(self, spec, features):
        return nn.Sequential(nn.Flatten(), nn.Linear(spec.elements, features))

    def decoder(self, spec, latent_size):
        shape = spec.likelihood.parameters(spec.shape)
        linear = nn.Linear(latent_size, math.prod(shape))
        return nn.Sequential(linear, nn.Unflatten(1, shape), spec.likelihood.output())


class GoodDataset(Dataset):
    """Noise."""

    network = "good"

    def read(self, split):
        spec = Spec(modality="vector", shape=(3,), likelihood=Gaussian(), classes=("a", "b"))
        x = torch.randn(20, 3, generator=torch.Generator().manual_seed(5 + (split == "test")))
        return Samples(spec, x, torch.arange(20) % 2)


GRAMMAR = "%max_len 3\\nS -> 'a' S | 'b'"


class GoodGrammar(Language):
    """Words of a and b."""

    sources = {"some": lambda: ("b", "ab")}

    def text(self):
        return GRAMMAR


class Missing(GoodDataset):
    """Is not here."""

    def read(self, split):
        raise UserError("the noise is not there; make some")


class GoodDensity(Density):
    """A normal distribution around 0, without its constant."""

    normalized = False

    def fit(self, codes, rng, context):
        return Normal(codes.std(), codes.shape[1])

    def restore(self, state, context):
        return Normal(state["scale"], 4)


class Refusing(GoodDensity):
    """Does not work as it is."""

    def fit(self, codes, rng, context):
        raise UserError("--power is missing")
'''

SENTENCE = "its docstring begins with one sentence"
OPTIONS = "each option has a description, and a name that makes a flag"
PRESET = "preset 'p' names tables and options that there are"
BROKEN: dict[tuple[str, str], tuple[str, str]] = {
    ("objective", "Undocumented"): (SENTENCE, "it has none; say on its first line"),
    ("objective", "Blank"): (OPTIONS, "option 'x' has no description"),
    ("objective", "Formless"): (
        "it imports, and is a plugin of its kind with options that can be given",
        "option 'x': dict[str, int] has no form on a command line",
    ),
    ("objective", "NoFlag"): (OPTIONS, "option 'no_x' makes no flag"),
    ("objective", "PresetKey"): (PRESET, "table [objective] has no option 'lamda'. Did you mean 'lambda'?"),
    ("objective", "PresetTable"): (PRESET, "there is no table [objectiv]"),
    ("objective", "PresetValue"): (PRESET, "greater than or equal to 1"),
    ("objective", "PresetNameless"): (PRESET, "table [network] names no plugin"),
    ("objective", "Sizeless"): ("it can be made with codes of 4 dimensions", "greater than or equal to 16"),
    ("objective", "Heavy"): (
        "its module imports nothing heavy, so that showing its options is quick",
        "it imports ['PIL']; take it from dimecli.lazy",
    ),
    ("density", "Refusing"): ("it fits them", "with its defaults it refuses: --power is missing"),
}
GROUPS = {
    "objective": "dimecli.objectives",
    "network": "dimecli.networks",
    "dataset": "dimecli.datasets",
    "grammar": "dimecli.grammars",
    "density": "dimecli.densities",
}


@pytest.fixture(autouse=True)
def cases(install: Callable[..., None]) -> None:
    modules = {"Heavy": "heavy_case"}
    lines = {
        kind: [f"{name} = {modules.get(name, 'cases')}:{name}" for k, name in BROKEN if k == kind] for kind in GROUPS
    }
    lines["objective"] += ["good = cases:Good", "absent = cases:Absent"]
    lines["network"] += ["good = cases:GoodNetwork"]
    lines["grammar"] += ["good = cases:GoodGrammar"]
    lines["dataset"] += ["good = cases:GoodDataset", "missing = cases:Missing"]
    lines["density"] += ["good = cases:GoodDensity"]
    heavy = "import PIL\nfrom cases import Good\n\nclass Heavy(Good):\n    'Heavy.'\n"
    points = {GROUPS[kind]: "\n".join(lines[kind]) for kind in GROUPS}
    install("dime-cases", "1.0", points, cases=SOURCE, heavy_case=heavy)


@pytest.mark.parametrize("kind", GROUPS)
def test_a_good_plugin_passes(kind: str) -> None:
    assert check_plugin(kind, "good") is None


def test_a_dataset_that_is_not_here_says_so() -> None:
    reason = check_plugin("dataset", "missing")
    who = "dataset 'missing' of dime-cases 1.0 (cases:Missing)"
    why = "read gives samples: the noise is not there; make some"
    assert reason == f"{who}: train, {why}\n{who}: test, {why}"


@pytest.mark.parametrize(("kind", "name"), BROKEN)
def test_a_broken_plugin_is_told_what_is_wrong(kind: str, name: str) -> None:
    promise, reason = BROKEN[kind, name]
    told = {finding.promise: finding.reason for finding in findings_of(find(kind, name)) if finding.held is False}
    assert told.keys() == {promise}
    assert reason in told[promise]


def test_all_that_is_broken_is_raised_at_once_with_who_breaks_it() -> None:
    with pytest.raises(AssertionError) as caught:
        check_plugin("objective", "Blank")
    who = "objective 'Blank' of dime-cases 1.0 (cases:Blank)"
    cure = "give its Field one, with symbol and unit"
    assert str(caught.value) == f"{who}: {OPTIONS}: option 'x' has no description; {cure}"


def test_what_is_not_there_cannot_be_checked() -> None:
    with pytest.raises(UserError, match="no objective named 'nobody'"):
        check_plugin("objective", "nobody")
    with pytest.raises(AssertionError, match="failed to import"):
        check_plugin("objective", "absent")


def test_what_lies_in_the_current_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('this is no library')\n")
    monkeypatch.chdir(tmp_path)
    assert _heavy_imports(("colorsys",), None) == {"colorsys": []}
