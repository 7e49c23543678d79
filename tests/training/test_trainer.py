"""The training loop: what it learns, keeps, writes and refuses."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from dimecli.api import Run, train
from dimecli.console import Reporter
from dimecli.data.batches import Batches
from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.errors import DimeError, UserError
from dimecli.model import Autoencoder
from dimecli.nn.potential import log_potential
from dimecli.plugin import Loss
from dimecli.registry import make
from dimecli.run.folder import list_runs, read_record
from dimecli.training.settings import TrainSettings
from dimecli.training.step import Step, compute_in_bfloat16
from dimecli.training.trainer import Trainer
from dimecli_plugins.datasets.digits import Digits
from dimecli_plugins.objectives.ae import AE

SMALL = make("network", "mlp", widths=(16,))


def history(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def small(runs: Path, objective: str = "dime", **options: Any) -> Run:
    return train(objective, "digits", SMALL, runs=runs, **{"epochs": 3, **options})


def test_training_leaves_the_variance_of_the_data(runs: Path) -> None:
    """A net that gives the mean image everywhere has the data's variance as its error."""
    run = small(runs, "ae", epochs=20, lr=3e-3)
    x = run.samples("validation").x
    assert isinstance(x, torch.Tensor)
    pixels = x.float() / 255 if x.dtype == torch.uint8 else x
    variance = (pixels - pixels.mean(0)).square().flatten(1).sum(1).mean().item()
    assert run.results["terms"]["reconstruction"] < 0.7 * variance
    assert history(run)[-1]["train"]["total"] < history(run)[0]["train"]["total"]


def test_same_seed_same_bits_and_another_seed_another_model(runs: Path) -> None:
    first, again, other = small(runs, "vae"), small(runs, "vae"), small(runs, "vae", seed=1)
    assert first.record["weights"] == again.record["weights"]
    assert first.record["weights"] != other.record["weights"]


