"""`check_plugin` passes what keeps the contract, and names what does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dimecli.errors import PluginError, UserError
from dimecli.testing import check_plugin

SOURCE = '''
import math
from pydantic import Field
from dimecli.data.samples import Samples
from dimecli.errors import UserError
from dimecli.lazy import F, nn, torch
from dimecli.plugin import Dataset, Density, Language, Loss, Network, Objective
from dimecli.data.spec import Spec
from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Productions


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


class GlobalNoise(Good):
    """Draws from the wrong generator."""

    def loss(self, model, x, rng):
        return Loss(nll=model.nll(x, model.encode(x)).mean() + torch.rand(()))


class Unseeded(Good):
    """Draws from a generator of its own."""

    def loss(self, model, x, rng):
        rng = torch.Generator()
        rng.seed()
        return Loss(nll=model.nll(x, model.encode(x)).mean() + torch.rand((), generator=rng))


class Detached(Good):
    """Forgets the encoder."""

    def loss(self, model, x, rng):
        return Loss(nll=model.nll(x, model.encode(x).detach()).mean())


class Rising(Good):
    """Goes uphill."""

    def loss(self, model, x, rng):
        nll = model.nll(x, model.encode(x)).mean()
        return Loss(nll=2 * nll.detach() - nll)


class NotFinite(Good):
    """Divides by zero."""

    def loss(self, model, x, rng):
        return Loss(nll=model.nll(x, model.encode(x)).mean() / 0)


class Duel(Good):
    """Has a critic."""

    @property
    def players(self):
        return {"critic": 1e-3}

    def build(self, spec, network):
        model = super().build(spec, network)
        model.critic = nn.Linear(self.latent_size, 1)
        return model

    def loss(self, model, x, rng):
        seen = model.critic(model.encode(x)).square().mean()
        return Loss(players={"critic": seen}, nll=self.reconstruction(model, x, model.encode(x)))


class DuelUnsaid(Duel):
    """Says nothing of its critic."""

    players = property(lambda self: {})


class DuelMissing(Duel):
    """Has no critic."""

    build = Good.build

    def loss(self, model, x, rng):
        z = model.encode(x)
        return Loss(players={"critic": z.mean()}, nll=self.reconstruction(model, x, z))


class DuelLost(Duel):
    """Forgets the critic's loss."""

    loss = Good.loss


class DuelTwice(Duel):
    """A term of the same name."""

    def loss(self, model, x, rng):
        loss = super().loss(model, x, rng)
        return Loss(players=loss.players, critic=loss.total)


class DuelDetached(Duel):
    """The critic learns nothing."""

    def loss(self, model, x, rng):
        loss = super().loss(model, x, rng)
        return Loss(players={"critic": 0 * loss.players["critic"]}, **loss.terms)


class Latent(Good):
    """Has a posterior."""

    def build(self, spec, network):
        from dimecli.model import VariationalAutoencoder
        encoder = network.encoder(spec, 2 * self.latent_size)
        model = self.model(VariationalAutoencoder)
        return model(spec, encoder, network.decoder(spec, self.latent_size), self.latent_size)

    def model(self, base):
        return base


class LatentShape(Latent):
    """Gives one density for all."""

    def model(self, base):
        class Model(base):
            def infer(self, x, rng):
                z, log_prob = super().infer(x, rng)
                return z, log_prob.mean()

        return Model


class LatentLow(Latent):
    """Takes the mean of logarithms less one."""

    def model(self, base):
        class Model(base):
            def log_prob(self, x, rng, draws=500):
                return torch.stack([self.log_weight(x, rng) for _ in range(draws)]).mean(0) - 1

        return Model


class Off(Good):
    """Says sphere, but stays flat."""

    latent_space = "sphere"

    def build(self, spec, network):
        from dimecli.model import Autoencoder
        return Autoencoder(spec, network.encoder(spec, 4), network.decoder(spec, 4), 4)


