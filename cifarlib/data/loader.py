"""Batches of augmented pictures that repeat themselves exactly, whatever the number of workers."""

import multiprocessing
import os
import pickle
import random
import signal
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from joblib import cpu_count
from torch.utils.data import DataLoader, Dataset

from ..utils.checks import whole_number
from ..utils.errors import last_line
from ..utils.progress import say
from ..utils.signals import interrupt_waits
from .cifar100 import ImageSet

MOST_WORKERS = 4  # by default
FEW_CORES = 2  # on so many, workers take from the training step what they give
WORKERS_NICE = 10  # a tenth of the share that a process gets as it comes
# what torch says of workers that died, of a too small /dev/shm among other things
LOST_WORKERS = ("</torch_", "shared memory", "is killed by signal", "exited unexpectedly")


class AugmentedImages(Dataset):
    """Pictures through a transform; a key (epoch, position) gives (tensor (3, S, S), label).

    Its randomness is a function of (seed, epoch, position) alone, never of the worker or an earlier
    call.
    """

    def __init__(self, images: ImageSet, transform: A.Compose, *, seed: int = 42) -> None:
        self.images = images
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int]:
        epoch, position = key
        rng = np.random.default_rng((self.seed, epoch, position))
        # albumentations draws from NumPy's generator and from Python's
        python_rng = random.Random(int(rng.integers(2**63)))
        self.transform.set_random_state(rng, python_rng)
        picture = self.images.images[position]
        label = int(self.images.labels[position])
        return self.transform(image=picture)["image"], label


class EpochBatches:
    """Batches of (epoch, position) keys, shuffled as a function of (seed, epoch) alone.

    `epoch` is the number of the next pass, from 0; each pass that begins moves it on.
    """

    def __init__(self, n_images: int, batch_size: int, *, shuffle: bool, seed: int) -> None:
        self.n_images = n_images
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        full, rest = divmod(self.n_images, self.batch_size)
        if rest == 0:
            return full
        if rest == 1 and self.shuffle and full:  # in training: BatchNorm needs two pictures
            return full
        return full + 1

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        # a pass begins here, with its first batch: torch makes some iterators that it never uses
        epoch = self.epoch
        self.epoch += 1
        order = np.arange(self.n_images)
        if self.shuffle:
            rng = np.random.default_rng((self.seed, epoch))
            order = rng.permutation(order)
        for number in range(len(self)):
            start = number * self.batch_size
            positions = order[start : start + self.batch_size]
            yield [(epoch, int(position)) for position in positions]


class WorkersLost(OSError):
    """A loader's workers died, or found no shared memory to hand their pictures over in."""


class CalmLoader(DataLoader):
    """A DataLoader that lets a Ctrl-C wait while its workers start, and says in a line if they die.

    Python drops an exception that comes within a fork. An iteration raises WorkersLost.
    """

    def __iter__(self) -> Any:
        try:
            with interrupt_waits():
                batches = super().__iter__()
        # within a pool's process, which may have none of its own; or there is no memory for one
        except (AssertionError, OSError, pickle.PicklingError) as error:
            say(f"no processes load the pictures ({last_line(error)}): this one does")
            return iter(without_workers(self))
        return _watched(batches)


def _watched(batches: Iterable) -> Iterator:
    """Yield a loader's batches; torch's many lines about dead workers become one."""
    try:
        yield from batches
    except RuntimeError as error:
        if not _tells_of_lost_workers(str(error)):
            raise
        raise WorkersLost(
            "the processes that load the pictures died or found no shared memory"
            f" ({last_line(error)})"
        ) from None


def _tells_of_lost_workers(text: str) -> bool:
    return any(words in text for words in LOST_WORKERS)


def without_workers(loader: DataLoader) -> DataLoader:
    """Return a loader of the same batches that loads them in the process itself."""
    return CalmLoader(
        loader.dataset,
        batch_sampler=loader.batch_sampler,
        num_workers=0,
        pin_memory=loader.pin_memory,
        generator=loader.generator,
    )


def make_loader(
    images: ImageSet,
    transform: A.Compose,
    *,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 42,
    num_workers: int | None = None,
) -> DataLoader:
    """Return batches (tensor (B, 3, S, S), labels int64 (B,)).

    Each pass has another order and other augmentation, which depend on (seed, number of the pass)
    alone: `loader.batch_sampler.epoch` is the next one's number, from 0, and can be set. Any number
    of workers gives the same batches. The default is one for each core, at most four, and none on
    Windows, where starting one costs seconds. Raises ValueError for what is no ImageSet, or a
    number out of its limits.
    """
    if not isinstance(images, ImageSet):
        raise ValueError(
            f"got images {type(images).__name__}, expected an ImageSet:"
            " ImageSet(images, labels, classes) makes one of arrays"
        )
    images.check()  # its arrays may have been changed
    if not hasattr(transform, "set_random_state"):
        raise ValueError(
            f"got transform {type(transform).__name__}, expected a pipeline of albumentations,"
            " such as train_transform(32)"
        )
    batch_size = whole_number("batch_size", batch_size, least=1)
    seed = whole_number("seed", seed, least=0)
    if num_workers is None:
        num_workers = _default_workers()
    num_workers = whole_number("num_workers", num_workers, least=0)
    return CalmLoader(
        AugmentedImages(images, transform, seed=seed),
        batch_sampler=EpochBatches(len(images), batch_size, shuffle=shuffle, seed=seed),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        worker_init_fn=_step_aside,
        pin_memory=torch.cuda.is_available(),
        # its own, so that dropout's draws do not depend on the workers
        generator=torch.Generator(),
    )


def _default_workers() -> int:
    """Return how many processes load pictures by default: none where they would not pay."""
    started_by = multiprocessing.get_start_method(allow_none=True)
    if started_by is None:
        started_by = multiprocessing.get_all_start_methods()[0]  # the system's way
    # elsewhere each imports torch anew, and a script needs a main guard
    if started_by != "fork" or multiprocessing.current_process().daemon:
        return 0
    cores = cpu_count()  # those that this process may use
    if cores <= FEW_CORES:
        return 0
    return min(MOST_WORKERS, cores)


def _step_aside(worker: int) -> None:
    """Let the training step come before a loader's worker.

    One that takes a core from the step stalls the other cores too. Yet it must get its share beside
    other programs: a worker that waits for an idle core (SCHED_IDLE) starves on a busy machine, and
    the step with it.
    """
    # Ctrl-C is for the main process, which ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _say_unless_hung_up
    cv2.setNumThreads(0)
    if hasattr(os, "nice"):
        os.nice(WORKERS_NICE)


def _say_unless_hung_up(
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """Print an error of a worker's thread, unless the main process has stopped listening.

    Python's thread that hands batches over complains then, at a Ctrl-C; the worker's own errors
    go to the main process and not through here.
    """
    if not isinstance(error, OSError | EOFError):
        sys.__excepthook__(kind, error, traceback)
