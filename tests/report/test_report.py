"""Pages about real runs: every section is there, and says why where it lacks something."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dimecli import api
from dimecli.errors import UserError
from dimecli.evaluation.record import Entry, keep
from dimecli.plugin import Measured
from dimecli.registry import make
from dimecli.report.report import _around
from dimecli.run.run import Run

NETWORK = make("network", "mlp", widths=(16,))
ONE = [
    "About",
    "Training",
    "Samples",
    "Reconstructions",
    "Interpolations",
    "Traversals",
    "Codes",
    "Measurements",
    "Classification",
    "Nearest training samples",
    "Settings",
    "Make it again",
]
SEVERAL = ["Runs", "Measurements", "Training", "Samples", "Reconstructions", "Interpolations", "Codes"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that tests copy before they write into them."""
    runs = tmp_path_factory.mktemp("runs")
    sentences = make("dataset", "sentences", grammar="expressions", size=100)
    given: dict[str, tuple[Any, ...]] = {
        "ae": (make("objective", "ae", latent_size=2), "digits", NETWORK),  # drawn as they are, which is fast
        "dime": (make("objective", "dime", latent_size=3), "digits", NETWORK),
        "vae": (make("objective", "vae", latent_size=2), "gaussian-mixture", NETWORK),
        "sentences": (make("objective", "dime", latent_size=3), sentences, None),
    }
    return {name: api.train(*plugins, runs=runs / name, epochs=2).path for name, plugins in given.items()}


def copied(trained: dict[str, Path], name: str, folder: Path) -> Run:
    return api.load_run(shutil.copytree(trained[name], folder / trained[name].name, dirs_exist_ok=True))


def measure(run: Run, *measured: Measured) -> None:
    keep(run.path, [Entry.of(one, {"split": "test"}, "dimecli 0.1.0", run.record["weights"]) for one in measured])


def test_images(trained: dict[str, Path], tmp_path: Path, read_page: Any) -> None:
    run = copied(trained, "dime", tmp_path / "a & b")
    remark = "<script>alert(1)</script>"
    measure(
        run,
        Measured("m/x", 0.25, "higher", "nats", {"n": 7}, remark),
        Measured("accuracy[k]", 0.5, conditions={"n": 7}),
    )
    done = api.report([run], n=9)
    assert (done.file, done.missing) == (run.path / "report.html", {})
    html = done.file.read_text(encoding="utf-8")
    found = read_page(html)
    assert (found.problems, list(found.sections), "http" in html) == ([], ONE, False)
    assert found.all("script") == []
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in found.all("img"))
    assert len(found.all("img")) == 6 + 4  # of which 3 terms and the shares of the gradient
    assert remark in found.sections["Measurements"]
    assert found.cells[found.cells.index("m/x") :][:5] == ["m/x", "0.25", "nats", "higher", ""]
    assert "accuracy[k]" in found.sections["Classification"]
    assert "accuracy[k]" not in found.sections["Measurements"]
    assert "a & b" in found.sections["Make it again"]
    assert "lambda" in found.sections["Settings"]
    assert "9 samples: density gmm" in found.sections["Samples"]
    assert "reserve" not in found.sections["Samples"], "it is of derivations of a grammar"
    assert (run.path / "figures" / "curves.png").is_file()


@pytest.mark.slow
def test_the_same_page_but_for_its_date(trained: dict[str, Path], tmp_path: Path) -> None:
    run = copied(trained, "ae", tmp_path)
    first, again = (api.report([run], n=4).file.read_text().rpartition("<footer>")[0] for _ in range(2))
    assert first == again
    other = api.report([run], tmp_path / "other.html", n=4, seed=1)
    assert other.file == tmp_path / "other.html"
    assert other.file.read_text().rpartition("<footer>")[0] != first


@pytest.mark.slow
def test_vectors(trained: dict[str, Path], tmp_path: Path, read_page: Any) -> None:
    done = api.report([copied(trained, "vae", tmp_path)], n=9)
    found = read_page(done.file.read_text())
    assert (done.missing, list(found.sections)) == ({}, ONE)
    assert 'alt="Samples, and the training samples that are nearest to each"' in done.file.read_text()
    assert "None yet: dime evaluate" in found.sections["Measurements"]
    assert "None yet: dime classify" in found.sections["Classification"]


