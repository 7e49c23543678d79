"""A distribution with a plugin of each kind, each as small as it may be, and what is taken where none is named."""

# mypy: ignore-errors
# it is written as a stranger writes it, without types

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import Field

from dimecli.data.likelihood import Gaussian
from dimecli.data.sentences import Productions
from dimecli.grammar.languages import find_language
from dimecli.lazy import nn, torch
from dimecli.plugin import (
    Candidates,
    Classifier,
    Dataset,
    Density,
    Executor,
    Language,
    Loss,
    Measured,
    Metric,
    Network,
    Objective,
    Problem,
    Protocol,
    Samples,
    Search,
    Spec,
    Tracker,
)

DEFAULTS = {
    "objective": "lone-objective",
    "dataset": "lone-dataset",
    "sentences": "lone-sentences",
    "network": "lone-network",
    "grammar": "lone-grammar",
    "density": "lone-density",
    "classifier": "lone-classifier",
    "search": "lone-search",
    "baselines": "lone-baseline",
    "arithmetic": "lone-problem",
    "here": "lone-executor",
    "elsewhere": "lone-executor",
}


class LoneObjective(Objective):
    """Reconstruction alone."""

    latent_size: int = Field(2, ge=1, description="Dimension l of the codes.")

    def loss(self, model, x, rng):
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(x)))


class LoneNetwork(Network):
    """One linear layer each."""

    modalities = frozenset({"vector", "sentence"})

    def encoder(self, spec, features):
        from dimecli.nn.sequence import OneHot

        if spec.modality == "vector":
            return nn.Linear(spec.elements, features)
        steps, symbols = spec.likelihood.parameters(spec.shape)
        return nn.Sequential(OneHot(symbols), nn.Flatten(), nn.Linear(steps * symbols, features))

    def decoder(self, spec, latent_size):
        shape = spec.likelihood.parameters(spec.shape)
        layers = nn.Linear(latent_size, math.prod(shape)), nn.Unflatten(1, shape)
        return nn.Sequential(*layers, spec.likelihood.output())


class LoneDataset(Dataset):
    """Two clouds of points."""

    def read(self, split):
        y = torch.arange(60) % 2
        x = torch.randn(60, 4, generator=torch.Generator().manual_seed(int(split == "test"))) + 4 * y[:, None]
        return Samples(Spec(modality="vector", shape=(4,), likelihood=Gaussian(), classes=("a", "b")), x, y)


class LoneSentences(Dataset):
    """The shortest sentences of a grammar."""

    grammar: str = Field("lone-grammar", description="Name of a grammar, or a file.")

    @property
    def language(self):
        return find_language(self.grammar)

    @property
    def label(self):
        return Path(self.grammar).stem

    def read(self, split):
        from dimecli.lazy import np

        grammar = self.language.compile()
        ids = np.concatenate([grammar.enumerate(length) for length in range(grammar.max_len + 1)])[:200]
        spec = Spec(modality="sentence", shape=(grammar.max_len,), likelihood=Productions(grammar=grammar.text))
        return Samples(spec, torch.from_numpy(ids[(split == "test") :: 2].astype("int16")))


class LoneGrammar(Language):
    """Words of two letters."""

    problem = "lone-problem"

    def text(self):
        return "%max_len 8\nS -> 'a' S | 'b' S | 'c'\n"

    def compile(self):
        from dimecli.grammar.grammar import compiled

        return compiled(self.text(), "lone-grammar", self.max_length)


class _Cloud:
    def __init__(self, state):
        self._state = dict(state)

    def sample(self, n, rng):
        mean, std = self._state["mean"], self._state["std"]
        return mean + std * torch.randn(n, len(mean), generator=rng)

    def log_prob(self, z):
        return torch.distributions.Normal(self._state["mean"], self._state["std"]).log_prob(z).sum(1)

    def state(self):
        return self._state


class LoneDensity(Density):
    """Independent Gaussians."""

    def fit(self, codes, rng, context):
        return _Cloud({"mean": codes.mean(0), "std": codes.std(0) + 1e-3})

    def restore(self, state, context):
        return _Cloud(state)


class _Means:
    def __init__(self, state):
        self._state = dict(state)

    def predict(self, codes):
        return torch.cdist(codes, self._state["means"]).argmin(1)

    def state(self):
        return self._state


class LoneClassifier(Classifier):
    """The class whose mean is nearest."""

    random = False

    def fit(self, train, validation, rng):
        return _Means({"means": torch.stack([train.codes[train.labels == c].mean(0) for c in range(train.classes)])})

    def restore(self, state):
        return _Means(state)


class LoneMetric(Metric):
    """Mean length of the codes."""

    def measure(self, subject):
        norms = subject.codes.norm(dim=1)
        return [Measured("lone-metric", norms.mean().item(), conditions={"n": len(norms)})]


class LoneProblem(Problem):
    """Long sentences."""

    cheap = True

    def evaluate(self, sentences, language):
        return [float(len(text)) for text in sentences]


class LoneSearch(Search):
    """Codes of the density."""

    def ask(self, n, history, space, rng):
        codes = space.sample(20 * n, rng)
        return Candidates(space.decode(codes), codes)


class LoneBaseline(LoneSearch):
    """The same again."""


class LoneExecutor(Executor):
    """A thread."""

    def start(self):
        return ThreadPoolExecutor(1)


class _Nothing:
    def record(self, step, numbers):
        pass

    def finish(self, results):
        pass


class LoneTracker(Tracker):
    """Hears all and keeps nothing."""

    def open(self, run, config, resumed_at):
        return _Nothing()


class LoneProtocol(Protocol):
    """One run."""

    def run(self, lab):
        run = lab.train("one", {"objective": {"name": "lone-objective"}, "dataset": {"name": "lone-dataset"}})
        return f"total {run.results['terms']['total']:.3g}"
