"""Batches: every sample once, in an order of seed and epoch alone, whole or shared, resident or streamed."""

from collections import Counter
from typing import Literal

import pytest
import torch

from dimecli.data.batches import Batches
from dimecli.data.likelihood import Gaussian
from dimecli.data.samples import Samples, split_off
from dimecli.data.spec import Spec
from dimecli.errors import UserError

SPEC = Spec(modality="vector", shape=(2,), likelihood=Gaussian())
CPU = torch.device("cpu")


class Numbers:
    """A source of samples that are read one by one."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full((2,), float(index))

    def fingerprint(self) -> str:
        return f"numbers {self.count}"


def samples(count: int) -> Samples:
    return Samples(SPEC, torch.arange(count, dtype=torch.float32)[:, None].expand(-1, 2).contiguous())


def seen(batches: list[torch.Tensor]) -> list[float]:
    return [value for batch in batches for value in batch[:, 0].tolist()]


@pytest.fixture(params=["memory", "decoded", "streamed", "workers"])
def batches(request: pytest.FixtureRequest) -> Batches:
    match request.param:
        case "memory":
            return Batches(samples(23), CPU)
        case "decoded":
            return Batches(Samples(SPEC, Numbers(23)), CPU, "never")
        case "streamed":
            return Batches(Samples(SPEC, Numbers(23)), CPU, "always")
        case _:
            return Batches(Samples(SPEC, Numbers(23)), CPU, "always", workers=2)


def test_an_epoch_has_every_sample_at_most_once_in_whole_batches(batches: Batches) -> None:
    epoch = list(batches.shuffled(5, seed=0, epoch=0))
    assert [len(batch) for batch in epoch] == [5, 5, 5, 5]
    assert max(Counter(seen(epoch)).values()) == 1
    assert seen(epoch) != sorted(seen(epoch))


def test_the_order_depends_on_seed_and_epoch_alone_wherever_samples_live(batches: Batches) -> None:
    def order(source: Batches, seed: int, epoch: int, start: int = 0) -> list[float]:
        return seen(list(source.shuffled(5, seed, epoch, start)))

    reference = Batches(samples(23), CPU)
    assert order(batches, 0, 1) == order(reference, 0, 1)
    assert order(batches, 0, 1) != order(batches, 0, 2)
    assert order(batches, 0, 1) != order(batches, 1, 1)
    assert order(batches, 0, 1, start=3) == order(reference, 0, 1)[15:], "a resumed epoch goes on where it stopped"


def test_processes_share_each_batch(batches: Batches) -> None:
    whole = list(batches.shuffled(6, seed=0, epoch=0))
    halves = [list(batches.shuffled(6, 0, 0, rank=rank, world=2)) for rank in range(2)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert torch.equal(batch, torch.cat([first, second]))


def test_equal_batches_leave_out_only_what_is_over(batches: Batches) -> None:
    rows = list(batches.equal(10))
    assert [len(batch) for batch in rows] == [11, 11]
    assert seen(rows) == list(range(22))
    assert [len(batch) for batch in batches.equal(2)] == [2] * 11, "never a batch of one"
    assert [len(batch) for batch in batches.equal(100)] == [23]
    shares = [list(batches.equal(10, rank, 2)) for rank in range(2)]
    assert [[len(batch) for batch in share] for share in shares] == [[5, 5]] * 2
    assert set(seen(shares[0])).isdisjoint(seen(shares[1]))


def test_ordered_batches_have_every_sample(batches: Batches) -> None:
    assert seen(list(batches.ordered(10))) == list(range(23))


def test_pixels_become_floats_between_0_and_1() -> None:
    spec = Spec(modality="image", shape=(1, 1, 2), likelihood=Gaussian(bounded=True))
    pixels = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).view(2, 1, 1, 2)
    batch = next(Batches(Samples(spec, pixels), CPU).ordered(2))
    assert batch.dtype == torch.float32
    assert batch.flatten().tolist() == pytest.approx([0, 0.2, 0.4, 1])


def test_what_does_not_fit_into_memory_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Batches(Samples(SPEC, Numbers(23)), CPU).streamed
    monkeypatch.setattr("dimecli.data.batches._free_memory", lambda: 2 * 23 * 2 * 4 - 1)
    assert Batches(Samples(SPEC, Numbers(23)), CPU).streamed
    monkeypatch.setattr("dimecli.data.batches._free_memory", lambda: 2 * 23 * 2 * 4)
    assert not Batches(Samples(SPEC, Numbers(23)), CPU).streamed


class Broken(Numbers):
    """A source with one damaged sample."""

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 17:
            raise UserError("17.png is damaged")
        return super().__getitem__(index)


@pytest.mark.parametrize("stream", ["always", "never"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_sample_is_one_clear_line_from_any_process(stream: Literal["always", "never"], workers: int) -> None:
    with pytest.raises(UserError) as caught:
        list(Batches(Samples(SPEC, Broken(23)), CPU, stream, workers).ordered(5))
    assert str(caught.value) == "17.png is damaged"


def test_split_off_is_disjoint_complete_and_always_the_same() -> None:
    data = Samples(SPEC, samples(50).x, torch.arange(50))
    rest, part = split_off(data, 0.2, "--test")
    assert (len(rest), len(part)) == (40, 10)
    assert rest.y is not None
    assert part.y is not None
    assert sorted(torch.cat([rest.y, part.y]).tolist()) == list(range(50))
    again = split_off(data, 0.2, "--test")[1].y
    assert again is not None
    assert torch.equal(again, part.y)
    lazy = split_off(Samples(SPEC, Numbers(50)), 0.2, "--test")[1]
    assert [lazy.x[i][0].item() for i in range(10)] == part.y.tolist()
    with pytest.raises(UserError, match=r"--test 0\.001: that share of 50 samples leaves one part empty"):
        split_off(data, 0.001, "--test")


def test_fingerprints_tell_data_labels_and_subsets_apart() -> None:
    base = samples(10)
    changed = Samples(SPEC, base.x.clone())  # type: ignore[union-attr]
    changed.x[3, 1] += 1  # type: ignore[index]
    labelled = Samples(SPEC, base.x, torch.zeros(10, dtype=torch.int64))
    lazy = Samples(SPEC, Numbers(10))
    prints = [
        base.fingerprint(),
        changed.fingerprint(),
        labelled.fingerprint(),
        base.take(range(9)).fingerprint(),
        lazy.fingerprint(),
        lazy.take([1, 2]).fingerprint(),
        lazy.take([2, 1]).fingerprint(),
    ]
    assert len(set(prints)) == len(prints)
    assert samples(10).fingerprint() == base.fingerprint()


@pytest.mark.parametrize("stream", ["always", "never"])
def test_symbols_stay_integers(stream: Literal["always", "never"]) -> None:
    x = torch.arange(12, dtype=torch.int16).view(6, 2)
    batches = Batches(Samples(SPEC, x), CPU, stream)
    for batch in (next(batches.shuffled(3, 0, 0)), next(batches.equal(3)), next(batches.ordered(3))):
        assert batch.dtype == torch.int16
    assert torch.equal(torch.cat(list(batches.ordered(4))), x)
