"""A loaded run: codes, densities and samples, and what it refuses."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dimecli.api import Run, load_run, save_samples, train
from dimecli.data.samples import Split
from dimecli.errors import DimeError, UserError
from dimecli.registry import find, make
from dimecli.run.decoding import Decoding
from dimecli.run.files import read_tensors, write_tensors
from dimecli.run.folder import read_record, update_record
from dimecli.training.experiment import Experiment

NETWORK = make("network", "mlp", widths=(16,))


def trained(runs: Path, objective: str = "dime", dataset: str = "digits") -> Run:
    return train(objective, dataset, NETWORK, runs=runs, epochs=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("runs"))


def test_loading_gives_the_same_model(run: Run) -> None:
    again = load_run(run.path)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
    assert not again.model.training
    assert load_run(runs=run.path.parent).path == run.path


def test_a_learned_noise_is_that_of_the_likelihood(tmp_path: Path, run: Run) -> None:
    learned = train("vae", make("dataset", "digits", noise="learned"), NETWORK, runs=tmp_path, epochs=2)
    _, log_std = learned.model.decode(torch.zeros(1, 16), torch.empty(0)).chunk(2, dim=1)
    assert learned.noise == pytest.approx(log_std.exp().unique().item())
    assert run.noise is None


def test_codes_are_encoded_once_and_lie_on_the_sphere(run: Run) -> None:
    codes = run.codes("test")
    x = run.samples("test").x
    assert isinstance(x, torch.Tensor)
    torch.testing.assert_close(codes, run.encode(x))
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(len(codes)))
    tensors, _ = read_tensors(run.path / "codes" / "test.safetensors")
    assert torch.equal(tensors["codes"], codes)
    labels = run.samples("test").y
    assert labels is not None
    assert torch.equal(tensors["labels"], labels)


def test_densities_are_fitted_on_train_codes_alone(run: Run) -> None:
    fitted = run.fit("gaussian")
    codes = run.codes("train").double()
    z = torch.randn(5, 16, dtype=torch.float64)
    expected = torch.distributions.MultivariateNormal(codes.mean(0), torch.cov(codes.T)).log_prob(z)
    torch.testing.assert_close(fitted.log_prob(z), expected, rtol=1e-3, atol=1e-2)


def test_a_fit_is_kept_until_its_options_change(run: Run) -> None:
    file = run.path / "densities" / "gmm.safetensors"
    run.fit(make("density", "gmm", components=2))
    first = file.read_bytes()
    file_time = file.stat().st_mtime_ns
    run.fit(make("density", "gmm", components=2, temperature=0.5))
    assert file.stat().st_mtime_ns == file_time, "the temperature belongs to sampling, not to the fit"
    run.fit(make("density", "gmm", components=3))
    assert file.read_bytes() != first
    assert read_tensors(file)[0]["weights"].shape == (3,)


@pytest.mark.parametrize("density", ["gmm", "gaussian", "prior", "sphere-uniform"])
def test_same_seed_same_bits_another_seed_other_samples(run: Run, density: str) -> None:
    first, again, other = run.sample(9, density, 1), run.sample(9, density, 1), run.sample(9, density, 2)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.codes, again.codes)
    assert not torch.isclose(first.codes, other.codes).any()
    assert first.x.shape == (9, 1, 8, 8)
    assert first.x.min() >= 0
    assert first.x.max() <= 1


def test_samples_are_projected_to_the_sphere_unless_told_not_to(run: Run) -> None:
    torch.testing.assert_close(run.sample(50, "gmm").codes.norm(dim=1), torch.ones(50))
    free = run.sample(50, "gmm", project=False)
    assert free.codes.norm(dim=1).std() > 1e-3
    assert free.conditions["projected"] is False


def test_temperature_zero_goes_to_the_means(run: Run) -> None:
    cold = run.sample(50, make("density", "gaussian", temperature=1e-6), project=False)
    torch.testing.assert_close(cold.codes, run.codes("train").mean(0).expand(50, -1), atol=1e-4, rtol=0)


def test_saved_samples_read_back_without_pickle(run: Run) -> None:
    drawn = run.sample(5, "gmm", seed=3)
    picture, arrays = save_samples(run, drawn)
    second = save_samples(run, drawn)[0]
    assert picture != second, "nothing is overwritten"
    found = np.load(arrays, allow_pickle=False)
    assert np.array_equal(found["samples"], drawn.x.numpy())
    assert np.array_equal(found["codes"], drawn.codes.numpy())
    assert json.loads(str(found["conditions"]))["density"]["name"] == "gmm"

    from PIL import Image

    with Image.open(picture) as image:
        assert image.size == (3 * 66 + 2, 2 * 66 + 2), "5 digits of 8 pixels, enlarged 8 times, in 3 columns"


def test_vectors_are_drawn_as_a_scatter_plot(tmp_path: Path) -> None:
    run = trained(tmp_path, "vae", "gaussian-mixture")
    picture, _ = save_samples(run, run.sample(20, "prior"))
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_densities_that_do_not_fit_the_latent_space(tmp_path: Path) -> None:
    flat = trained(tmp_path, "ae")
    with pytest.raises(UserError, match="--density sphere-uniform is for a latent space that is sphere"):
        flat.sample(2, "sphere-uniform")
    with pytest.raises(UserError, match="no prior"):
        flat.sample(2, "prior")


def test_weights_that_were_truncated_or_edited(tmp_path: Path) -> None:
    run = trained(tmp_path)
    file = run.path / "weights.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(DimeError, match="truncated or edited"):
        load_run(run.path)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DimeError, match="truncated or edited"):
        load_run(run.path)
    file.unlink()
    with pytest.raises(DimeError, match="cannot be read"):
        load_run(run.path)


def test_weights_of_another_model(tmp_path: Path) -> None:
    from dimecli.run.files import file_hash

    run = trained(tmp_path)
    write_tensors(run.path / "weights.safetensors", {"x": torch.zeros(1)}, {})
    update_record(run.path, weights=file_hash(run.path / "weights.safetensors"))
    with pytest.raises(DimeError, match=r"the installed dimecli .* builds: train it again") as caught:
        load_run(run.path)
    assert "\n" not in str(caught.value)


def test_a_plugin_that_is_gone_is_named_with_its_package(tmp_path: Path) -> None:
    run = trained(tmp_path)
    record = read_record(run.path)
    config = {**record["config"], "objective": {"name": "wonder"}}
    origin = {**record["plugins"]["objective"], "distribution": "dime-wonder", "version": "2.1"}
    update_record(run.path, config=config, plugins={**record["plugins"], "objective": origin})
    with pytest.raises(UserError, match=r"needs the objective 'wonder' of dime-wonder 2\.1: pip install dime-wonder"):
        load_run(run.path)


def test_an_option_that_a_plugin_no_longer_has(tmp_path: Path) -> None:
    run = trained(tmp_path)
    config = read_record(run.path)["config"]
    update_record(run.path, config={**config, "objective": {**config["objective"], "fancy": 1}})
    with pytest.raises(DimeError, match=r"the options do not suit dimecli .*: no option 'fancy'") as caught:
        load_run(run.path)
    assert "\n" not in str(caught.value)


def test_a_run_that_is_not_finished_says_how_to_go_on(tmp_path: Path) -> None:
    run = trained(tmp_path)
    update_record(run.path, state="failed")
    with pytest.raises(UserError, match="is failed, not finished; dime train --resume"):
        load_run(run.path)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_data_that_changed_since(tmp_path: Path, split: Split) -> None:
    run = trained(tmp_path)
    run.codes(split)
    data = run.record["data"]
    update_record(run.path, data={**data, "fingerprints": {**data["fingerprints"], split: "0"}})
    changed = load_run(run.path)
    for read in (changed.samples, changed.codes):
        with pytest.raises(UserError, match=f"the {split} samples of 'digits' are not those that run"):
            read(split)
    assert len(changed.codes("test")) == len(changed.samples("test"))


def test_test_samples_of_another_spec_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path)
    samples = run.samples("test")
    other = dataclasses.replace(samples, spec=samples.spec.model_copy(update={"classes": ("other",) * 10}))
    monkeypatch.setattr(Experiment, "load", lambda *_: other)
    with pytest.raises(UserError, match="the test samples of 'digits' are not those that run"):
        run.samples("test")


def test_codes_of_test_samples_that_changed_are_encoded_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, x_test = rng.random((40, 3), dtype=np.float32), rng.random((9, 3), dtype=np.float32)
    np.savez(tmp_path / "data.npz", x_train=x, x_test=x_test)
    run = train("ae", make("dataset", "arrays", path=tmp_path / "data.npz"), NETWORK, runs=tmp_path, epochs=1)
    before = run.codes("test")
    file = run.path / "codes" / "test.safetensors"
    written = file.stat().st_mtime_ns
    assert torch.equal(run.codes("test"), before)
    assert file.stat().st_mtime_ns == written, "encoded once"
    np.savez(tmp_path / "data.npz", x_train=x, x_test=x_test[::-1].copy())
    torch.testing.assert_close(run.codes("test"), before.flip(0))


def test_a_density_of_another_version_is_fitted_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.fit("gaussian")
    file = run.path / "densities" / "gaussian.safetensors"
    written = file.stat().st_mtime_ns
    run.fit("gaussian")
    assert file.stat().st_mtime_ns == written
    newer = dataclasses.replace(find("density", "gaussian"), version="99")
    monkeypatch.setattr("dimecli.run.run.entry_of", lambda plugin: newer)
    run.fit("gaussian")
    assert file.stat().st_mtime_ns != written
    assert read_tensors(file)[1]["origin"] == "dimecli 99"


def test_a_stranger_s_record_downloads_nothing(tmp_path: Path, install: Callable[..., None]) -> None:
    source = """