class Truncated(Good):
    """Does not let the likelihood decode."""

    def build(self, spec, network):
        from dimecli.model import Autoencoder

        class Model(Autoencoder):
            def generate(self, z, rng=None, reserve=True):
                x = super().generate(z, rng, reserve)
                return x if x.is_floating_point() else torch.zeros_like(x)

        return Model(spec, network.encoder(spec, 4), network.decoder(spec, 4), 4)


class Normal:
    def __init__(self, scale, size):
        self.scale, self.size = scale, size

    def sample(self, n, rng):
        return self.scale * torch.randn(n, self.size, generator=rng)

    def log_prob(self, z):
        return -0.5 * (z / self.scale).square().sum(1)

    def state(self):
        return {"scale": self.scale}


class BadPrior(Good):
    """Its prior has another size."""

    def prior(self, model):
        return Normal(torch.ones(()), 9)


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

    def linear(self, spec, latent_size):
        return nn.Linear(latent_size, spec.elements)


class Flat(GoodNetwork):
    """Forgets the shape."""

    def decoder(self, spec, latent_size):
        return nn.Sequential(self.linear(spec, latent_size), spec.likelihood.output())


class Unbounded(GoodNetwork):
    """Forgets the likelihood."""

    def decoder(self, spec, latent_size):
        return nn.Sequential(self.linear(spec, latent_size), nn.Unflatten(1, spec.shape))


class Narrow(GoodNetwork):
    """Has no room for a noise that the decoder predicts."""

    def decoder(self, spec, latent_size):
        return nn.Sequential(self.linear(spec, latent_size), nn.Unflatten(1, spec.shape), spec.likelihood.output())


class Nothing(GoodNetwork):
    """Takes nothing."""

    modalities = frozenset()


class Frozen(GoodNetwork):
    """A layer learns nothing."""

    def decoder(self, spec, latent_size):
        linear = self.linear(spec, latent_size).requires_grad_(False)
        return nn.Sequential(linear, nn.Unflatten(1, spec.shape), spec.likelihood.output())


class GoodReader(Network):
    """Linear maps of symbols."""

    modalities = frozenset({"sentence"})

    def encoder(self, spec, features):
        from dimecli.nn.sequence import OneHot
        steps, symbols = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(OneHot(symbols), nn.Flatten(), nn.Linear(steps * symbols, features))

    def decoder(self, spec, latent_size):
        shape = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(nn.Linear(latent_size, shape[0] * shape[1]), nn.Unflatten(1, shape))


class Numbers(GoodReader):
    """Takes ids for quantities."""

    def encoder(self, spec, features):
        class Encoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = nn.Linear(spec.elements, features)

            def forward(self, x):
                return self.linear((x.argmax(2) if x.is_floating_point() else x).float())

        return Encoder()


class Paddingless(GoodReader):
    """Forgets the padding."""

    def decoder(self, spec, latent_size):
        steps, symbols = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(nn.Linear(latent_size, steps * (symbols - 1)), nn.Unflatten(1, (steps, symbols - 1)))


class Crowd(GoodReader):
    """Subtracts the batch's mean, whatever the mode."""

    def encoder(self, spec, features):
        class Centre(nn.Module):
            def forward(self, x):
                return x - x.mean(0)

        return nn.Sequential(super().encoder(spec, features), Centre())


class GoodDataset(Dataset):
    """Noise."""

    network = "good"

    def read(self, split):
        spec = Spec(modality="vector", shape=(3,), likelihood=Gaussian(), classes=("a", "b"))
        x = torch.randn(20, 3, generator=torch.Generator().manual_seed(5))
        return Samples(spec, x, torch.arange(20) % 2)


GRAMMAR = "%max_len 3\\nS -> 'a' S | 'b'"