def test_the_caller_s_random_state_is_left_alone(runs: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    small(runs, "vae", epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_history_has_every_term_and_the_share_of_the_information_gradient(runs: Path) -> None:
    run = small(runs)
    last = history(run)[-1]
    assert set(last["train"]) == set(last["validation"]) == {"reconstruction", "information", "total"}
    assert last["train"]["total"] == pytest.approx(last["train"]["reconstruction"] + last["train"]["information"])
    shares = last["gradient_share"]
    assert sum(shares.values()) == pytest.approx(1)
    assert 0.05 < shares["information"] < 0.95
    weak = train(make("objective", "dime", lam=5e-4, gamma=5e-3), "digits", SMALL, runs=runs, epochs=3)
    assert weak.results["gradient_share"]["information"] < 0.01


def test_max_steps_ends_in_the_middle_of_an_epoch(runs: Path) -> None:
    run = small(runs, max_steps=5)
    assert run.results["steps"] == 5
    assert history(run)[-1]["epoch"] == 1


def test_best_weights_are_those_of_the_best_validation(runs: Path) -> None:
    """A learning rate far too high at the end makes the last weights worse than the best."""
    run = small(runs, "ae", epochs=8, lr=0.3)
    totals = [line["validation"]["total"] for line in history(run)]
    assert run.results["terms"]["total"] == pytest.approx(min(totals))
    last = small(runs, "ae", epochs=8, lr=0.3, keep="last")
    assert last.results["terms"]["total"] == pytest.approx(totals[-1])
    assert run.record["weights"] != last.record["weights"]


def test_cosine_goes_to_zero_and_plateau_halves(runs: Path) -> None:
    cosine = history(small(runs, epochs=4, schedule="cosine", lr=1e-2))
    steps = cosine[-1]["step"]
    for line in cosine:
        expected = 1e-2 * 0.5 * (1 + math.cos(math.pi * (line["step"] - 1) / steps))
        assert line["lr"] == pytest.approx(expected)
    rates = [line["lr"] for line in history(small(runs, "ae", epochs=12, schedule="plateau", patience=1, lr=0.2))]
    assert rates == sorted(rates, reverse=True)
    assert {round(math.log2(0.2 / rate), 9) for rate in rates} == set(range(round(math.log2(0.2 / rates[-1])) + 1))
    assert rates[-1] < 0.2


def test_clipping_bounds_the_step_of_the_gradient(runs: Path) -> None:
    assert small(runs, clip=1e-3).record["weights"] != small(runs).record["weights"]


def test_batch_wide_terms_are_computed_in_float32_under_bfloat16() -> None:
    """Codes that lie close together: in bfloat16 their potential loses its gradient."""
    objective = make("objective", "dime", lam=1.0)
    spec = Spec(modality="image", shape=(1, 4, 4), likelihood=Gaussian(bounded=True))
    model = objective.build(spec, SMALL)
    x = 0.5 + 0.01 * torch.rand(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    compute_in_bfloat16(model.encoder, torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16):
        inside = log_potential(model.encode(x), objective.gamma)
    codes = model.encode(x)
    assert codes.dtype == torch.float32
    exact = log_potential(codes.double(), objective.gamma).item()
    found = Step(objective, model, torch.Generator())(x)["information"].item()
    assert found == pytest.approx(exact, rel=1e-2)
    assert inside.item() != pytest.approx(exact, rel=0.05), "the trap that this test is about"


def test_bfloat16_trains_close_to_float32(runs: Path) -> None:
    full, half = small(runs, epochs=5), small(runs, epochs=5, precision="bf16")
    assert full.record["weights"] != half.record["weights"]
    assert half.results["terms"]["reconstruction"] == pytest.approx(full.results["terms"]["reconstruction"], rel=0.05)


@pytest.mark.parametrize("options", [{"stream": "always", "workers": 0}, {"stream": "never"}])
def test_streaming_gives_the_same_bits_as_memory(runs: Path, options: dict[str, Any]) -> None:
    assert small(runs, **options).record["weights"] == small(runs).record["weights"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")  # torch 2.11's compiler uses it
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_compiled_training_agrees_with_plain(runs: Path, precision: str) -> None:
    options: dict[str, Any] = {"epochs": 2, "precision": precision, "keep": "last"}
    plain, compiled = small(runs, **options), small(runs, compile=True, **options)
    assert compiled.results["terms"] == pytest.approx(plain.results["terms"], rel=0.05)


@pytest.mark.slow
def test_a_machine_without_a_compiler(tmp_path: Path) -> None:
    """A process of its own: the compiler is looked for once."""
    command = (sys.executable, "-m", "dimecli", "train", "--compile", "--epochs", "1", "--quiet")
    environment = {**os.environ, "CXX": "/none", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 1
    assert "Error: --compile: InvalidCxxCompiler" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_out_of_memory_is_one_clear_line(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nDetails")

    monkeypatch.setattr(Trainer, "_train_on", step)
    with pytest.raises(DimeError, match=r"out of memory\. Tried to allocate 2 GiB; try a smaller --batch-size"):
        small(runs)


class _Breaks(AE):
    """An autoencoder whose second term is not finite from a given step on."""

    def loss(self, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        """Good until the 20th step."""
        global _calls
        _calls += 1
        bad = torch.tensor(math.inf if _calls > 20 else 0.0)
        return Loss(reconstruction=self.reconstruction(model, x, model.encode(x)), odd=bad)


_calls = 0


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> AE:
    global _calls
    _calls = 0
    from dimecli import registry

    real = registry.entry_of
    entry = registry.find("objective", "ae")
    for module in ("dimecli.training.experiment", "dimecli.run.run"):
        monkeypatch.setattr(f"{module}.entry_of", lambda plugin: entry if isinstance(plugin, _Breaks) else real(plugin))
    return _Breaks()


def test_infinity_stops_with_term_step_and_batch_and_keeps_the_last_checkpoint(runs: Path, breaking: AE) -> None:
    with pytest.raises(DimeError, match=r"term 'odd' is inf at step 1\d \(epoch 2, batch \d+ of 12\)") as caught:
        train(breaking, "digits", SMALL, runs=runs, epochs=3, checkpoint_seconds=0)
    assert "last good checkpoint" in str(caught.value)
    path = runs / list_runs(runs)[0]["run"]
    assert read_record(path)["state"] == "failed"
    assert "term 'odd'" in read_record(path)["error"]
    assert (path / "checkpoints" / "last.safetensors").exists()


def test_a_gradient_that_is_not_finite_never_reaches_a_checkpoint(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the step is finite; its gradient is not."""

    def loss(self: AE, model: Autoencoder, x: torch.Tensor, rng: torch.Generator) -> Loss:
        nll = self.reconstruction(model, x, model.encode(x))
        return Loss(reconstruction=nll, root=(nll - nll.detach()).sqrt())  # sqrt'(0) is infinite

    monkeypatch.setattr(AE, "loss", loss)
    with pytest.raises(DimeError, match=r"the gradient made weights NaN or infinite by step 1; no checkpoint"):
        small(runs, "ae", checkpoint_seconds=0)
    with pytest.raises(DimeError, match=r"term '\w+' is nan at step 2 "):
        small(runs, "ae")


def test_too_few_samples_for_the_batch_terms() -> None:
    class Few(Digits):
        """Twelve samples, of which one is for validation."""

        def read(self, split: Literal["train", "test"]) -> Samples:
            return super().read(split).take(range(12))

    few = Few()
    training, validation = (Batches(samples, torch.device("cpu")) for samples in few.training())
    spec = few.load("train").spec
    objective = AE()
    with pytest.raises(UserError, match="1 validation samples"):
        Trainer(
            objective,
            objective.build(spec, SMALL),
            TrainSettings(),
            training,
            validation,
            torch.device("cpu"),
            Reporter(quiet=True),
        )
