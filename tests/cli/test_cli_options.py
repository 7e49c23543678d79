"""Options of plugins and settings as flags: names, help, precedence, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dime = Callable[..., Any]
Install = Callable[..., None]

SOURCE = '''
from pathlib import Path
from typing import Literal
from pydantic import Field, model_validator
from dimecli.plugin import Loss, Network, Objective


class Spicy(Objective):
    """Hot, with [brackets]."""

    lam: float = Field(0.5, ge=0, le=10, validation_alias="lambda", description="Weight in [0, 10] of [dim]x[/dim].")
    hot: bool = Field(False, description="Heat.")
    seed: int = Field(7, ge=0, description="Its own seed.")
    grains: tuple[int, ...] = Field((1, 2), description="Grains.")
    mode: Literal["a", "b"] = Field("a", description="Mode.")
    limit: float | None = Field(None, gt=0, description="Limit.")
    place: Path = Field(Path("here"), description="A place.")

    presets = {
        "mild": {
            "objective": {"lambda": 1.0, "limit": 4.0}, "train": {"epochs": 7, "lr": 0.25},
            "network": {"name": "mlp", "widths": [3]}, "dataset": {"name": "gaussian-mixture", "dimension": 5},
        }
    }

    @model_validator(mode="after")
    def _rule(self):
        if self.hot and self.lam > 5:
            raise ValueError("hot needs a lambda of at most 5")
        return self

    def loss(self, model, x, rng):
        return Loss()


class Wide(Network):
    """Wide."""

    hot: int = Field(1, description="Another thing of that name.")

    def encoder(self, spec, features): ...
    def decoder(self, spec, latent_size): ...


class Strange(Objective):
    """Strange."""

    table: dict[str, int] = Field({}, description="No form.")

    def loss(self, model, x, rng): ...
'''


@pytest.fixture(autouse=True)
def spices(install: Install) -> None:
    points = {
        "dimecli.objectives": "spicy = spices:Spicy\nstrange = spices:Strange",
        "dimecli.networks": "wide = spices:Wide",
    }
    install("dime-spices", "0.3.0", points, spices=SOURCE)


def resolved(dime: Dime, *words: str) -> Any:
    ran = dime("train", *words, "--dry-run")
    assert ran.code == 0, ran.err
    return ran.json


def test_every_field_is_an_option_of_the_command(dime: Dime) -> None:
    words = "--lambda 2 --hot --grains 512,256 --mode b --limit 3 --place there --latent-size 9 --objective.seed 3"
    options = resolved(dime, "spicy", *words.split())["objective"]
    assert options == {
        "name": "spicy",
        "latent_size": 9,
        "reduction": "sum",
        "lambda": 2.0,
        "hot": True,
        "seed": 3,
        "grains": [512, 256],
        "mode": "b",
        "limit": 3.0,
        "place": str(Path("there").absolute()),
    }


def test_without_options_the_defaults_hold(dime: Dime) -> None:
    config = resolved(dime)
    assert (config["objective"]["name"], config["dataset"]["name"], config["network"]["name"]) == (
        "dime",
        "digits",
        "mlp",
    )
    assert config["train"]["epochs"] == 100
    assert set(config) == {"objective", "dataset", "network", "train"}


def test_a_value_that_an_objective_is_called_after_is_not_taken_for_it(dime: Dime) -> None:
    ran = dime("train", "--grammar", "dime", "--dry-run")
    assert ran.code == 2
    assert ran.err == "Error: 'dime' is also the name of some objective, so write the option before it as OPTION=dime\n"
    assert "named 'dime'" in dime("train", "--grammar=dime", "--dry-run").err, "there is no such grammar"


def test_the_dataset_brings_its_network_unless_one_is_named(dime: Dime) -> None:
    from dimecli.registry import find

    expected: Any = find("dataset", "mnist").plugin
    assert resolved(dime, "--dataset", "mnist")["network"]["name"] == expected.fitting_network()
    assert resolved(dime, "--dataset=mnist", "--network=wide")["network"] == {"name": "wide", "hot": 1}


def test_help_shows_defaults_bounds_and_origin_and_no_markup_of_plugins_acts(dime: Dime) -> None:
    ran = dime("train", "spicy", "--help")
    assert ran.code == 0
    assert "Options of objective 'spicy' (dime-spices 0.3.0)" in ran.flat
    assert "Weight in [0, 10] of [dim]x[/dim]. [>= 0, <= 10, default: 0.5]" in ran.flat
    assert "--hot --no-hot" in ran.flat
    assert "--grains <int,int,...> Grains. [default: 1,2]" in ran.flat
    assert "--limit <float|none>" in ran.flat
    assert "Training" in ran.flat
    assert "--epochs <int> Passes over the training samples. [>= 1, default: 100]" in ran.flat
    assert "--preset NAME Settings that objective 'spicy' knows by name: mild." in ran.flat


def test_help_shows_what_a_file_gives(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[objective]\nname = "spicy"\nlambda = 9.5\n')
    assert "default: 9.5]" in dime("train", "--config", "run.toml", "--help").flat


def test_a_clashing_flag_is_spelled_with_its_kind(dime: Dime) -> None:
    config = resolved(dime, "spicy", "--network", "wide", "--hot", "--network.hot", "5", "--seed", "11")
    assert config["objective"]["hot"] is True
    assert config["network"]["hot"] == 5
    assert config["train"]["seed"] == 11
    assert config["objective"]["seed"] == 7


def test_defaults_preset_file_and_command_line_override_each_other_in_this_order(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[objective]\nlambda = 2\nmode = 'b'\n[train]\nepochs = 8\nbatch_size = 10\n")
    config = resolved(dime, "spicy", "--preset", "mild", "--config", "run.toml", "--epochs", "9")
    assert config["objective"]["lambda"] == 2
    assert config["objective"]["limit"] == 4
    assert config["objective"]["mode"] == "b"
    assert config["train"]["lr"] == 0.25
    assert config["train"]["epochs"] == 9
    assert config["train"]["batch_size"] == 10
    assert config["network"] == {"name": "mlp", "widths": [3], "activation": "relu"}
    assert config["dataset"]["dimension"] == 5


def test_a_file_may_spell_options_as_flags_are_spelled(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        "[objective]\nname = 'spicy'\nlatent-size = 3\n[train]\nbatch-size = 10\n"
        "[tracker]\nname = 'mlflow'\n[tracker.mlflow]\ntracking-uri = 'http://there'\n"
    )
    config = resolved(dime, "--config", "run.toml")
    assert config["objective"]["latent_size"] == 3
    assert config["train"]["batch_size"] == 10
    assert config["tracker"]["mlflow"]["tracking_uri"] == "http://there"


def test_naming_another_plugin_leaves_the_options_of_the_first_behind(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[objective]\nname = 'spicy'\nlambda = 2\n[network]\nname = 'wide'\nhot = 3\n")
    assert resolved(dime, "--config", "run.toml")["objective"]["lambda"] == 2
    config = resolved(dime, "ae", "--config", "run.toml", "--network", "mlp")
    assert config["objective"] == {"name": "ae", "latent_size": 16, "reduction": "sum"}
    assert config["network"]["widths"] == [512, 256]
    assert resolved(dime, "spicy", "--preset", "mild", "--config", "run.toml")["network"] == {"name": "wide", "hot": 3}


def test_none_takes_back_what_a_preset_set(dime: Dime) -> None:
    assert resolved(dime, "spicy", "--preset", "mild", "--limit", "none")["objective"]["limit"] is None


def test_the_record_of_a_run_is_a_config(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(
        '{"schema": 1, "config": ' + dime("train", "spicy", "--hot", "--dry-run").out + "}"
    )
    assert resolved(dime, "--config", "run.json") == resolved(dime, "spicy", "--hot")


def test_what_a_dry_run_prints_is_a_config(dime: Dime, tmp_path: Path) -> None:
    words = ("spicy", "--hot", "--limit", "3", "--place", "there", "--epochs", "4", "--dataset", "gaussian-mixture")
    (tmp_path / "dry.json").write_text(dime("train", *words, "--dry-run").out)
    assert resolved(dime, "--config", "dry.json") == resolved(dime, *words)


def test_help_shows_the_default_and_not_what_was_typed(dime: Dime) -> None:
    text = dime("train", "spicy", "--dataset", "mnist", "--network", "wide", "--help").flat
    for default in ("dime", "digits", "dime-conv"):
        assert f"[default: {default}]" in text
    for typed in ("spicy", "mnist", "wide"):
        assert f"[default: {typed}]" not in text


def test_one_file_may_serve_several_commands(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text("[train]\nepochs = 2\n[sample]\ncount = 9\n[density]\nname = 'gmm'\n")
    assert resolved(dime, "--config", "all.toml")["train"]["epochs"] == 2


@pytest.mark.parametrize(
    "words",
    ["spicy --epochs 5", "--epochs 5 spicy", "--quiet spicy", "--hot spicy --epochs 5", "--epochs=5 spicy --hot"],
)
def test_the_objective_may_stand_anywhere(dime: Dime, words: str) -> None:
    assert resolved(dime, *words.split())["objective"]["name"] == "spicy"


def test_a_name_of_an_objective_may_be_the_value_of_an_option(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "vae").write_text("[train]\nepochs = 3\n")
    assert resolved(dime, "--config", "vae", "spicy")["objective"]["name"] == "spicy"


MISTAKES = {
    "spicy --gama 1 --lambd 2": "No such option: --gama",
    "spicy --lambd 2": "No such option: --lambd (Possible options: --lambda",
    "spicy --lambda 11": "--lambda: should be less than or equal to 10, got '11'",
    "spicy --lambda nan": "--lambda: should be a finite number, got 'nan'",
    "spicy --lambda x": "--lambda: should be a valid number, got 'x'",
    "spicy --mode c": "--mode: should be 'a' or 'b', got 'c'",
    "spicy --grains 1,q": "--grains: should be a valid integer, got '1,q'",
    "spicy --epochs 0": "--epochs: should be greater than or equal to 1, got '0'",
    "spicy --epochs --lr 1": "--epochs: its value is missing, before --lr",
    "ae --gamma 1": "No such option: --gamma. It is an option of objective 'dime': name it before all options.",
    "spicy --lamda 1": "No such option: --lamda (Possible options: --lambda)\n",
    "ae --betta 1": "No such option: --betta\n",
    "--path x": "It is an option of dataset 'arrays', 'image-folder': add --dataset NAME.",
    "--hold-out 1": "It is an option of dataset 'sentences': add --dataset sentences.",
    "spicy -x": "No such option: -x",
    "spicy --hot --lambda 6": "options of objective 'spicy': hot needs a lambda of at most 5",
    "spicy --objective.seed -3": "--objective.seed: should be greater than or equal to 0, got '-3'",
    "spicy --preset mid": "--preset: objective 'spicy' has no 'mid'. Did you mean 'mild'? Known: mild.",
    "spicy --dataset mnst": "no dataset named 'mnst'. Did you mean 'mnist'?",
    "spicyy": "no objective named 'spicyy'. Did you mean 'spicy'?",
    "--quiet spicyy": "no objective named 'spicyy'. Did you mean 'spicy'?",
    "--mode vae --latent-size 4 dime": "No such option: --mode",
    "--schedule vae ae": "write objective 'ae' before all options",
    "spicy vae": "Got unexpected extra argument(s) (vae)",
    "--gamma --config x.toml": "--config x.toml: No such file or directory",
    "spicy --limit --preset mild": "--limit: its value is missing, before --preset",
    "strange": "objective 'strange' of dime-spices 0.3.0 (spices:Strange): option 'table': dict[str, int] has no form",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_told_in_one_line(dime: Dime, words: str) -> None:
    ran = dime("train", *words.split(), "--dry-run")
    assert ran.code == (1 if "strange" in words else 2)
    assert ran.out == ""
    assert ran.err.startswith("Error: ")
    assert ran.err.count("\n") == 1
    assert MISTAKES[words] in ran.err


FILE_MISTAKES = {
    "[objective]\nname = 'spicy'\nlambd = 3": (
        "'lambd' in [objective] of run.toml: objective 'spicy' has no such option. Did you mean 'lambda'?"
    ),
    "[objective]\nname = 'spicy'\nlam = 3": "'lam' in [objective] of run.toml: objective 'spicy' has no such option.",
    "[objective]\nname = 'spicy'\nlambda = 30": (
        "'lambda' in [objective] of run.toml: should be less than or equal to 10, got 30"
    ),
    "[objective]\nname = 'spicey'": "no objective named 'spicey'. Did you mean 'spicy'?",
    "[objective]\nname = 5": "'name' in [objective] of run.toml: should be the name of a plugin, got 5",
    "[grammar]\nname = 'rna'": "run.toml: no table [grammar] is known.",
    "[objectiv]\nname = 'spicy'": "run.toml: no table [objectiv] is known. Did you mean 'objective'?",
    "[train]\nepoch = 3": "'epoch' in [train] of run.toml: 'dime train' has no such option. Did you mean 'epochs'?",
    "epochs = 3": "run.toml: 'epochs' stands outside of any table; write it below one, such as [train]",
    "[train]\nbatch-sise = 3": "'batch-sise' in [train] of run.toml: 'dime train' has no such option. Did you mean",
    "[train]\nepochs = true": "'epochs' in [train] of run.toml: should be of type int, got True",
    "[train]\nepochs = '3'": "'epochs' in [train] of run.toml: should be of type int, got '3'",
    "[objective]\nname = 'spicy'\nlambda = true": "should be of type float, got True",
    "[objective]\nname = 'spicy'\nlimit = '1'": "should be of type float|none, got '1'",
    "[objective]\nname = 'spicy'\nhot = 1": "should be of type bool, got 1",
    "[objective]\nname = 'spicy'\ngrains = [1, true]": "should be of type int,int,..., got [1, True]",
    "[train": "--config run.toml: ",
}


@pytest.mark.parametrize("text", FILE_MISTAKES)
def test_a_mistake_in_a_file_names_file_table_and_key(dime: Dime, tmp_path: Path, text: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    ran = dime("train", "--config", "run.toml", "--dry-run")
    assert ran.code == 2
    assert FILE_MISTAKES[text] in ran.err
    assert ran.err.count("\n") == 1


def test_files_that_are_no_config(dime: Dime, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    assert "no record of a run" in dime("train", "--config", "list.json").err
    for name in ("broken.json", "latin.toml", "missing.toml"):
        ran = dime("train", "--config", name)
        assert ran.code == 2
        assert ran.err.startswith(f"Error: --config {name}: ")
