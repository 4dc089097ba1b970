"""What several test files need; importable, so that a process of its own can call it."""

import contextlib
import importlib.util
import io
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from cifarlib import (
    BUDGETS,
    RECIPES,
    Budget,
    Device,
    Experiment,
    ImageSet,
    Run,
    eval_transform,
    fit,
    make_loader,
    train_transform,
)
from cifarlib.config import IMAGE_SIZES
from cifarlib.data import standin
from cifarlib.data.cifar100 import canonical_order, data_id
from cifarlib.experiments.record import digest_of, read_record
from cifarlib.experiments.store import find_published_run, id_on
from cifarlib.published.read import published_backbones
from cifarlib.tools.command_line import main
from cifarlib.training.callbacks import BestWeights, Callback, Training
from cifarlib.utils.files import PACKAGE

CPU = Device(torch.device("cpu"))
PLAIN_CPU = Device(torch.device("cpu"), fast=False)
SCRIPTS = PACKAGE.parent / "scripts"
RESNET18 = "ResNet18-32px-scratch-writeup"  # a record that is published
NOWHERE = "http://127.0.0.1:9"  # an address at which nobody listens
# test_resnet is timm's smallest ResNet, of 0.4 million parameters
SMOKE = Experiment("test_resnet", 32, "scratch", "smoke")
TOO_DEEP = "dla46_c"  # a small net that cannot take 16 px pictures


# --- scripts --------------------------------------------------------------------------------------


def script(name: str) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- pictures -------------------------------------------------------------------------------------


def small_set(split: str, n: int) -> ImageSet:
    """Return `n` stand-in pictures as an ImageSet in canonical order."""
    pictures = standin.generate(split, counts={split: n})
    images = ImageSet(*pictures, source="stand-in")
    return images[canonical_order(pictures.images, pictures.labels)]


def fixed_batches(images: ImageSet, *, batch_size: int = 64, normalize: bool = False) -> DataLoader:
    """Return batches of pictures as they are, in their order."""
    transform = eval_transform(32, normalize=normalize)
    return make_loader(images, transform, batch_size=batch_size, num_workers=0)


def run_identity(experiment: Experiment, train: ImageSet, test: ImageSet) -> str:
    """Return the id of an experiment's run on these images."""
    return id_on(experiment, data_id(train, test))


# --- training -------------------------------------------------------------------------------------


def tiny_net(n_classes: int = 100) -> nn.Module:
    """Return a small net with BatchNorm and dropout, so that every kind of state matters."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32, n_classes),
    )


@dataclass
class Fitted:
    """What a training of the tiny net left behind."""

    model: nn.Module
    history: list[dict]  # without times
    best: BestWeights


def fit_tiny(
    train: ImageSet,
    *,
    model: nn.Module | None = None,
    device: Device = CPU,
    workers: int = 0,
    callbacks: Iterable[Callback] = (),
    **options,
) -> Fitted:
    """Train on 300 pictures, validated on 100 others; by default the tiny net for three epochs.

    The same call makes the same net again. options: those of fit.
    """
    model = model or tiny_net()
    options = {"epochs": 3, "lr": 1e-2, "recipe": RECIPES["writeup"]} | options
    best = BestWeights()
    history = fit(
        model,
        train_batches(train, options["recipe"].batch_size, workers=workers),
        fixed_batches(train[300:400]),
        device=device,
        callbacks=[best, *callbacks],
        progress=False,
        **options,
    )
    return Fitted(model, without_times(history.to_dict("records")), best)


def train_batches(train: ImageSet, batch_size: int = 64, *, workers: int = 0) -> DataLoader:
    """Return augmented batches of the first 300 pictures."""
    return make_loader(
        train[:300],
        train_transform(32, normalize=False),
        batch_size=batch_size,
        shuffle=True,
        num_workers=workers,
    )


class At(Callback):
    """Does something after a step of an epoch, once."""

    def __init__(self, epoch: int, step: int, does: Callable[[Training], None]) -> None:
        self.epoch = epoch
        self.step = step
        self.does = does
        self.steps = 0
        self.is_done = False

    def on_epoch_begin(self, training: Training) -> None:
        self.steps = 0

    def on_step(self, training: Training) -> None:
        self.steps += 1
        here = (len(training.history) + 1, self.steps)
        if here == (self.epoch, self.step) and not self.is_done:
            self.is_done = True
            self.does(training)


def press_ctrl_c(training: Training) -> None:
    """Stop as Ctrl-C does."""
    raise KeyboardInterrupt


def fit_with(callback: Callback) -> Callable[..., pd.DataFrame]:
    """Return a fit that tells another callback too, to take fit's place within a run."""

    def fit_and_tell(*arguments, callbacks, **options):
        return fit(*arguments, callbacks=[*callbacks, callback], **options)

    return fit_and_tell


