"""How fast this machine trains: the bare step, the whole loop, and what a grid will take."""

import statistics
import time
from collections.abc import Iterable

import numpy as np
import pandas as pd
import psutil

from .augment import make_loader, train_transform
from .data import ImageSet
from .experiments import BUDGETS, Experiment
from .machine import choose_machine
from .models import create_model
from .training import Trainer


def images_per_second(
    backbone: str, image_size: int, *, steps: int = 20, windows: int = 5
) -> tuple[float, float, float]:
    """Return (bare, loop, ratio): images/s of the step on ready tensors, and with augmentation.

    Medians of `windows` interleaved windows of `steps` batches of 64 random pictures; ratio is loop ÷ bare.
    """
    random = np.random.default_rng(42)
    images = random.integers(0, 256, (steps * 64, 32, 32, 3), dtype=np.uint8)
    pictures = ImageSet(images, random.integers(0, 100, len(images)), ("",) * 100)
    loader = make_loader(pictures, train_transform(image_size, normalize=False), shuffle=True)
    model = create_model(backbone, image_size=image_size)
    trainer = Trainer(model, loader, loader, choose_machine(model), epochs=1, lr=1e-4)
    ready = [next(iter(loader))] * steps  # starts the workers too

    def measure(batches: Iterable) -> float:
        start = time.perf_counter()
        trainer.train_epoch(batches)
        return len(images) / (time.perf_counter() - start)

    measure(ready[:3])
    pairs = [(measure(ready), measure(loader)) for _ in range(windows)]
    bare, loop = (statistics.median(column) for column in zip(*pairs, strict=True))
    return bare, loop, statistics.median(loop / bare for bare, loop in pairs)


def plan(experiments: Iterable[Experiment]) -> pd.DataFrame:
    """Return the expected minutes and memory (GB) of each experiment, measured here for a few seconds each."""
    rows, measured = [], {}
    for experiment in experiments:
        key = (experiment.backbone, experiment.image_size)
        if key not in measured:
            _, loop, _ = images_per_second(*key, steps=4, windows=1)
            measured[key] = loop, psutil.Process().memory_info().rss / 1e9
        speed, memory = measured[key]
        budget = BUDGETS[experiment.budget]
        # a picture that is only looked at costs about a third of one that is learned from; the test has four views
        epoch = (budget.n_train or 40_000) + (budget.n_valid or 10_000) / 3
        seconds = (experiment.epochs * epoch + 4 / 3 * (budget.n_test or 10_000)) / speed
        numbers = {"images/s": round(speed), "minutes": round(seconds / 60, 1), "GB": round(memory, 1)}
        rows.append({"run": experiment.id, **numbers})
    return pd.DataFrame(rows)
