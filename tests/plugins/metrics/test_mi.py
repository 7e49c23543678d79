"""The mutual information of data and codes: which estimates there are, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn

from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.evaluation.subject import Subject
from dimecli.model import LatentVariableModel, VariationalAutoencoder
from dimecli.plugin import Measured
from dimecli.settings import checked
from dimecli.testing.runs import TinyRun
from dimecli_plugins.metrics.mi import MI, Estimator, _measured

LOG_VARIANCE = math.log(0.36)
INFORMATION = 0.5 * math.log(1 + 0.64 / 0.36)  # of x ~ N(0, 1) and z = 0.8 x + 0.6 noise


def by_name(measured: Iterator[Measured]) -> dict[str, Measured]:
    return {one.name.removeprefix("mi/"): one for one in measured}


@pytest.fixture
def correlated(tmp_path: Path) -> TinyRun:
    """x and z of one dimension, correlated by 0.8."""
    spec = Spec(modality="vector", shape=(1,), likelihood=Gaussian())
    encoder = nn.Linear(1, 2)
    with torch.no_grad():
        encoder.weight.copy_(torch.tensor([[0.8], [0.0]]))
        encoder.bias.copy_(torch.tensor([0.0, 10 * math.atanh(LOG_VARIANCE / 10)]))
    run = TinyRun(spec, VariationalAutoencoder(spec, encoder, nn.Linear(1, 1), 1), tmp_path)
    rng = torch.Generator().manual_seed(0)
    run._data = {split: Samples(spec, torch.randn(600, 1, generator=rng)) for split in ("train", "validation", "test")}
    return run


def test_estimates_surround_the_truth(correlated: TinyRun) -> None:
    found = by_name(MI().measure(Subject(correlated)))
    assert set(found) == set(get_args(Estimator))
    error = 0.08  # of means over 600 draws
    assert found["lower"].value == pytest.approx(INFORMATION, abs=error)
    assert found["ksg"].value == pytest.approx(INFORMATION, abs=error)
    assert INFORMATION - error < found["upper"].value < INFORMATION + 0.1
    for name in ("infonce", "mine", "f-dual"):
        assert 0.6 * INFORMATION < found[name].value < INFORMATION + error
    fitted = {"n": 600, "fitted_on": "train", "fitted": 600}
    assert found["lower"].conditions == {"n": 600}
    assert found["upper"].conditions == {"density": "flow", **fitted}
    assert found["mine"].conditions == found["infonce"].conditions == found["f-dual"].conditions == fitted
    assert found["f-dual"].value <= found["mine"].value, "InfoMax-VAE's bounds, of one critic"
    assert found["ksg"].conditions == {"n": 600, "neighbours": 5}
    remarks = [name for name, one in found.items() if one.remark]
    assert remarks == ["infonce"], "once, that critics give lower bounds"
    assert found["infonce"].remark == "A critic's lower bound: the information may be more."


def test_critics_are_not_judged_by_what_they_were_fitted_to(correlated: TinyRun) -> None:
    found = by_name(MI(estimators=("infonce",)).measure(Subject(correlated, split="train", n=100)))
    assert found["infonce"].conditions == {"n": 100, "fitted_on": "validation", "fitted": 600}
    rows = set(Subject(correlated, split="train").data.flatten().tolist())
    assert not rows & set(Subject(correlated, split="validation").data.flatten().tolist())


def narrow(tiny: dict[str, TinyRun]) -> TinyRun:
    """A run with posteriors so narrow that their information is far above log N."""
    run = tiny["variational codes of vectors"]
    run.model.encoder.get_submodule("1").get_parameter("bias")[3:] = -40.0
    return run


def test_what_60_samples_cannot_show_is_remarked(tiny: dict[str, TinyRun]) -> None:
    found = by_name(MI(estimators=("lower", "upper", "mine")).measure(Subject(narrow(tiny))))
    assert math.log(60) * 0.95 < found["lower"].value <= math.log(60)
    assert found["lower"].remark == "It is at most log N = 4.09 nats, and there: the information may be far more."
    assert found["upper"].value > math.log(60)
    assert found["upper"].remark == "Above log N = 4.09 nats: 60 samples cannot show that there is so much."


@pytest.mark.parametrize(
    ("name", "value", "remark"),
    [
        ("infonce", 4.3, ""),
        ("infonce", 4.4, "It is at most log N = 4.61 nats, and there: the information may be far more."),
        ("lower", 4.4, "It is at most log N = 4.61 nats, and there: the information may be far more."),
        ("mine", 4.4, ""),
        ("mine", 4.7, "Above log N = 4.61 nats: 100 samples cannot show that there is so much."),
        ("ksg", 4.7, "Above log N = 4.61 nats: 100 samples cannot show that there is so much."),
    ],
)
def test_what_is_remarked_near_log_n(name: Estimator, value: float, remark: str) -> None:
    assert _measured(name, value, 100, {}).remark == remark
    assert _measured(name, value, 100, {}, "Something.").remark == (remark or "Something.")


def test_neighbours_in_many_dimensions_are_remarked(tiny: dict[str, TinyRun]) -> None:
    subject = Subject(tiny["variational codes of images"], n=50)
    (one,) = MI(estimators=("ksg",), neighbours=3).measure(subject)
    assert one.remark == "In 6 and 3 dimensions it says far too little (a quarter, in 16 and 16)."
    assert one.conditions == {"n": 50, "neighbours": 3}


def test_codes_without_a_posterior(tiny: dict[str, TinyRun]) -> None:
    deterministic, variational = (tiny[f"{of} codes of images"] for of in ("deterministic", "variational"))
    assert MI().refusal(variational) is None
    assert MI().refusal(deterministic) == (
        "the codes are deterministic: there is no q(z|x), and I(x; z) is infinite for continuous x; --noise blurs them"
    )
    noisy = MI(noise=0.5, estimators=("lower", "ksg"))
    assert noisy.refusal(deterministic) is None
    assert noisy.refusal(variational) == "--noise 0.5 is for deterministic codes; these have a posterior"
    found = by_name(noisy.measure(Subject(deterministic)))
    assert found["lower"].conditions == {"n": 60, "noise": 0.5}
    more = by_name(MI(noise=5.0, estimators=("lower",)).measure(Subject(deterministic)))
    assert more["lower"].value < found["lower"].value


class Opaque(LatentVariableModel):
    """A posterior that can be drawn from, and no more."""

    def infer(self, x: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self.encoder(x)
        noise = torch.randn(mean.shape, generator=rng)
        return mean + noise, -0.5 * (noise.square() + math.log(2 * math.pi)).sum(1)


def test_a_posterior_that_is_not_known_at_other_codes(tiny: dict[str, TinyRun]) -> None:
    run = tiny["deterministic codes of images"]
    run.model = Opaque(run.model.spec, run.model.encoder, run.model.decoder, 3)
    assert set(by_name(MI().measure(Subject(run)))) == {"upper", "infonce", "mine", "f-dual", "ksg"}
    with pytest.raises(UserError) as told:
        list(MI(estimators=("ksg", "lower")).measure(Subject(run)))
    assert str(told.value) == (
        "--estimators lower: it needs the density of each posterior at the codes of all others, which those of this "
        "run do not have in closed form; allowed: f-dual, infonce, ksg, mine, upper"
    )


def test_numbers_of_a_few_samples_do_not_depend_on_how_many_there_are(
    tiny: dict[str, TinyRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny["variational codes of vectors"]
    monkeypatch.setattr("dimecli_plugins.metrics.mi._NEIGHBOURS", 20)
    found = [list(MI(estimators=("ksg",)).measure(Subject(run, n=n))) for n in (20, 37, 60)]
    assert found[0] == found[1] == found[2]


def test_too_few_samples(tiny: dict[str, TinyRun], monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny["variational codes of vectors"]
    with pytest.raises(UserError, match=r"^mi needs 6 samples of test, for --neighbours 5; got 5$"):
        list(MI().measure(Subject(run, n=5)))
    with pytest.raises(UserError, match=r"^mi needs 2 samples of test; got 1$"):
        list(MI(estimators=("lower",)).measure(Subject(run, n=1)))
    run._data["train"] = run._data["train"].take(range(19))
    with pytest.raises(UserError, match=r"^mi fits to samples of train, and needs 20; there are 19$"):
        list(MI(estimators=("mine",)).measure(Subject(run)))


@pytest.mark.parametrize(
    ("option", "value"), [("estimators", ["npeet"]), ("estimators", []), ("neighbours", 0), ("noise", 0.0)]
)
def test_mistaken_options(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^{option}"):
        checked(MI, {option: value})