class Halves(Dataset):
    """Sentences without an end."""

    network = "good-reader"

    def read(self, split):
        spec = Spec(modality="sentence", shape=(3,), likelihood=Productions(grammar=GRAMMAR))
        return Samples(spec, torch.tensor([[0, 1, 2], [0, 0, 0]], dtype=torch.int16))


class Wide(Halves):
    """Sentences that take four times the memory."""

    def read(self, split):
        samples = super().read(split)
        return Samples(samples.spec, samples.x[:1].long())


class GoodGrammar(Language):
    """Words of a and b."""

    sources = {"some": lambda: ("b", "ab")}

    def text(self):
        return GRAMMAR


class Endless(GoodGrammar):
    """Never ends."""

    def text(self):
        return "S -> 'a' S"


class Strangers(GoodGrammar):
    """Brings along what it does not derive."""

    sources = {"some": lambda: ("b", "abc")}


class Empty(GoodGrammar):
    """Brings nothing along."""

    sources = {"some": lambda: ()}


class Mute(GoodGrammar):
    """Does not say what b means."""

    def semantics(self):
        from dimecli.grammar.semantics import Semantics
        return Semantics(variables=("a",))


class Aimless(GoodGrammar):
    """Goes with a problem that nobody has."""

    problem = "nobody"


class Missing(GoodDataset):
    """Is not here."""

    def read(self, split):
        raise UserError("the noise is not there; make some")


class Labels(GoodDataset):
    """Counts from 1."""

    def read(self, split):
        samples = super().read(split)
        return Samples(samples.spec, samples.x, samples.y + 1)


class Orphan(GoodDataset):
    """Wants a network that nobody has."""

    network = "nobody"


class Fickle(GoodDataset):
    """Never the same."""

    def read(self, split):
        samples = super().read(split)
        return Samples(samples.spec, torch.randn(20, 3), samples.y)


class GoodDensity(Density):
    """A normal distribution around 0."""

    def fit(self, codes, rng, context):
        return Normal(codes.std(), codes.shape[1])

    def restore(self, state, context):
        return Normal(state["scale"], 4)


class Forgetful(GoodDensity):
    """Forgets what it learned."""

    def restore(self, state, context):
        return Normal(torch.ones(()), 4)


class Refusing(GoodDensity):
    """Does not work as it is."""

    def fit(self, codes, rng, context):
        raise UserError("--power is missing")
