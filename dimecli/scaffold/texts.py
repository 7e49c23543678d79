"""What a new distribution has beside the code of its plugin."""

from __future__ import annotations

import json

from dimecli.plugin import KINDS
from dimecli.scaffold.licences import LICENCES

SHIPPED = "/dime_*"
"""The pattern of all modules with plugins, and of their grammars, at the root of a distribution."""

_USES = {
    "objective": "dime train {name}",
    "network": "dime train --network {name}",
    "dataset": "dime train --dataset {name}",
    "grammar": "dime train --grammar {name}",
    "density": "dime sample --density {name}",
    "classifier": "dime classify --classifier {name}",
    "metric": "dime evaluate --metric {name}",
    "problem": "dime bo --problem {name}",
    "search": "dime bo --search {name}",
    "executor": "dime bo --executor {name}",
    "tracker": "dime train --track {name}",
    "protocol": "dime bo --protocol {name}",
}
_OF_RUNS = ("density", "classifier", "metric")


def uses(kind: str, name: str) -> list[str]:
    """The commands that use a plugin; the first ones make what the last one needs."""
    use = _USES[kind].format(name=name)
    return ["dime train", use] if kind in _OF_RUNS else [use]


def project_text(kind: str, name: str, licence: str, author: str | None) -> str:
    """pyproject.toml."""
    spdx = LICENCES[licence]
    return _PROJECT.format(
        name=name,
        kind=kind,
        licence=f'license = "{spdx}"\nlicense-files = ["LICENSE"]\n' if spdx else "",
        # a string of JSON is one of TOML, once control characters are out
        authors=f"authors = [{{ name = {json.dumps(author, ensure_ascii=False)} }}]\n" if author else "",
        group=KINDS[kind].group,
        point=point_text(name),
        shipped=SHIPPED,
    )


def point_text(name: str) -> str:
    """The entry point of a plugin, a line of TOML."""
    return f'{name} = "{module_name(name)}:{class_name(name)}"'


def module_name(name: str) -> str:
    """Of the plugin `sparse-codes`: `dime_sparse_codes`."""
    return f"dime_{name.replace('-', '_')}"


def class_name(name: str) -> str:
    """Of the plugin `sparse-codes`: `SparseCodes`."""
    return "".join(part.capitalize() for part in name.split("-"))


def test_text(kind: str, name: str) -> str:
    """The test of a plugin."""
    return _TEST.format(kind=kind, name=name)


def readme_text(kind: str, name: str, licence: str) -> str:
    """README.md."""
    module = module_name(name)
    return _README.format(
        name=name,
        kind=kind,
        module=module,
        cfg=f"* `{module}.cfg` is the grammar: `dime grammar check {module}.cfg` reads it, and\n"
        f"  `dime grammar sample {module}.cfg` draws sentences.\n"
        if kind == "grammar"
        else "",
        uses="\n".join(uses(kind, name)),
        without="\nIt has no licence yet, and without one nobody else may use it: choose one first.\n"
        if licence == "none"
        else "",
    )


_PROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "dime-{name}"
version = "0.1.0"
description = "The {kind} '{name}' for the dime command."
readme = "README.md"
{licence}{authors}requires-python = ">=3.11"
dependencies = ["dimecli"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points."{group}"]
{point}

# All modules called dime_* are shipped, so a further plugin changes nothing here.
[tool.hatch.build.targets.wheel]
include = ["{shipped}"]

[tool.hatch.build]
dev-mode-dirs = ["."]
"""

_TEST = '''\
"""The {kind} '{name}' does what every {kind} promises."""

from dimecli.testing import check_plugin


def test_{kind}_keeps_its_promises() -> None:
    untried = check_plugin("{kind}", "{name}")
    assert untried is None
'''

_README = """\
# dime-{name}

The {kind} `{name}` for the command `dime`.

* `{module}.py` is the plugin. Its fields are options of the command, its docstring is the help.
{cfg}* `pyproject.toml` registers it under its name, as an entry point.
* `tests/` checks what it promises.

## Install

```
pip install -e ".[test]"
```

Changes of the code take effect at once; after a change of `pyproject.toml` install again.

## Check

```
dime plugins check {kind} {name}
pytest
```

## Use

```
{uses}
dime plugins show {kind} {name}
```

## One more plugin

```
dime plugins new KIND NAME .
```

adds a plugin to this distribution: its module, its test and its entry point.

## Publish
{without}
```
pip install build twine
python -m build
twine upload dist/*
```

With uv: `uv build`, then `uv publish`.
"""
