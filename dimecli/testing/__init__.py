"""The contract of plugins as a program: `check_plugin("objective", "mine")`, for built-in and foreign ones alike."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

from pydantic import ValidationError

from dimecli.errors import UserError, did_you_mean
from dimecli.fields import form_of, options_of
from dimecli.plugin import KINDS, Classifier, Objective
from dimecli.registry import Entry, find, registered
from dimecli.settings import Settings
from dimecli.testing.behaviour import check_behaviour
from dimecli.testing.expect import expect
from dimecli.training.settings import TrainSettings

HEAVY = (
    *("torch", "torchvision", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "nltk"),
    *("botorch", "gpytorch", "sympy", "loky", "distributed", "rdkit", "zuko", "torchmetrics"),
    *("torch_fidelity", "tensorboardX", "mlflow", "trackio", "wandb", "umap", "jinja2"),
)
"""Libraries that no plugin may import before it works: showing its options has to be quick."""

_PRESET_TABLES = ("objective", "dataset", "network", "train")


def check_plugin(kind: str, name: str) -> str | None:
    """What could not be checked and why, or None if all that a plugin promises was checked and holds.

    Args:
        kind: Such as `objective`.
        name: The name under which an installed distribution registers the plugin.

    Raises:
        AssertionError: something does not hold; the message says what, and the cure.
        UserError: there is no such plugin.
        PluginError: it does not import, or is no plugin of that kind.
    """
    entry = find(kind, name)
    heavy = _heavy_imports(entry.distribution)[entry.point.module]
    expect(not heavy, f"{entry}: its module imports {heavy}", "take it from dimecli.lazy, or import inside functions")
    _check_declaration(entry)
    if issubclass(entry.plugin, Objective | Classifier):
        _check_presets(entry.plugin)
    try:
        check_behaviour(entry.plugin())
    except UserError as error:
        if kind in ("dataset", "problem", "executor", "metric", "tracker"):  # its data, or what it asks, are not here
            return f"{entry}: {error}"
        raise AssertionError(f"{entry}: its defaults do not work: {error}; choose defaults that do") from error
    return None


@cache
def _heavy_imports(distribution: str) -> dict[str, list[str]]:
    """What each module with a plugin of a distribution imports of `HEAVY`, one after the other in a new process."""
    modules = {entry.point.module for kind in KINDS for entry in registered(kind) if entry.distribution == distribution}
    program = (
        "import importlib, json, sys\n"
        "sys.path, heavy, modules = json.loads(sys.argv[1])\n"
        "found = {}\n"
        "for module in modules:\n"
        "    before = set(sys.modules)\n"
        "    try:\n"
        "        importlib.import_module(module)\n"
        "    except Exception:\n"
        "        pass\n"  # the registry tells this better
        "    found[module] = [name for name in heavy if name in set(sys.modules) - before]\n"
        "print(json.dumps(found))"
    )
    command = [sys.executable, "-c", program, json.dumps([sys.path, HEAVY, sorted(modules)])]
    found: dict[str, list[str]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _check_declaration(entry: Entry) -> None:
    cls = entry.plugin
    expect(cls.summary().endswith("."), f"{entry}: no one-line summary", "start the docstring with one sentence")
    for key, field in options_of(cls).items():
        where = f"{entry}: option '{key}'"
        expect(bool(field.description), f"{where} has no description", "give its Field one, with symbol and unit")
        try:
            form_of(field)
        except TypeError as error:
            raise AssertionError(f"{where}: {error}") from error
        plain = key.isidentifier() and key == key.lower() and not key.startswith(("no_", "_")) and key != "name"
        expect(plain, f"{where} makes no flag", "name it in small letters, other than 'name' and without 'no_'")
    options = cls().options()
    again = cls.model_validate(json.loads(json.dumps(options))).options()
    expect(again == options, f"{entry}: options() read back are {again}, not {options}", "use plain types")


def _check_presets(cls: type[Objective | Classifier]) -> None:
    allowed = _PRESET_TABLES if issubclass(cls, Objective) else (cls.kind,)
    for preset, tables in cls.presets.items():
        for table, options in tables.items():
            where = f"preset '{preset}' of {cls.__name__}, table [{table}]"
            expect(table in allowed, f"{where} does not exist", f"use one of {', '.join(allowed)}")
            own: dict[str, type[Settings]] = {cls.kind: cls, "train": TrainSettings}
            expect(table in own or "name" in options, f"{where} names no plugin", "give it a 'name'")
            settings: type[Settings] = own[table] if table in own else find(table, options["name"]).plugin
            given = {key: value for key, value in options.items() if key != "name"}
            for key in given.keys() - options_of(settings).keys():
                raise AssertionError(f"{where} has no option '{key}'.{did_you_mean(key, options_of(settings))}")
            try:
                settings.model_validate(given)
            except ValidationError as error:
                raise AssertionError(f"{where}: {error}") from error
