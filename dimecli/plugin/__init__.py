"""What plugin authors import: the base of every plugin and the contract of each kind.

A plugin is one frozen class. Its fields are its options, its docstring is its help, its methods are
its work; it holds no learned state. What building or fitting returns is another object.
"""

from dimecli.data.samples import Samples, Split
from dimecli.data.spec import Modality, Spec
from dimecli.plugin.base import API, LatentSpace, Plugin
from dimecli.plugin.classifier import Classifier, FittedClassifier, Labelled
from dimecli.plugin.dataset import Dataset
from dimecli.plugin.density import Context, Density, Fitted
from dimecli.plugin.executor import Executor
from dimecli.plugin.language import Language
from dimecli.plugin.metric import Measured, Metric
from dimecli.plugin.network import Network
from dimecli.plugin.objective import Loss, Objective
from dimecli.plugin.problem import Outcome, Problem
from dimecli.plugin.protocol import Lab, Protocol
from dimecli.plugin.search import Candidates, History, Search, Space
from dimecli.plugin.tracker import Tracker, Tracking
from dimecli.plugin.variational import VariationalObjective

__all__ = [
    "API",
    "KINDS",
    "Candidates",
    "Classifier",
    "Context",
    "Dataset",
    "Density",
    "Executor",
    "Fitted",
    "FittedClassifier",
    "History",
    "Lab",
    "Labelled",
    "Language",
    "LatentSpace",
    "Loss",
    "Measured",
    "Metric",
    "Modality",
    "Network",
    "Objective",
    "Outcome",
    "Plugin",
    "Problem",
    "Protocol",
    "Samples",
    "Search",
    "Space",
    "Spec",
    "Split",
    "Tracker",
    "Tracking",
    "VariationalObjective",
]

KINDS: dict[str, type[Plugin]] = {
    kind.kind: kind
    for kind in (
        *(Objective, Network, Dataset, Language, Density, Classifier, Metric),
        *(Problem, Search, Executor, Tracker, Protocol),
    )
}
"""Every kind of plugin by its name, in the order in which they are listed."""
