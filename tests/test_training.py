"""The loop learns, counts right, stops on NaN, and goes on from a checkpoint as if nothing had been."""

import inspect
import math
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from cifarlib import RECIPES, Trainer, create_model, eval_transform, evaluate, make_loader, train_epoch, train_transform
from cifarlib.machine import Machine
from cifarlib.trainer import HISTORY

CPU = Machine(torch.device("cpu"))


def tiny(n_classes: int = 100) -> nn.Module:
    """Return a small network with BatchNorm and dropout, so that every kind of state matters."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.BatchNorm2d(32)]
    return nn.Sequential(
        *layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, n_classes)
    )


def trainer(train, *, model=None, epochs=3, lr=1e-2, machine=CPU, workers=0, **options) -> Trainer:
    """Return a trainer of the tiny net on 300 pictures, validated on 100 others."""
    recipe = options.get("recipe", RECIPES["writeup"])
    varied, fixed = train_transform(32, normalize=False), eval_transform(32, normalize=False)
    loader = make_loader(train[:300], varied, batch_size=recipe.batch_size, shuffle=True, num_workers=workers)
    valid = make_loader(train[300:400], fixed, num_workers=0)
    return Trainer(model or tiny(), loader, valid, machine, epochs, lr, **options)


def numbers(history: list[dict]) -> list[dict]:
    """Return a history without its times."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def test_the_loop_learns_the_stand_in(train):
    made = trainer(train, epochs=8)
    rows = list(made)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] - 0.3
    assert rows[-1]["train_accuracy"] > 3 / 100
    assert tuple(made.frame.columns) == HISTORY


def test_averages_are_weighted_by_pictures_not_by_batches(train):
    images = train[:67]  # a last batch of 3 that a mean of means would count as much as 64
    loader = make_loader(images, eval_transform(32, normalize=False), batch_size=64, num_workers=0)
    model = tiny().eval()
    loss, accuracy = evaluate(model, loader, machine=CPU)
    with torch.inference_mode():
        tensors = torch.stack([eval_transform(32)(image=image)["image"] for image in images.images])
        logits, labels = model(tensors), torch.from_numpy(images.labels)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), abs=1e-4)
    assert accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_train_loss_is_the_mean_over_all_pictures(train):
    class Still(nn.Module):  # its outputs never change, so the mean can be worked out by hand
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return torch.arange(100.0).expand(len(images), 100) / 50 + 0 * self.bias

    model = Still()
    tools = {"optimizer": torch.optim.SGD(model.parameters(), 0.1), "machine": CPU}
    loader = make_loader(train[:67], eval_transform(32), batch_size=64, num_workers=0)
    loss, accuracy = train_epoch(model, loader, **tools, scaler=torch.amp.GradScaler("cpu", enabled=False))
    logits = np.arange(100) / 50
    expected = np.mean(np.log(np.exp(logits).sum()) - logits[train.labels[:67]])
    assert loss == pytest.approx(expected, abs=1e-5)
    assert accuracy == pytest.approx(np.mean(train.labels[:67] == 99))


def test_the_cosine_moves_each_epoch_and_the_one_cycle_each_step(train):
    made = trainer(train, epochs=5, lr=1e-3)
    rates = [row["lr"] for row in made]
    assert rates == pytest.approx([1e-6 + (1e-3 - 1e-6) * (1 + math.cos(math.pi * t / 5)) / 2 for t in range(5)])
    made = trainer(train, epochs=5, lr=0.1, recipe=RECIPES["onecycle"])
    rates = [row["lr"] for row in made]
    assert rates[1] == max(rates) == pytest.approx(0.1, rel=0.1)
    assert rates[0] < 0.01 > rates[-1]
    assert made.optimizer.defaults["nesterov"]


