"""dime from Python: train, look at the codes, draw samples, decode a path between two digits, measure, add a plugin.

Run it cell by cell in a notebook, or as a whole from the root of the project: `python examples/python_api.py`.
"""

# %% Train DIME on the bundled digits. Plugins with options are made by `make`; options of training are keywords.
from dimecli import evaluate, load_run, train
from dimecli.api import interpolate
from dimecli.registry import add_file, make

run = train(make("objective", "dime", gamma=3.0), dataset="digits", epochs=40, seed=1)
print(f"{run.path}: {run.results['terms']}")

# %% The codes of every split, encoded once and kept in the run.
codes = run.codes("test")  # (N, l), on the unit sphere
print(f"test codes {tuple(codes.shape)}, longest {codes.norm(dim=1).max():.3f}")

# %% Fit a density to the training codes, draw from it and decode.
drawn = run.sample(16, make("density", "gmm", components=20), seed=0)
print(f"samples {tuple(drawn.x.shape)} in [{drawn.x.min():.2f}, {drawn.x.max():.2f}]")

# %% A path on the sphere between two test digits, and its decoded points.
between = interpolate(run, pairs=1, steps=8)
print(f"path {tuple(between.x.shape)}")

# %% Measure it; the run keeps every number with its conditions.
for entry in evaluate(run, ["uniformity", "reconstruction"]).entries:
    print(f"{entry.name} {entry.value:.4g} {entry.unit}")

# %% A plugin of your own: a file with its class is enough. These are an objective and a metric, under the names of
# their classes; a package with entry points, such as examples/dime-hello, needs no `add_file`.
print(f"added {', '.join(entry.name for entry in add_file('examples/experiment/own.py'))}")
for weight in (0.0, 0.1):
    other = train(make("objective", "decorrelated", **{"lambda": weight}), dataset="digits", epochs=15, seed=1)
    (entry,) = evaluate(other, ["code-correlation"]).entries
    print(f"lambda {weight}: correlation of the dimensions {entry.value:.3f}")

# %% Any run loads again, in any process; without a name, the newest.
print(f"loaded {load_run(run.path).path.name}")
