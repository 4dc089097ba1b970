"""A run learns, and goes on from wherever it was stopped as if nothing had been."""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from helpers import CPU, assert_same_tensors, copy_of_state, make_trainer, tiny_net, without_times
from torch import nn

from cifarlib import RECIPES, Device, Trainer, create_model
from cifarlib.training.checkpoint import unpack_state
from cifarlib.training.trainer import HISTORY

HALF_CPU = Device(torch.device("cpu"), torch.float16)


@pytest.fixture(scope="module")
def whole(train) -> Trainer:
    """A trainer that nothing stopped in its three epochs."""
    trainer = make_trainer(train)
    list(trainer)
    return trainer


# --- it learns ------------------------------------------------------------------------------------


def test_the_loop_learns_the_stand_in(train):
    trainer = make_trainer(train, epochs=8)
    rows = list(trainer)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] - 0.3
    assert rows[-1]["train_accuracy"] > 3 / 100
    assert tuple(trainer.frame.columns) == HISTORY


@pytest.mark.slow
def test_a_pretrained_net_has_a_new_head_and_all_of_it_learns(train):
    torch.manual_seed(0)
    model = create_model("EfficientNet_lite0", 100, pretrained=True, image_size=32)
    assert model.classifier.weight.shape == (100, 1280)
    before = copy_of_state(model)
    trainer = make_trainer(train, model=model, epochs=2, lr=1e-3)
    rows = list(trainer)
    for name, parameter in trainer.model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] - 0.3


def test_best_weights_are_those_of_the_best_validated_epoch(train):
    trainer = make_trainer(train, epochs=4)
    states = [copy_of_state(trainer.model) for _ in trainer]
    best = int(np.argmax([row["valid_accuracy"] for row in trainer.history]))
    assert_same_tensors(states[best], trainer.best_state)


# --- it is stopped --------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["writeup", "onecycle"])
def test_an_interrupted_run_equals_an_uninterrupted_one(recipe, train, tmp_path):
    options = {"recipe": RECIPES[recipe], "owner": "me", "epochs": 4}
    whole = make_trainer(train, **options)
    list(whole)
    for workers in (0, 1, 0, 1):
        path = tmp_path / "part.pt"
        part = make_trainer(train, checkpoint=path, workers=workers, **options)
        next(iter(part), None)
    assert without_times(part.history) == without_times(whole.history)
    assert_same_tensors(whole.best_state, part.best_state)


def test_ctrl_c_within_an_epoch_leaves_the_state_before_it(train, whole):
    def stopped(batches, epoch):
        for number, batch in enumerate(batches):
            if (epoch, number) == (2, 3):
                raise KeyboardInterrupt
            yield batch

    trainer = make_trainer(train, progress=stopped, workers=1)
    said = "stopped in epoch 2 of 3; the state after epoch 1 is kept: ask again"
    with pytest.raises(KeyboardInterrupt, match=said):
        list(trainer)
    trainer.progress = lambda batches, epoch: batches
    list(trainer)
    assert without_times(trainer.history) == without_times(whole.history)
    assert_same_tensors(whole.best_state, trainer.best_state)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not fork")
def test_ctrl_c_while_workers_start_is_not_lost(train, whole):
    armed = [signal.SIGINT]
    # Python drops an error that is raised here
    os.register_at_fork(after_in_parent=lambda: armed and signal.raise_signal(armed.pop()))
    trainer = make_trainer(train, workers=2)
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 1 of 3"):
        list(trainer)
    assert not armed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert without_times(list(trainer)) == without_times(whole.history)


@pytest.fixture(scope="module")
def whole_in_float16(train) -> Trainer:
    """The same in float16, which needs a scaler."""
    trainer = make_trainer(train, device=HALF_CPU)
    list(trainer)
    return trainer


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), RuntimeError("a hook of mine"), ValueError("another")],
)
def test_a_step_stopped_half_way_does_not_spoil_the_scaler(error, train, whole_in_float16):
    trainer = make_trainer(train, device=HALF_CPU)
    steps = []

    def stop_in_the_second(optimizer, arguments, options):  # the scaler has begun it
        steps.append(1)
        if len(steps) == 2:
            raise error

    trainer.optimizer.register_step_pre_hook(stop_in_the_second)
    with pytest.raises(type(error)):
        list(trainer)
    assert without_times(list(trainer)) == without_times(whole_in_float16.history)