'''

BROKEN = {
    ("objective", "Undocumented"): "no one-line summary",
    ("objective", "Blank"): "option 'x' has no description",
    ("objective", "Formless"): "option 'x': dict[str, int] has no form on a command line",
    ("objective", "NoFlag"): "option 'no_x' makes no flag",
    (
        "objective",
        "PresetKey",
    ): "preset 'p' of PresetKey, table [objective] has no option 'lamda'. Did you mean 'lambda'?",
    ("objective", "PresetTable"): "preset 'p' of PresetTable, table [objectiv] does not exist",
    ("objective", "PresetValue"): "greater than or equal to 1",
    ("objective", "PresetNameless"): "table [network] names no plugin",
    ("objective", "GlobalNoise"): "GlobalNoise on images: loss draws from torch's global generator",
    ("objective", "Unseeded"): "the same generator gives another loss",
    ("objective", "Detached"): "encoder.1.weight gets no gradient",
    ("objective", "Rising"): "20 steps of Adam do not lower the loss",
    ("objective", "NotFinite"): "the loss is inf",
    ("objective", "DuelUnsaid"): "losses of ['critic']; give those of []",
    ("objective", "DuelMissing"): "the model has no submodule 'critic'",
    ("objective", "DuelLost"): "losses of []; give those of ['critic']",
    ("objective", "DuelTwice"): "a player is called as a term",
    ("objective", "DuelDetached"): "critic.weight gets no gradient",
    ("objective", "LatentShape"): "log q(z|x) of infer(x, rng) is ()",
    ("objective", "LatentLow"): "log_prob is below the mean of log_weight",
    ("objective", "Off"): "encode(x) leaves the unit sphere",
    ("objective", "BadPrior"): "the prior: sample(50, rng) is (50, 9); return (50, 4)",
    ("objective", "Truncated"): "on sentences: generate(z) leaves sentences incomplete",
    ("network", "Flat"): "Flat on images: decoder(spec, 5)(z) is (16, 288); return (16, 3, 12, 8)",
    ("network", "Unbounded"): "means of pixels leave [0, 1]; end the decoder in spec.likelihood.output()",
    (
        "network",
        "Narrow",
    ): "on images, predicted noise: decoder(spec, 5)(z) is (3, 3, 12, 8); return (3, 6, 12, 8)",
    ("network", "Nothing"): "takes no modality",
    ("network", "Frozen"): "decoder.0.weight gets no gradient",
    ("network", "Numbers"): "weights over symbols get no finite gradient",
    ("network", "Paddingless"): "on sentences: decoder(spec, 5)(z) is (16, 9, 5); return (16, 9, 6)",
    ("network", "Crowd"): "a sample's nll depends on the rest of its batch",
    ("dataset", "Labels"): "labels do not match",
    ("dataset", "Orphan"): "there is no network 'nobody'",
    ("dataset", "Fickle"): "a second read gives other samples",
    ("dataset", "Halves"): "there are incomplete sentences",
    ("dataset", "Wide"): "samples are torch.int64",
    ("grammar", "Endless"): "its defaults do not work: ",
    ("grammar", "Strangers"): "source 'some', 'abc': ",
    ("grammar", "Empty"): "source 'some' has no sentences",
    ("grammar", "Mute"): "semantics() does not say what ['b'] mean",
    ("grammar", "Aimless"): "there is no problem 'nobody'; name an installed one",
    ("density", "Forgetful"): "what restore gives is not what fit gave",
    ("density", "Refusing"): "its defaults do not work: --power is missing",
    ("objective", "Heavy"): "its module imports ['PIL']; take it from dimecli.lazy",
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
    lines["objective"] += ["good = cases:Good", "duel = cases:Duel", "latent = cases:Latent", "absent = cases:Absent"]
    lines["network"] += ["good = cases:GoodNetwork", "good-reader = cases:GoodReader"]
    lines["grammar"] += ["good = cases:GoodGrammar"]
    lines["dataset"] += ["good = cases:GoodDataset", "missing = cases:Missing"]
    lines["density"] += ["good = cases:GoodDensity"]
    heavy = "import PIL\nfrom cases import Good\n\nclass Heavy(Good):\n    'Heavy.'\n"
    points = {GROUPS[kind]: "\n".join(lines[kind]) for kind in GROUPS}
    install("dime-cases", "1.0", points, cases=SOURCE, heavy_case=heavy)


@pytest.mark.parametrize("kind", GROUPS)
def test_a_good_plugin_passes(kind: str) -> None:
    assert check_plugin(kind, "good") is None


@pytest.mark.parametrize("name", ["duel", "latent"])
def test_good_objectives_with_players_and_posteriors_pass(name: str) -> None:
    assert check_plugin("objective", name) is None


def test_a_good_network_of_sentences_passes() -> None:
    assert check_plugin("network", "good-reader") is None


def test_a_dataset_that_is_not_here_says_so() -> None:
    reason = check_plugin("dataset", "missing")
    assert reason == "dataset 'missing' of dime-cases 1.0 (cases:Missing): the noise is not there; make some"


@pytest.mark.parametrize(("kind", "name"), BROKEN)
def test_a_broken_plugin_is_told_what_is_wrong(kind: str, name: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_plugin(kind, name)
    assert BROKEN[kind, name] in str(caught.value)


def test_what_is_not_there_cannot_be_checked() -> None:
    with pytest.raises(UserError, match="no objective named 'nobody'"):
        check_plugin("objective", "nobody")
    with pytest.raises(PluginError, match="failed to import"):
        check_plugin("objective", "absent")
