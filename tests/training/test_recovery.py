"""A training goes on from wherever it was stopped as if nothing had been."""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from helpers import (
    CPU,
    At,
    Fitted,
    StopAfter,
    assert_same_tensors,
    copy_of_state,
    fit_tiny,
    press_ctrl_c,
    tiny_net,
)
from torch import nn

from cifarlib import RECIPES, Device
from cifarlib.training.callbacks import Callback, Training
from cifarlib.training.checkpoint import unpack_state
from cifarlib.training.recovery import Checkpoint

HALF_CPU = Device(torch.device("cpu"), torch.float16)
WITHOUT_FORK = pytest.mark.skipif(os.name == "nt", reason="Windows does not fork")


@pytest.fixture(scope="module")
def whole(train) -> Fitted:
    """A training that nothing stopped in its three epochs."""
    return fit_tiny(train)


def assert_same(one: Fitted, other: Fitted) -> None:
    """Two trainings gave the same numbers and the same weights."""
    assert one.history == other.history
    assert_same_tensors(one.best.weights, other.best.weights)
    assert_same_tensors(one.model.state_dict(), other.model.state_dict())


# --- stopped --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["writeup", "onecycle"])
def test_a_training_stopped_after_each_epoch_equals_one_that_was_not(recipe, train, tmp_path):
    options = {"recipe": RECIPES[recipe], "epochs": 4}
    whole = fit_tiny(train, **options)
    options["checkpoint"] = tmp_path / "part.pt"
    for done, workers in ((1, 0), (2, 1), (3, 0)):
        with pytest.raises(KeyboardInterrupt, match=f"the state after epoch {done} is kept: ask"):
            fit_tiny(train, workers=workers, callbacks=[StopAfter(done)], **options)
    assert_same(fit_tiny(train, workers=1, **options), whole)


def test_ctrl_c_within_an_epoch_leaves_the_state_before_it(train, whole, tmp_path):
    path = tmp_path / "c.pt"
    model = tiny_net()
    said = "stopped in epoch 2 of 3; the state after epoch 1 is kept: ask again to go on"
    with pytest.raises(KeyboardInterrupt, match=said):
        fit_tiny(train, model=model, callbacks=[At(2, 3, press_ctrl_c)], checkpoint=path, workers=1)
    kept = torch.load(path, weights_only=True)["state"]["model"]
    assert_same_tensors(model.state_dict(), kept)
    assert_same(fit_tiny(train, checkpoint=path), whole)


def test_without_a_checkpoint_what_is_kept_is_in_the_model(train):
    model = tiny_net()
    before = copy_of_state(model)
    said = "stopped in epoch 1 of 3; the state after epoch 0 is kept in the model"
    with pytest.raises(KeyboardInterrupt, match=said):
        fit_tiny(train, model=model, callbacks=[At(1, 3, press_ctrl_c)])
    assert_same_tensors(model.state_dict(), before)


@WITHOUT_FORK
def test_ctrl_c_while_workers_start_is_not_lost(train, whole, tmp_path):
    armed = [signal.SIGINT]
    # Python drops an error that is raised here
    os.register_at_fork(after_in_parent=lambda: armed and signal.raise_signal(armed.pop()))
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 1 of 3"):
        fit_tiny(train, workers=2)
    assert not armed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same(fit_tiny(train, workers=2), whole)


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), RuntimeError("a hook of mine"), ValueError("another")],
)
def test_a_step_stopped_half_way_does_not_spoil_the_scaler(error, train, tmp_path):
    path = tmp_path / "c.pt"
    steps = []

    def stop_in_the_second(optimizer, arguments, options):  # the scaler has begun it
        steps.append(1)
        if len(steps) == 7:
            raise error

    class Hooked(Callback):
        def on_epoch_begin(self, training: Training) -> None:
            if not steps:
                training.optimizer.register_step_pre_hook(stop_in_the_second)

    with pytest.raises(type(error)):
        fit_tiny(train, device=HALF_CPU, callbacks=[Hooked()], checkpoint=path)
    assert_same(fit_tiny(train, device=HALF_CPU, checkpoint=path), fit_tiny(train, device=HALF_CPU))


def test_nan_stops_the_training_and_keeps_the_last_good_state(train, tmp_path):
    path = tmp_path / "c.pt"

    class Spoils(Callback):
        def on_epoch_begin(self, training: Training) -> None:
            if training.history:
                nn.init.constant_(training.model[0].weight, math.nan)

    said = r"epoch 2: the loss is not finite from step 1 of 5 on, at lr 0\.0075"
    model = tiny_net()
    with pytest.raises(FloatingPointError, match=said):
        fit_tiny(train, model=model, callbacks=[Spoils()], checkpoint=path)
    kept = torch.load(path, weights_only=True)["state"]
    assert len(kept["history"]) == 1
    assert_same_tensors(model.state_dict(), kept["model"])


