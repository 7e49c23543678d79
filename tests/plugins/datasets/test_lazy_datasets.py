from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

SCRIPT = """
import sys
from importlib.metadata import entry_points

for point in entry_points(group="dimecli.datasets"):
    if point.module.startswith("dimecli_plugins."):
        point.load()()
heavy = {"torch", "torchvision", "numpy", "sklearn", "scipy", "PIL", "matplotlib"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_looking_at_the_datasets_imports_nothing_heavy() -> None:
    assert len(entry_points(group="dimecli.datasets")) >= 10
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
