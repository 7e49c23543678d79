"""dime from Python: train, look at the codes, draw samples, decode a path between two digits.

Run it cell by cell in a notebook, or as a whole: `python examples/python_api.py`.
"""

# %% Train DIME on the bundled digits. Plugins with options are made by `make`; options of training are keywords.
import torch

from dimecli import load_run, train
from dimecli.registry import make

run = train(make("objective", "dime", gamma=3.0), dataset="digits", epochs=60, seed=1)
print(f"{run.path}: {run.results['terms']}")

# %% The codes of every split, encoded once and kept in the run.
codes = run.codes("test")  # (N, l), on the unit sphere
print(f"test codes {tuple(codes.shape)}, longest {codes.norm(dim=1).max():.3f}")

# %% Fit a density to the training codes, draw from it and decode.
drawn = run.sample(16, make("density", "gmm", components=20), seed=0)
print(f"samples {tuple(drawn.x.shape)} in [{drawn.x.min():.2f}, {drawn.x.max():.2f}]")

# %% A path on the sphere between the first two test digits.
weights = torch.linspace(0, 1, 8)[:, None]
path = torch.nn.functional.normalize((1 - weights) * codes[0] + weights * codes[1], dim=1)
print(f"path {tuple(run.decode(path).shape)}")

# %% Any run loads again, in any process; without a name, the newest.
print(f"loaded {load_run(run.path).path.name}")
