"""How fast this machine trains: the bare step, the whole loop, and what a grid will take."""

import multiprocessing
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from ..config import RECIPES, Experiment
from ..data.cifar100 import ImageSet
from ..data.loader import make_loader
from ..data.transforms import check_steps, train_transform
from ..models.backbones import create_model
from ..training.device import Device, choose_device, peak_memory
from ..training.engine import Driven, choose_engine
from ..training.loop import train_epoch
from ..training.optim import make_optimizer
from ..utils.checks import whole_number
from ..utils.progress import progress_bar

RECIPE = RECIPES["writeup"]  # by which the weights are moved
MOST_STEPS = 10_000  # whose pictures are in memory at once
PLAN_SECONDS = 3  # for each way of measuring; a step that takes longer is measured once
PLAN_STEPS = 20  # at most
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Way:
    """One way of training to measure: what is trained, how, and on which batches."""

    engine: Driven
    optimizer: Optimizer
    device: Device
    batches: Iterable  # of (images, labels)

    def train(self, batches: Iterable) -> None:
        """Train on some batches, as fit does."""
        train_epoch(
            self.engine,
            batches,
            optimizer=self.optimizer,
            device=self.device,
            clip_norm=RECIPE.clip_norm,
        )

    def images_per_second(self, n_images: int) -> float:
        """Return the speed over one pass of the batches, which hold so many images."""
        start = time.perf_counter()
        self.train(self.batches)  # returns numbers, so a GPU has finished
        return n_images / (time.perf_counter() - start)


def images_per_second(
    experiment: Experiment,
    *,
    steps: int = 20,
    windows: int = 5,
    plain: bool = False,
) -> dict[str, float]:
    """Return medians over interleaved windows of `steps` batches of random pictures, in images/s.

    bare: forward, backward and step on ready tensors; loop: the same with augmentation; ratio: loop
    ÷ bare. plain=True adds the loop in float32, contiguous and unfused, and speed_up: loop ÷ plain.
    Raises ValueError for no step, or a size that net or augmentation cannot take.
    """
    steps = whole_number("steps", steps, least=1, most=MOST_STEPS)
    check_steps(experiment.image_size, experiment.policy)
    loader = _random_pictures(experiment, steps)
    n_images = steps * RECIPES[experiment.recipe].batch_size
    loop = _make_way(experiment, loader)
    images, labels = next(iter(loader))  # starts the workers too
    ready_batch = (loop.device.prepare(images), loop.device.prepare_labels(labels))
    ways = {
        "bare": replace(loop, batches=[ready_batch] * steps),
        "loop": loop,
    }
    if plain:
        ways["plain"] = _make_way(experiment, loader, Device(loop.device.torch_device, fast=False))

    # the first steps choose algorithms and fill caches
    for way in ways.values():
        way.train([ready_batch] * min(WARM_UP_STEPS, steps))
    # windows of all ways in turn, so that a machine that slows down slows them alike
    speeds = []
    for _ in range(windows):
        speeds.append({name: way.images_per_second(n_images) for name, way in ways.items()})
    table = pd.DataFrame(speeds)
    table["ratio"] = table.loop / table.bare
    if plain:
        table["speed_up"] = table.loop / table.plain
    medians = table.median()
    return {str(name): float(median) for name, median in medians.items()}


def _random_pictures(experiment: Experiment, steps: int) -> DataLoader:
    """Return a training loader of so many batches of pictures of CIFAR-100's size."""
    batch_size = RECIPES[experiment.recipe].batch_size
    rng = np.random.default_rng(42)
    images = rng.integers(0, 256, (steps * batch_size, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 100, len(images))
    pictures = ImageSet(images, labels, classes=("",) * 100)
    transform = train_transform(experiment.image_size, experiment.policy, normalize=False)
    return make_loader(pictures, transform, batch_size=batch_size, shuffle=True)


def _make_way(experiment: Experiment, batches: Iterable, device: Device | None = None) -> Way:
    """Return a new net that learns from batches, as the device's rule says or on that device."""
    model = create_model(
        experiment.backbone,
        stem=experiment.stem,
        image_size=experiment.image_size,
    )
    device = device or choose_device(model, image_size=experiment.image_size)
    device.place(model)
    engine = Driven(model, device, choose_engine(device))
    optimizer = make_optimizer(RECIPE, model.parameters(), lr=1e-4, fused=device.fast)
    return Way(engine, optimizer, device, batches)


def plan(
    experiments: Iterable[Experiment],
    *,
    own_pictures: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Return the expected minutes and peak memory (GB) of each experiment, as measured here.

    Each kind of net is measured for seconds on random pictures, in a process of its own, so that
    its memory is its own. own_pictures: how many of one's own each split has; None is CIFAR-100.
    """
    experiments = list(experiments)
    kinds = list(dict.fromkeys(_kind(experiment) for experiment in experiments))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        results = pool.map(_speed_and_memory, kinds)
        bar = progress_bar(iterable=results, total=len(kinds), desc="plan", unit="net")
        measured = dict(zip(kinds, bar, strict=True))
    rows = []
    for experiment in experiments:
        speed, memory = measured[_kind(experiment)]
        minutes = experiment.work(own_pictures) / speed / 60
        rows.append([experiment.id, round(speed), round(minutes, 1), round(memory, 1)])
    return pd.DataFrame(rows, columns=["run", "images/s", "minutes", "GB"])


def _kind(experiment: Experiment) -> Experiment:
    """Return the experiment with only that left at will which speed and memory depend on."""
    return replace(experiment, init="scratch", budget="smoke", seed=0, lr=None)


def _speed_and_memory(experiment: Experiment) -> tuple[float, float]:
    """Return (images/s, peak GB) of this process; to be called once in a process."""
    # back to the system's way of starting processes: this one was spawned, and workers that
    # were spawned too would each import torch anew
    multiprocessing.set_start_method(None, force=True)
    speed = images_per_second(experiment, steps=1, windows=1)["loop"]
    steps = int(PLAN_SECONDS * speed / RECIPES[experiment.recipe].batch_size)
    if steps > 1:  # else one step has said it
        steps = min(steps, PLAN_STEPS)
        speed = images_per_second(experiment, steps=steps, windows=1)["loop"]
    return speed, peak_memory()