def test_ctrl_c_at_the_end_of_an_epoch_undoes_it_whole(train, whole):
    trainer = make_trainer(train)
    copies = []

    # the first copy is of the state before the epoch, the second of the best weights
    def stop_in_the_second(*_):
        copies.append(1)
        if len(copies) == 2:
            raise KeyboardInterrupt

    trainer.model.register_state_dict_pre_hook(stop_in_the_second)
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 1 of 3"):
        list(trainer)
    assert trainer.history == []
    assert without_times(list(trainer)) == without_times(whole.history)


def test_nan_stops_the_run_and_keeps_the_last_good_state(train, tmp_path):
    path = tmp_path / "c.pt"
    trainer = make_trainer(train, checkpoint=path)
    rows = iter(trainer)
    next(rows)
    good = path.read_bytes()
    nn.init.constant_(trainer.model[0].weight, math.nan)
    said = r"epoch 2: the loss is not finite from step 1 of 5 on, at lr 0\.0075"
    with pytest.raises(FloatingPointError, match=said):
        next(rows)
    assert path.read_bytes() == good


def test_a_full_disk_keeps_the_checkpoint_before(train, whole, tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no file-size limit to set")
    path = tmp_path / "c.pt"
    rows = iter(make_trainer(train, checkpoint=path))
    next(rows)
    good = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        said = r"cannot write .*c\.pt: File too large; the one before it is kept"
        with pytest.raises(OSError, match=said):
            next(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]
    resumed = make_trainer(train, checkpoint=path)
    list(resumed)
    assert without_times(resumed.history) == without_times(whole.history)


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


def test_short_memory_halves_the_parts_and_keeps_the_whole_batch(train):
    trainer = make_trainer(train, model=Greedy(20))
    list(trainer)
    assert trainer.micro_batches == 4
    in_four = make_trainer(train, model=Greedy(64), micro_batches=4)
    list(in_four)
    assert without_times(trainer.history) == without_times(in_four.history)


def test_memory_for_less_than_two_pictures_is_an_error(train):
    said = r"out of memory.*GiB, with batches in 32 parts; the state"
    with pytest.raises(torch.OutOfMemoryError, match=said):
        list(make_trainer(train, model=Greedy(1)))


# --- checkpoints ----------------------------------------------------------------------------------


def test_a_checkpoint_of_another_run_is_refused_and_kept(train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, checkpoint=path, owner="me")))
    whole = path.read_bytes()
    with pytest.raises(ValueError, match="is of run me, expected you"):
        make_trainer(train, checkpoint=path, owner="you")
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", ["half", "empty", "nonsense", "one bit"])
def test_a_damaged_checkpoint_is_named_and_kept(damage, train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, checkpoint=path)))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    damaged = {
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "nonsense": b"nonsense",
        "one bit": bytes(flipped),
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"c\.pt is damaged"):
        make_trainer(train, checkpoint=path)
    assert path.read_bytes() == damaged


def test_a_checkpoint_of_another_version_is_refused(train, tmp_path):
    path = tmp_path / "c.pt"
    torch.save({"format": 3}, path)
    with pytest.raises(ValueError, match="written by another version"):
        make_trainer(train, checkpoint=path)


def test_a_refused_checkpoint_leaves_the_random_state_alone(train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, checkpoint=path, owner="me")))
    model = tiny_net()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="is of run me"):
        make_trainer(train, model=model, checkpoint=path, owner="you")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_of_a_net_without_a_scaler_serves_one_with(train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, device=CPU, checkpoint=path)))
    half = make_trainer(train, checkpoint=path, device=HALF_CPU)
    assert len(half.history) == 1
    assert half.scaler.is_enabled()


