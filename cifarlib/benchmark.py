"""How fast this machine trains: the bare step, the whole loop, and what a grid will take."""

import multiprocessing
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import psutil
import torch

from .augment import make_loader, train_transform
from .data import ImageSet
from .experiments import Experiment
from .machine import Machine, choose_machine
from .models import create_model
from .progress import progress_bar
from .trainer import Trainer
from .training import RECIPES

PLAN_SECONDS = 3  # for each way of measuring; a step that takes longer is measured once


def images_per_second(
    experiment: Experiment, *, steps: int = 20, windows: int = 5, plain: bool = False
) -> dict[str, float]:
    """Return medians over interleaved windows of `steps` batches of random pictures, in images/s.

    bare: forward, backward and step on ready tensors; loop: the same with augmentation; ratio: loop ÷ bare.
    plain=True adds the loop in float32, contiguous and unfused, and speed_up: loop ÷ plain. ValueError for no step.
    """
    if steps < 1:
        raise ValueError(f"got {steps} steps, expected 1 or more")
    image_size, batch_size = experiment.image_size, RECIPES[experiment.recipe].batch_size
    random = np.random.default_rng(42)
    images = random.integers(0, 256, (steps * batch_size, 32, 32, 3), dtype=np.uint8)
    pictures = ImageSet(images, random.integers(0, 100, len(images)), ("",) * 100)
    varied = train_transform(image_size, experiment.policy, normalize=False)
    loader = make_loader(pictures, varied, batch_size=batch_size, shuffle=True)
    nets = [create_model(experiment.backbone, stem=experiment.stem, image_size=image_size) for _ in range(1 + plain)]
    machine = choose_machine(nets[0])
    machines = (machine, Machine(machine.device, fast=False))
    fast, *slow = (Trainer(net, loader, loader, used, 1, 1e-4) for net, used in zip(nets, machines, strict=False))
    tensors, labels = next(iter(loader))  # starts the workers too
    ready = [(machine.prepare(tensors), labels.to(machine.device))] * steps
    ways = {"bare": (fast, ready), "loop": (fast, loader)} | ({"plain": (slow[0], loader)} if plain else {})

    def measure(way: str) -> float:
        trainer, batches = ways[way]
        start = time.perf_counter()
        trainer.train_epoch(batches)  # returns numbers, so a GPU has finished
        return len(images) / (time.perf_counter() - start)

    for trainer in (fast, *slow):
        trainer.train_epoch(ready[:3])
    speeds = pd.DataFrame([{way: measure(way) for way in ways} for _ in range(windows)])
    speeds["ratio"] = speeds.loop / speeds.bare
    if plain:
        speeds["speed_up"] = speeds.loop / speeds.plain
    return speeds.median().to_dict()


def plan(experiments: Iterable[Experiment]) -> pd.DataFrame:
    """Return the expected minutes and peak memory (GB) of each experiment, measured here for a few seconds each.

    Each kind of net is measured in a process of its own, so that its memory is its own.
    """
    experiments = list(experiments)
    kinds = {e: replace(e, init="scratch", budget="smoke", seed=0) for e in experiments}  # what the speed depends on
    keys = list(dict.fromkeys(kinds.values()))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        found = pool.map(_speed_and_memory, keys)
        measured = dict(zip(keys, progress_bar(iterable=found, total=len(keys), desc="plan", unit="net"), strict=True))
    table = pd.DataFrame([(e.id, *measured[kinds[e]]) for e in experiments], columns=["run", "images/s", "GB"])
    table.insert(2, "minutes", [e.pictures / 60 for e in experiments] / table["images/s"])
    return table.round({"images/s": 0, "minutes": 1, "GB": 1}).astype({"images/s": int})


def _speed_and_memory(experiment: Experiment) -> tuple[float, float]:
    multiprocessing.set_start_method(None, force=True)  # else the loader's workers are spawned too, and import torch
    speed = images_per_second(experiment, steps=1, windows=1)["loop"]
    if (steps := int(PLAN_SECONDS * speed / RECIPES[experiment.recipe].batch_size)) > 1:  # else one step has said it
        speed = images_per_second(experiment, steps=min(steps, 20), windows=1)["loop"]
    if torch.cuda.is_available():
        return speed, torch.cuda.max_memory_allocated() / 1e9
    if sys.platform == "win32":
        return speed, psutil.Process().memory_info().peak_wset / 1e9
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on a Mac, KiB elsewhere
    return speed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
