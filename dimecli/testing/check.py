"""What every plugin promises, whatever its kind; then what its kind promises."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dimecli.entry import Entry, module_of
from dimecli.errors import did_you_mean
from dimecli.fields import options_of
from dimecli.plugin import KINDS, Plugin
from dimecli.registry import find, registered
from dimecli.settings import Settings, checked
from dimecli.testing.classifiers import check_classifier
from dimecli.testing.contract import Contract, Finding
from dimecli.testing.datasets import check_dataset
from dimecli.testing.densities import check_density
from dimecli.testing.executors import check_executor
from dimecli.testing.expect import expect
from dimecli.testing.languages import check_language
from dimecli.testing.metrics import check_metric
from dimecli.testing.networks import check_network
from dimecli.testing.objectives import check_objective
from dimecli.testing.problems import check_problem
from dimecli.testing.protocols import check_protocol
from dimecli.testing.searches import check_search
from dimecli.testing.trackers import check_tracker
from dimecli.training.settings import TrainSettings

HEAVY = (
    *("torch", "torchvision", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "nltk"),
    *("botorch", "gpytorch", "sympy", "loky", "distributed", "rdkit", "zuko", "torchmetrics"),
    *("torch_fidelity", "tensorboardX", "mlflow", "trackio", "wandb", "umap", "jinja2", "pandas", "pyarrow"),
)
"""Libraries that no plugin may import before it works: showing its options has to be quick."""

_ASKS = ("dataset", "problem", "executor", "metric", "tracker", "protocol")
"""Kinds whose plugins may ask for what is not here: data, a service, an option that only a user can give."""

_CHECKS: dict[str, Callable[[Contract, Any], None]] = {
    "objective": check_objective,
    "network": check_network,
    "dataset": check_dataset,
    "grammar": check_language,
    "density": check_density,
    "classifier": check_classifier,
    "metric": check_metric,
    "problem": check_problem,
    "search": check_search,
    "executor": check_executor,
    "tracker": check_tracker,
    "protocol": check_protocol,
}
_PRESET_TABLES = {"objective": ("objective", "dataset", "network", "train"), "classifier": ("classifier",)}


def findings_of(entry: Entry) -> list[Finding]:
    """What came of every promise that a plugin makes, tried on tiny data with the plugin's defaults."""
    from dimecli.lazy import torch

    contract = Contract(asks=entry.kind in _ASKS)
    with contract.section():
        with contract.needed("it imports, and is a plugin of its kind with options that can be given"):
            cls = entry.plugin
        with contract.promise("nobody else has its name"):
            find(entry.kind, entry.name)
        with contract.promise("its module imports nothing heavy, so that showing its options is quick"):
            heavy = _heavy_imports(_modules(entry), entry.file)[module_of(entry)]
            expect(not heavy, f"it imports {heavy}", "take it from dimecli.lazy, or import inside functions")
        _check_declaration(contract, cls)
        with contract.needed("it can be made with its defaults"):
            plugin = cls()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _CHECKS[entry.kind](contract, plugin)
    return contract.findings


def _modules(entry: Entry) -> tuple[str, ...]:
    """The modules with plugins of the same distribution or file."""
    others = [other for kind in KINDS for other in registered(kind) if other.distribution == entry.distribution]
    return tuple(sorted(set(filter(None, map(module_of, others)))))


@cache
def _heavy_imports(modules: tuple[str, ...], file: Path | None) -> dict[str, list[str]]:
    """What each module imports of `HEAVY`, one after the other in a new process; the module of a loose file is it."""
    program = (
        "import importlib, json, sys\n"
        "from pathlib import Path\n"
        "sys.path, heavy, modules, file = json.loads(sys.argv[1])\n"
        "from dimecli.loose import load\n"
        "found = {}\n"
        "for module in modules:\n"
        "    before = set(sys.modules)\n"
        "    try:\n"
        "        load(Path(file)) if file else importlib.import_module(module)\n"
        "    except Exception:\n"
        "        pass\n"  # the registry tells this better
        "    found[module] = [name for name in heavy if name in set(sys.modules) - before]\n"
        "print(json.dumps(found))"
    )
    command = [sys.executable, "-P", "-c", program, json.dumps([sys.path, HEAVY, modules, str(file or "")])]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]
    found: dict[str, list[str]] = json.loads(printed)
    return found


def _check_declaration(contract: Contract, cls: type[Plugin]) -> None:
    with contract.promise("its docstring begins with one sentence"):
        expect(cls.summary(), "it has none", "say on its first line, in one sentence, what the plugin is")
        expect(cls.summary().endswith("."), f"it begins with '{cls.summary()}'", "end the first line with a full stop")
    with contract.promise("each option has a description, and a name that makes a flag"):
        for key, field in options_of(cls).items():
            expect(field.description, f"option '{key}' has no description", "give its Field one, with symbol and unit")
            plain = key.isidentifier() and key == key.lower() and not key.startswith(("no_", "_")) and key != "name"
            cure = "name it in small letters, other than 'name' and without 'no_'"
            expect(plain, f"option '{key}' makes no flag", cure)
    with contract.promise("its options survive being written and read"):
        options = cls().options()
        again = cls.model_validate(json.loads(json.dumps(options))).options()
        expect(again == options, f"options() read back are {again}, not {options}", "use plain types")
    for name, tables in getattr(cls, "presets", {}).items():
        with contract.promise(f"preset '{name}' names tables and options that there are"):
            _check_preset(cls, tables)


def _check_preset(cls: type[Plugin], tables: Any) -> None:
    for table, options in tables.items():
        allowed = _PRESET_TABLES[cls.kind]
        expect(table in allowed, f"there is no table [{table}]", f"use one of {', '.join(allowed)}")
        own: dict[str, type[Settings]] = {cls.kind: cls, "train": TrainSettings}
        expect(table in own or "name" in options, f"table [{table}] names no plugin", "give it a 'name'")
        settings: type[Settings] = own[table] if table in own else find(table, options["name"]).plugin
        given = {key: value for key, value in options.items() if key != "name"}
        for key in given.keys() - options_of(settings).keys():
            known = did_you_mean(key, options_of(settings))
            raise AssertionError(f"table [{table}] has no option '{key}'.{known}")
        checked(settings, given, f"table [{table}]")