def test_a_checkpoint_begun_otherwise_says_what_is_different(train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, checkpoint=path, owner={"run": "a", "weights": "11", "lr": 1})))
    said = r"begun otherwise \(weights 11, expected 22\): put the old back to go on, or move it"
    with pytest.raises(ValueError, match=said):
        make_trainer(train, checkpoint=path, owner={"run": "a", "weights": "22", "lr": 1})


@pytest.mark.slow
def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, checkpoint=path)))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="is damaged"):
            unpack_state(bytes(flipped), owner="")
    assert unpack_state(whole, owner="")["history"]


# --- workers that die, and a second Ctrl-C --------------------------------------------------------


def test_where_workers_die_the_process_goes_on_alone_with_the_same_numbers(train, whole, capfd):
    def deadly(batches, epoch):
        for number, batch in enumerate(batches):
            if (epoch, number) == (2, 1) and trainer.train_loader.num_workers:
                for worker in trainer.train_loader._iterator._workers:
                    worker.kill()
                    worker.join()
            yield batch

    trainer = make_trainer(train, progress=deadly, workers=1)
    list(trainer)
    assert without_times(trainer.history) == without_times(whole.history)
    assert_same_tensors(whole.best_state, trainer.best_state)
    said = capfd.readouterr().err
    assert "the process itself loads them from here on" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("moment", range(6))
def test_a_second_ctrl_c_while_the_first_is_dealt_with_changes_no_number(
    moment, train, whole, monkeypatch
):
    def stopped(batches, epoch):
        for number, batch in enumerate(batches):
            if (epoch, number) == (2, 3):
                raise KeyboardInterrupt
            yield batch

    trainer = make_trainer(train, progress=stopped)
    moments = [
        (trainer, "_remedy"),
        (trainer, "_explain"),
        (trainer.model, "load_state_dict"),
        (trainer.optimizer, "load_state_dict"),
        (type(trainer.scheduler), "load_state_dict"),
        (Device, "make_scaler"),
    ]
    interrupt_after(*moments[moment], monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        list(trainer)
    monkeypatch.undo()
    trainer.progress = lambda batches, epoch: batches
    list(trainer)
    assert without_times(trainer.history) == without_times(whole.history)
    assert_same_tensors(whole.best_state, trainer.best_state)


def interrupt_after(owner: object, name: str, monkeypatch) -> None:
    """Let a method press Ctrl-C as soon as it has done its work."""
    original = getattr(owner, name)

    def pressed(*arguments, **options):
        done = original(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        return done

    monkeypatch.setattr(owner, name, pressed)


# --- checkpoints that do not fit ------------------------------------------------------------------


def test_a_checkpoint_of_a_net_with_other_layers_is_told_in_one_line(train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, checkpoint=path)))
    renamed = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100))
    with pytest.raises(ValueError, match=r"c\.pt does not fit this net: .*; move it away") as said:
        make_trainer(train, model=renamed, checkpoint=path)
    assert len(str(said.value).splitlines()) == 1


def test_a_lack_of_memory_is_not_called_damage(train, tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    next(iter(make_trainer(train, checkpoint=path)))

    def greedy(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("torch.load", greedy)
    with pytest.raises(MemoryError):
        make_trainer(train, checkpoint=path)


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
def test_twelve_double_presses_of_ctrl_c_change_no_number(train, whole, fingers):
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    list(make_trainer(train))
    seconds = time.perf_counter() - start
    stopped = 0
    for _ in range(12):
        trainer = make_trainer(train)
        moment = rng.uniform(0.05, 0.9) * seconds
        pressing = threading.Thread(target=press_twice, args=(moment, rng.uniform(0, 0.01)))
        pressing.start()
        stopped += is_stopped(trainer, fingers)
        pressing.join()
        list(trainer)
        assert without_times(trainer.history) == without_times(whole.history)
        assert_same_tensors(whole.best_state, trainer.best_state)
    assert stopped > 0


def is_stopped(trainer: Trainer, fingers: threading.Event) -> bool:
    """Train while Ctrl-C counts; say whether it came before the end."""
    try:
        fingers.set()
        try:
            list(trainer)
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