class StopAfter(Callback):
    """Stops as Ctrl-C does once so many epochs are kept."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_begin(self, training: Training) -> None:
        if len(training.history) == self.epochs:
            raise KeyboardInterrupt


def without_times(history: list[dict]) -> list[dict]:
    """Return a history without its times."""
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


def copy_of_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of a model's tensors."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_tensors(one: dict, other: dict) -> None:
    """Compare two states bit for bit."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(other[name], tensor), name


# --- records --------------------------------------------------------------------------------------


def write_signed(path: Path, record: dict) -> None:
    """Write a record's JSON with the digest that fits it."""
    content = {name: value for name, value in record.items() if name != "digest"}
    signed = content | {"digest": digest_of(content)}
    path.write_text(json.dumps(signed), encoding="utf-8")


def copy_as_true(finished: Run, folder: Path, name: str = "", **fields) -> Path:
    """Copy a run's files to folder/<name> as if it had been made on CIFAR-100.

    name: by default the experiment's id. fields: of the recorded experiment, to be changed.
    """
    target = folder / (name or finished.experiment.id)
    target.mkdir(parents=True)
    for path in finished.path.parent.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    path = target / finished.path.name
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["data"] |= {"cifar100": True, "name": "CIFAR-100"}
    record["experiment"] |= fields
    write_signed(path, record)
    return path


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return when each file below a folder was written, and what it holds."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def assert_same_records(one: Path, other: Path) -> None:
    """Compare all records in two folders, number for number, without their times."""
    ones = sorted(one.glob("*/record.json"))
    others = sorted(other.glob("*/record.json"))
    assert ones
    assert [path.parent.name for path in ones] == [path.parent.name for path in others]
    for first, second in zip(ones, others, strict=True):
        assert_same_run(read_record(first), read_record(second))


def assert_same_run(one: Run, other: Run) -> None:
    """Compare two runs, number for number, without their times."""
    assert other.history.drop(columns="seconds").equals(one.history.drop(columns="seconds"))
    assert other.test == one.test
    predictions = other.predictions()
    for name, array in one.predictions().items():
        assert np.array_equal(predictions[name], array), name


# --- the command line -----------------------------------------------------------------------------


def be_command_line(
    arguments: list,
    said: Path,
    settings: dict[str, str],
    size_limit: int | None = None,
) -> None:
    """Be a process of its own: run the command line, at a smoke budget that can be stopped."""
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # as in a process of a user's
    for stream in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ |= settings
    torch.set_num_threads(1)
    BUDGETS["smoke"] = Budget(
        n_train=96,
        n_valid=24,
        n_test=24,
        epochs={"scratch": 16, "imagenet": 16},
        lr=BUDGETS["smoke"].lr,
    )
    if size_limit:
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, (size_limit, size_limit))
    sys.argv = ["cifarlib", *map(str, arguments)]
    sys.exit(main())


def runs_of(init: str, *, record: str) -> dict:
    """Return what a notebook collects: one recorded run at 32 px, all else open."""
    runs = {size: dict.fromkeys(published_backbones()) for size in IMAGE_SIZES}
    runs[32]["ResNet18"] = find_published_run(record)
    assert runs[32]["ResNet18"].experiment.init == init
    return runs


def picture_file() -> bytes:
    """Return a PNG of 50 × 40 pixels, all red."""
    buffer = io.BytesIO()
    Image.new("RGB", (50, 40), "red").save(buffer, "PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def full_disk():
    """Let no file of this process grow beyond a kilobyte."""
    resource = pytest.importorskip("resource", reason="the limit is POSIX's")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