def test_best_weights_are_those_of_the_best_validated_epoch(train):
    made = trainer(train, epochs=4)
    states = []
    for _ in made:
        states.append({name: tensor.clone() for name, tensor in made.model.state_dict().items()})
    best = int(np.argmax([row["valid_accuracy"] for row in made.history]))
    assert all(torch.equal(made.best_state[name], tensor) for name, tensor in states[best].items())


@pytest.mark.parametrize("recipe", ["writeup", "onecycle"])
def test_an_interrupted_run_equals_an_uninterrupted_one(recipe, train, tmp_path):
    options = {"recipe": RECIPES[recipe], "owner": "me", "epochs": 4}
    whole = trainer(train, checkpoint=tmp_path / "whole.pt", **options)
    rows = list(whole)
    for workers in (0, 1, 0, 1):
        part = trainer(train, checkpoint=tmp_path / "part.pt", workers=workers, **options)
        next(iter(part), None)
    assert numbers(part.history) == numbers(rows)
    assert all(torch.equal(part.best_state[name], tensor) for name, tensor in whole.best_state.items())


def test_a_foreign_or_damaged_checkpoint_is_named_and_kept(train, tmp_path):
    path = tmp_path / "c.pt"
    list(trainer(train, epochs=1, checkpoint=path, owner="me"))
    with pytest.raises(ValueError, match="is of run me, expected you"):
        trainer(train, checkpoint=path, owner="you")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"nonsense"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            trainer(train, checkpoint=path, owner="me")
        assert path.read_bytes() == damaged
    torch.save({"format": 0}, path)
    with pytest.raises(ValueError, match="has format 0, expected 2"):
        trainer(train, checkpoint=path, owner="me")


def test_nan_stops_the_run_and_keeps_the_last_good_state(train, tmp_path):
    path = tmp_path / "c.pt"
    made = trainer(train, checkpoint=path)
    rows = iter(made)
    next(rows)
    good = path.read_bytes()
    nn.init.constant_(made.model[0].weight, math.nan)
    with pytest.raises(FloatingPointError, match=r"epoch 2: the loss is not finite from step 1 of 5 on, at lr 0\.0075"):
        next(rows)
    assert path.read_bytes() == good


def test_ctrl_c_within_an_epoch_leaves_the_state_before_it(train, tmp_path):
    whole = trainer(train)
    list(whole)

    def stopped(batches, epoch):
        for number, batch in enumerate(batches):
            if (epoch, number) == (2, 3):
                raise KeyboardInterrupt
            yield batch

    made = trainer(train, progress=stopped, workers=1)
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 2 of 3; the state after epoch 1 is kept: ask again"):
        list(made)
    made.progress = lambda batches, epoch: batches
    list(made)
    assert numbers(made.history) == numbers(whole.history)
    assert all(torch.equal(made.best_state[name], tensor) for name, tensor in whole.best_state.items())


@pytest.mark.skipif(os.name == "nt", reason="Windows does not fork")
def test_ctrl_c_while_workers_start_is_not_lost(train):
    armed = [signal.SIGINT]
    os.register_at_fork(after_in_parent=lambda: armed and signal.raise_signal(armed.pop()))  # Python drops its errors
    made = trainer(train, workers=2)
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 1 of 3"):
        list(made)
    assert not armed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert numbers(list(made)) == numbers(list(trainer(train)))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a hook of mine"), ValueError("another")])
def test_a_step_stopped_half_way_does_not_spoil_the_scaler(train, monkeypatch, error):
    half = Machine(torch.device("cpu"), torch.float16)
    rows, clip, calls = numbers(list(trainer(train, machine=half))), nn.utils.clip_grad_norm_, []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 2:  # between the scaler's unscale_ and its step
            raise error
        return clip(*arguments)

    made = trainer(train, machine=half)
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", stopped)
    with pytest.raises(type(error)):
        list(made)
    assert numbers(list(made)) == rows


class Greedy(nn.Module):
    """A net whose memory holds `most` pictures at a time, as a small GPU's does."""

    def __init__(self, most: int):
        super().__init__()
        self.net, self.most = tiny(), most

    def forward(self, images):
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand advice")
        return self.net(images)