def test_a_full_disk_keeps_the_checkpoint_before(train, whole, tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no file-size limit to set")
    path = tmp_path / "c.pt"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = []

    def fill_the_disk(training: Training) -> None:
        kept.append(path.read_bytes())
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))

    said = r"cannot write .*c\.pt: File too large; the one before it is kept"
    try:
        with pytest.raises(OSError, match=said):
            fit_tiny(train, callbacks=[At(2, 1, fill_the_disk)], checkpoint=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_bytes()] == kept
    assert list(tmp_path.iterdir()) == [path]
    assert_same(fit_tiny(train, checkpoint=path), whole)


# --- memory is short ------------------------------------------------------------------------------


class Greedy(nn.Module):
    """A net whose memory holds `most` pictures at a time, as a small GPU's does."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.net = tiny_net()
        self.most = most

    def forward(self, images):
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand advice")
        return self.net(images)


class Parts(Callback):
    """Sees in how many parts batches go through the model."""

    def on_epoch_end(self, training: Training) -> None:
        self.seen = training.micro_batches


def test_short_memory_halves_the_parts_and_keeps_the_whole_batch(train):
    parts = Parts()
    short = fit_tiny(train, model=Greedy(20), callbacks=[parts])
    assert parts.seen == 4
    other = fit_tiny(train, model=Greedy(16))  # four parts are enough for that too
    assert short.history == other.history
    assert short.history != fit_tiny(train, model=Greedy(64)).history  # BatchNorm sees parts


def test_memory_for_less_than_two_pictures_is_an_error(train):
    said = r"out of memory.*GiB, with batches in 32 parts; the state"
    with pytest.raises(torch.OutOfMemoryError, match=said):
        fit_tiny(train, model=Greedy(1))


# --- workers --------------------------------------------------------------------------------------


def test_where_workers_die_the_process_goes_on_alone_with_the_same_numbers(train, whole, capfd):
    def kill_the_workers(training: Training) -> None:
        for worker in training.train_loader._iterator._workers:
            worker.kill()
            worker.join()

    alone = fit_tiny(train, callbacks=[At(2, 1, kill_the_workers)], workers=1)
    assert_same(alone, whole)
    said = capfd.readouterr().err
    assert "the process itself loads them from here on" in said
    assert "Traceback" not in said


# --- a second Ctrl-C ------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", range(4))
def test_a_second_ctrl_c_while_the_first_is_dealt_with_changes_no_number(
    moment, train, whole, monkeypatch, tmp_path
):
    moments = [
        (nn.Module, "load_state_dict"),
        (torch.optim.Adam, "load_state_dict"),
        (torch.optim.lr_scheduler.CosineAnnealingLR, "load_state_dict"),
        (Device, "make_scaler"),
    ]
    path = tmp_path / "c.pt"
    model = tiny_net()

    def press_twice_in_all(training: Training) -> None:
        press_after(*moments[moment], monkeypatch)
        raise KeyboardInterrupt

    stop = At(2, 3, press_twice_in_all)
    with pytest.raises(KeyboardInterrupt):
        fit_tiny(train, model=model, callbacks=[stop], checkpoint=path)
    monkeypatch.undo()
    kept = torch.load(path, weights_only=True)["state"]["model"]
    assert_same_tensors(model.state_dict(), kept)
    assert_same(fit_tiny(train, checkpoint=path), whole)


def press_after(owner: type, name: str, monkeypatch) -> None:
    """Let a method press Ctrl-C as soon as it has done its work, once."""
    original = getattr(owner, name)
    pressed = []

    def pressing(*arguments, **options):
        done = original(*arguments, **options)
        if not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)
        return done

    monkeypatch.setattr(owner, name, pressing)


@pytest.fixture
def fingers() -> Iterator[threading.Event]:
    """Ctrl-C counts only while this is set: a press that comes late must not stop the tests."""
    armed = threading.Event()

    def pressed(*_: object) -> None:
        if armed.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, pressed)
    yield armed
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_twelve_double_presses_of_ctrl_c_change_no_number(train, whole, fingers, tmp_path):
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    fit_tiny(train)
    seconds = time.perf_counter() - start
    stopped = 0
    for number in range(12):
        path = tmp_path / f"{number}.pt"
        moment = rng.uniform(0.05, 0.9) * seconds
        pressing = threading.Thread(target=press_twice, args=(moment, rng.uniform(0, 0.01)))
        pressing.start()
        stopped += is_stopped(train, path, fingers)
        pressing.join()
        assert_same(fit_tiny(train, checkpoint=path), whole)
    assert stopped > 0


def is_stopped(train, path, fingers: threading.Event) -> bool:
    """Train while Ctrl-C counts; return whether it came before the end."""
    try:
        fingers.set()
        try:
            fit_tiny(train, checkpoint=path)
        finally:
            fingers.clear()
    except KeyboardInterrupt:  # the first press, or the second within `finally`
        return True
    return False


def press_twice(moment: float, pause: float) -> None:
    """Press Ctrl-C after so many seconds, and again after a pause."""
    for seconds in (moment, pause):
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)


# --- checkpoints ----------------------------------------------------------------------------------


@pytest.fixture
def kept(train, tmp_path) -> Checkpoint:
    """The checkpoint of a training that was stopped after its first epoch."""
    checkpoint = Checkpoint(tmp_path / "c.pt", "me")
    with pytest.raises(KeyboardInterrupt):
        fit_tiny(train, checkpoint=checkpoint, callbacks=[StopAfter(1)])
    return checkpoint


def test_a_checkpoint_of_another_training_is_refused_and_kept(train, kept):
    before = kept.path.read_bytes()
    with pytest.raises(ValueError, match="is of run me, expected you"):
        fit_tiny(train, checkpoint=Checkpoint(kept.path, "you"))
    assert kept.path.read_bytes() == before


@pytest.mark.parametrize("damage", ["half", "empty", "nonsense", "one bit"])
def test_a_damaged_checkpoint_is_named_and_kept(damage, train, kept):
    whole = kept.path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    damaged = {
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "nonsense": b"nonsense",
        "one bit": bytes(flipped),
    }[damage]
    kept.path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"c\.pt is damaged"):
        fit_tiny(train, checkpoint=kept)
    assert kept.path.read_bytes() == damaged


def test_a_checkpoint_of_another_version_is_refused(train, tmp_path):
    path = tmp_path / "c.pt"
    torch.save({"format": 3}, path)
    with pytest.raises(ValueError, match="written by another version"):
        fit_tiny(train, checkpoint=path)


def test_a_refused_checkpoint_leaves_the_random_state_alone(train, kept):
    model = tiny_net()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="is of run me"):
        fit_tiny(train, model=model, checkpoint=Checkpoint(kept.path, "you"))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_of_a_net_without_a_scaler_serves_one_with(train, kept):
    class Scaler(Callback):
        def on_epoch_begin(self, training: Training) -> None:
            assert training.history
            assert training.scaler.is_enabled()

    assert len(fit_tiny(train, checkpoint=kept, device=HALF_CPU, callbacks=[Scaler()]).history) == 3


def test_a_checkpoint_begun_otherwise_says_what_is_different(train, tmp_path):
    path = tmp_path / "c.pt"
    mine = Checkpoint(path, {"run": "a", "weights": "11", "lr": 1})
    with pytest.raises(KeyboardInterrupt):
        fit_tiny(train, checkpoint=mine, callbacks=[StopAfter(1)])
    said = r"begun otherwise \(weights 11, expected 22\): put the old back to go on, or move it"
    with pytest.raises(ValueError, match=said):
        fit_tiny(train, checkpoint=Checkpoint(path, {"run": "a", "weights": "22", "lr": 1}))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"epochs": 6}, "epochs 3, expected 6"),
        ({"lr": 1e-3}, "lr 0.01, expected 0.001"),
        ({"recipe": RECIPES["onecycle"]}, "optimizer Adam, expected SGD"),
    ],
)
def test_what_shapes_the_schedule_is_part_of_whose_checkpoint_it_is(other, said, train, tmp_path):
    path = tmp_path / "c.pt"
    fit_tiny(train, checkpoint=path)
    with pytest.raises(ValueError, match=said):
        fit_tiny(train, checkpoint=path, **other)


def test_a_finished_training_is_found_again_and_its_weights_are_in_the_model(
    train, whole, tmp_path
):
    path = tmp_path / "c.pt"
    fit_tiny(train, checkpoint=str(path))
    assert_same(fit_tiny(train, checkpoint=path, callbacks=[StopAfter(3)]), whole)


@pytest.mark.slow
def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(kept):
    whole = kept.path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="is damaged"):
            unpack_state(bytes(flipped), owner="me")
    assert unpack_state(whole, owner="me")["history"]


def test_a_checkpoint_of_a_net_with_other_layers_is_told_in_one_line(train, kept):
    renamed = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100))
    with pytest.raises(ValueError, match=r"c\.pt does not fit this net: .*; move it away") as said:
        fit_tiny(train, model=renamed, checkpoint=kept)
    assert len(str(said.value).splitlines()) == 1


def test_a_lack_of_memory_is_not_called_damage(train, kept, monkeypatch):
    def greedy(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("torch.load", greedy)
    with pytest.raises(MemoryError):
        fit_tiny(train, checkpoint=kept, device=CPU)