from pydantic import Field
from dimecli_plugins.datasets.digits import Digits
class Far(Digits):
    download: bool = Field(False, description="Download.")
    def read(self, split):
        assert not self.download, "downloaded"
        return super().read(split)
"""
    install("dime-far", "1.0", {"dimecli.datasets": "far = far_mod:Far"}, far_mod=source)
    run = trained(tmp_path / "runs", dataset="far")
    config = run.record["config"]
    update_record(run.path, config={**config, "dataset": {**config["dataset"], "download": True}})
    assert load_run(run.path).sample(2, "gaussian").x.shape == (2, 1, 8, 8)


@pytest.mark.parametrize("spec", [{"shape": [1, 9, 9]}, {"modality": "vector", "shape": [3]}])
def test_a_spec_that_does_not_suit_the_weights(tmp_path: Path, spec: dict[str, Any]) -> None:
    run = trained(tmp_path)
    update_record(run.path, spec={**run.record["spec"], **spec})
    with pytest.raises(DimeError, match="does not fit the model that the installed dimecli") as caught:
        load_run(run.path)
    assert "\n" not in str(caught.value)


def test_samples_are_numbered_beyond_999(tmp_path: Path, run: Run) -> None:
    folder = run.path / "samples"
    folder.mkdir(exist_ok=True)
    for name in ("999-gmm.npz", "1000-prior.npz", "x-gmm.npz"):
        (folder / name).touch()
    drawn = run.sample(2, "gmm")
    assert [file.name for file in save_samples(run, drawn)] == ["1001-gmm.png", "1001-gmm.npz"]
    assert [file.name for file in save_samples(run, drawn)] == ["1002-gmm.png", "1002-gmm.npz"]


def test_two_who_take_a_number_at_once_get_two(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = run.sample(2, "gmm")
    first = save_samples(run, drawn)[1]
    before = first.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "glob", lambda self, pattern: iter(()))  # looked before the other wrote
        second = save_samples(run, drawn)[1]
    assert second != first
    assert first.read_bytes() == before


def test_samples_that_cannot_be_written_take_no_number(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def savez(file: Path, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    before = sorted((run.path / "samples").glob("*"))
    with monkeypatch.context() as patched:
        patched.setattr(np, "savez_compressed", savez)
        with pytest.raises(DimeError, match=r"cannot write .*No space left"):
            save_samples(run, run.sample(2, "gmm"))
    assert sorted((run.path / "samples").glob("*")) == before


def test_what_cannot_be_decoded_so_is_told_before_a_fit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "fit", None)
    with pytest.raises(UserError, match="--decode vote:3: no two draws of images agree"):
        run.sample(3, decoding=Decoding(decode="vote:3"))


def test_an_unknown_split_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match="no split 'val'; allowed: train, validation, test"):
        run.codes("val")  # type: ignore[arg-type]
    assert not (run.path / "codes" / "val.safetensors").exists()


def test_damaged_caches_are_made_anew(tmp_path: Path) -> None:
    run = trained(tmp_path)
    before = run.sample(3, "gmm")
    for file in (run.path / "codes" / "train.safetensors", run.path / "densities" / "gmm.safetensors"):
        file.write_bytes(file.read_bytes()[:20])
    assert torch.equal(load_run(run.path).sample(3, "gmm").x, before.x)


@pytest.mark.parametrize("density", ["prior", "sphere-uniform"])
def test_what_is_not_fitted_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, density: str) -> None:
    run = trained(tmp_path)

    def gone(*arguments: object) -> None:
        raise UserError("the data are gone")

    monkeypatch.setattr(Run, "_samples", gone)
    assert run.sample(3, density).conditions["fitted_on"] is None
    assert not (run.path / "codes").exists()


def test_pictures_of_many_samples_show_the_first(tmp_path: Path) -> None:
    run = trained(tmp_path)
    picture, arrays = save_samples(run, run.sample(401, "prior"))
    assert picture.name == "001-prior-first-400.png"
    assert len(np.load(arrays)["samples"]) == 401
    assert save_samples(run, run.sample(400, "prior"))[0].name == "002-prior.png"


def test_files_of_a_run_are_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    import os

    before = os.umask(0o022)
    try:
        run = trained(tmp_path)
    finally:
        os.umask(before)
    assert {oct(file.stat().st_mode & 0o777) for file in run.path.iterdir() if file.is_file()} == {"0o644"}