def test_short_memory_halves_the_batch_and_keeps_the_effective_one(train):
    made = trainer(train, model=Greedy(20))
    list(made)
    assert made.pieces == 4
    in_four = trainer(train, model=Greedy(64), pieces=4)
    list(in_four)
    assert numbers(made.history) == numbers(in_four.history)
    with pytest.raises(torch.OutOfMemoryError, match=r"out of memory.*GiB, two pictures at a time; the state"):
        list(trainer(train, model=Greedy(1)))


def test_pieces_add_up_to_the_whole_batch(train):
    after = {}
    for pieces in (1, 3, 64):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100))  # no BatchNorm: nothing ties the pictures
        tools = {"optimizer": torch.optim.SGD(model.parameters(), 0.01), "machine": CPU, "pieces": pieces}
        loader = make_loader(train[:130], eval_transform(32), batch_size=64, num_workers=0)
        measured = train_epoch(model, loader, **tools, scaler=torch.amp.GradScaler("cpu", enabled=False))
        after[pieces] = (*measured, *model[1].weight.detach().flatten()[:50].tolist())
    assert after[3] == pytest.approx(after[1], rel=1e-4)
    assert after[64] == pytest.approx(after[1], rel=1e-4)


def test_a_full_disk_keeps_the_checkpoint_before(train, tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no file-size limit to set")
    path = tmp_path / "c.pt"
    made = iter(trainer(train, checkpoint=path))
    next(made)
    good, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*c\.pt: File too large; the one before it is kept"):
            next(made)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]
    rows, resumed = list(trainer(train)), trainer(train, checkpoint=path)
    list(resumed)
    assert numbers(resumed.history) == numbers(rows)


def test_the_loop_fits_one_screen():
    assert len(inspect.getsource(train_epoch).splitlines()) <= 42


def test_nan_is_told_with_the_rate_of_its_step(train):
    made = trainer(train, recipe=RECIPES["onecycle"], lr=0.1)
    nn.init.constant_(made.model[0].weight, math.nan)
    with pytest.raises(FloatingPointError, match=r"not finite from step 1 of 3 on, at lr 0\.004"):
        list(made)


def test_ctrl_c_at_the_end_of_an_epoch_counts_it_or_not(train, monkeypatch):
    rows = numbers(list(trainer(train)))
    made = trainer(train)
    state_dict, calls = made.model.state_dict, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:  # the copy of the best weights
            raise KeyboardInterrupt
        return state_dict(*arguments, **options)

    monkeypatch.setattr(made.model, "state_dict", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 1 of 3"):
        list(made)
    assert numbers(made.history) == []
    assert numbers(list(made)) == rows


def test_a_checkpoint_of_a_net_without_a_scaler_serves_one_with(train, tmp_path):
    path = tmp_path / "c.pt"
    next(iter(trainer(train, checkpoint=path)))
    half = trainer(train, checkpoint=path, machine=Machine(torch.device("cpu"), torch.float16))
    assert len(half.history) == 1
    assert half.scaler.is_enabled()


def test_bfloat16_stays_close_to_float32(train):
    losses = {}
    for dtype in (torch.float32, torch.bfloat16):
        machine = Machine(torch.device("cpu"), dtype)
        losses[dtype] = next(iter(trainer(train, machine=machine)))["train_loss"]
        assert machine.precision in ("float32", "bfloat16")
    assert losses[torch.bfloat16] == pytest.approx(losses[torch.float32], rel=0.02)


def test_an_unknown_recipe_is_named(train):
    with pytest.raises(ValueError, match="unknown recipe 'sgd'"):
        trainer(train, recipe=type(RECIPES["writeup"])("sgd"))


def test_a_pretrained_net_has_a_new_head_that_learns():
    model = create_model("EfficientNet_lite0", 100, pretrained=True)
    assert model.classifier.out_features == 100
    assert all(parameter.requires_grad for parameter in model.parameters())