def test_sentences_and_their_searches(trained: dict[str, Path], tmp_path: Path, read_page: Any) -> None:
    run = copied(trained, "sentences", tmp_path)
    api.bo(run, search="random", rounds=1, batch=2, initial=20)
    done = api.report([run], n=3)
    found = read_page(done.file.read_text())
    assert done.missing == {}
    assert list(found.sections) == [*ONE[:-2], "Searches", *ONE[-2:]]
    assert found.sections["Classification"].strip() == "The data have no classes."
    assert "001-random" in found.sections["Searches"]
    results = json.loads((run.path / "bo" / "001-random" / "search.json").read_text())["results"]
    assert results["best"][0]["sentence"] in found.cells
    assert "complete" in found.sections["Samples"]


def test_damage_is_told_and_the_rest_stands(trained: dict[str, Path], tmp_path: Path, read_page: Any) -> None:
    run = copied(trained, "vae", tmp_path)
    (run.path / "metrics.jsonl").write_text("{\n")
    with (run.path / "history.jsonl").open("a") as file:
        file.write("[]\n")
    done = api.report([run], density="sphere-uniform", n=4)
    found = read_page(done.file.read_text())
    assert list(found.sections) == ONE
    assert set(done.missing) == {
        *("Training", "Samples", "Measurements", "Classification"),
        "Nearest training samples",  # of the samples that cannot be drawn
    }
    assert "history.jsonl:3: damaged" in found.sections["Training"]
    assert "reconstruction" in found.sections["Training"]  # what the record knows
    assert "metrics.jsonl:1: damaged" in found.sections["Measurements"]
    assert "--density sphere-uniform is for a latent space that is sphere" in found.sections["Samples"]


def test_several(trained: dict[str, Path], tmp_path: Path, read_page: Any) -> None:
    runs = [copied(trained, name, tmp_path / name) for name in ("ae", "dime")]
    for run, value in zip(runs, (1.0, 2.0), strict=True):
        measure(
            run, Measured("m", value, "lower", conditions={"n": 7}), Measured(f"n{value}", 1.0, conditions={"n": value})
        )
    (runs[1].path / "history.jsonl").write_text("{\n")
    done = api.report(runs, density="sphere-uniform", n=4)
    assert done.file == tmp_path / "report.html"
    html = done.file.read_text()
    found = read_page(html)
    assert (found.problems, list(found.sections), done.missing, "http" in html) == ([], SEVERAL, {}, False)
    assert "<strong>1</strong>" in html
    assert "<strong>2</strong>" not in html
    assert "dime: " in found.sections["Training"]
    assert "history.jsonl:1: damaged" in found.sections["Training"]
    alts = [image["alt"] for image in found.all("img")]
    assert [alt for alt in alts if "Samples" in alt] == ["Samples of dime"]
    assert "ae: --density sphere-uniform is for a latent space that is sphere" in found.sections["Samples"]
    assert [alt.rpartition(": ")[2] for alt in alts if "decoded from" in alt] == ["data", "ae", "dime"]


@pytest.mark.slow
def test_several_on_other_data_have_sections_of_their_own(
    trained: dict[str, Path], tmp_path: Path, read_page: Any
) -> None:
    runs = [copied(trained, name, tmp_path / name) for name in ("ae", "vae", "sentences")]
    done = api.report(runs, tmp_path / "page.html", density="gaussian", n=4)
    found = read_page(done.file.read_text())
    data = ("digits", "gaussian-mixture", "expressions")
    assert list(found.sections) == [f"{title}: {of}" for of in data for title in SEVERAL]
    assert done.missing == {}


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (("runs/a", "runs/b"), "runs"),
        (("x/runs/a", "x/b"), "x"),
        (("a", "x/b"), "."),
        (("/x/y/a", "/x/z/b"), "/x"),
    ],
)
def test_several_are_reported_on_in_the_folder_that_holds_them(paths: tuple[str, ...], folder: str) -> None:
    assert _around([Path(path) for path in paths]) == Path(folder)


def test_no_run() -> None:
    with pytest.raises(UserError, match=r"^report\(\) needs a run$"):
        api.report([])
