"""The write-up's augmentation, a natural one beside it, and loaders that repeat themselves exactly."""

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks a registry and warns offline

import albumentations as A
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from torch.utils.data import DataLoader, Dataset

from .data import ImageSet
from .files import unknown

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POLICIES = ("writeup", "natural", "none")


def policy_steps(image_size: int, policy: str = "writeup") -> dict[str, A.BasicTransform]:
    """Return a policy's random steps by name, in order, for square pictures of `image_size` pixels.

    "writeup": the published one. "natural": what suits photographs: pad by an eighth and crop, horizontal
    flip, mild colour, one hole a quarter as wide as the picture. "none": no step at all. ValueError for another.
    """
    mirror, shift = cv2.BORDER_REFLECT_101, (-0.0625, 0.0625)
    if policy == "writeup":
        # albumentations 1's ShiftScaleRotate with its defaults: one scale for both axes, mirrored borders
        moved = {"translate_percent": {"x": shift, "y": shift}, "scale": (0.9, 1.1), "rotate": (-45, 45)}
        return {
            "Transpose": A.Transpose(p=0.5),
            "HorizontalFlip": A.HorizontalFlip(p=0.5),
            "VerticalFlip": A.VerticalFlip(p=0.5),
            "ShiftScaleRotate": A.Affine(**moved, keep_ratio=True, border_mode=mirror, p=0.5),
            "CoarseDropout": _holes(20, 2),
            "HueSaturationValue": A.HueSaturationValue(0.2, 0.3, 0.2, p=0.5),
        }
    if policy == "natural":
        return {
            "Pad": A.Pad(padding=image_size // 8, border_mode=mirror, p=1.0),
            "RandomCrop": A.RandomCrop(image_size, image_size, p=1.0),
            "HorizontalFlip": A.HorizontalFlip(p=0.5),
            "ColorJitter": A.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (-0.02, 0.02), p=0.5),
            "CoarseDropout": _holes(1, max(1, image_size // 4)),
        }
    if policy == "none":
        return {}
    raise unknown("policy", policy, POLICIES)


def _holes(count: int, side: int) -> A.CoarseDropout:
    return A.CoarseDropout((count, count), hole_height_range=(side, side), hole_width_range=(side, side), fill=0, p=0.5)


def train_transform(
    image_size: int,
    policy: str = "writeup",
    *,
    mean: tuple = IMAGENET_MEAN,
    std: tuple = IMAGENET_STD,
    normalize: bool = True,
) -> A.Compose:
    """Return the random training pipeline: uint8 (H, W, 3) in, tensor (3, image_size, image_size) out.

    The tensor is float32, normalised with `mean` and `std`, or with normalize=False uint8, for those who
    normalise whole batches on the device. Steps: see policy_steps. ValueError for a size below one pixel.
    """
    if not isinstance(image_size, int) or image_size < 1:
        raise ValueError(f"got image size {image_size!r}, expected a whole number of pixels, 1 or more")
    resize = A.Resize(image_size, image_size, interpolation=cv2.INTER_LINEAR)
    last = [A.Normalize(mean, std), ToTensorV2()] if normalize else [ToTensorV2()]
    return A.Compose([resize, *policy_steps(image_size, policy).values(), *last])


def eval_transform(
    image_size: int, *, mean: tuple = IMAGENET_MEAN, std: tuple = IMAGENET_STD, normalize: bool = True
) -> A.Compose:
    """Return the fixed pipeline for validation and test: resize, normalise, to tensor."""
    return train_transform(image_size, "none", mean=mean, std=std, normalize=normalize)


class AugmentedImages(Dataset):
    """Pictures through a transform; a key (epoch, position) gives (tensor (3, S, S), label).

    Its randomness is a function of (seed, epoch, position) alone, never of the worker or an earlier call.
    """

    def __init__(self, images: ImageSet, transform: A.Compose, *, seed: int = 42) -> None:
        self.images, self.transform, self.seed = images, transform, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int]:
        epoch, position = key
        generator = np.random.default_rng((self.seed, epoch, position))
        self.transform.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        return self.transform(image=self.images.images[position])["image"], int(self.images.labels[position])


class EpochBatches:
    """Batches of (epoch, position) keys; the shuffled order is a function of (seed, epoch) alone."""

    def __init__(self, n_images: int, batch_size: int, *, shuffle: bool, seed: int) -> None:
        self.n_images, self.batch_size, self.shuffle, self.seed = n_images, batch_size, shuffle, seed
        self.epoch = 0

    def __len__(self) -> int:  # a last training batch of one is left out: BatchNorm needs two
        full, rest = divmod(self.n_images, self.batch_size)
        return full + (rest > (1 if self.shuffle and full else 0))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.arange(self.n_images)
        if self.shuffle:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(order)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield [(self.epoch, int(position)) for position in order[start : start + self.batch_size]]


class CalmLoader(DataLoader):
    """A DataLoader that lets a Ctrl-C wait while its workers start: Python drops one that comes within a fork."""

    def __iter__(self) -> Iterator:
        if threading.current_thread() is not threading.main_thread():  # signals come to the main one only
            return super().__iter__()
        came = []
        before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
        try:
            return super().__iter__()
        finally:
            signal.signal(signal.SIGINT, before)
            if came:
                signal.raise_signal(signal.SIGINT)


def make_loader(
    images: ImageSet,
    transform: A.Compose,
    *,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 42,
    num_workers: int | None = None,
) -> DataLoader:
    """Return batches (tensor (B, 3, S, S), labels int64 (B,)); `loader.batch_sampler.epoch` is the epoch.

    Any number of workers gives the same batches. The default is one for each core, at most four, and none
    on Windows, where starting one costs seconds.
    """
    if num_workers is None:
        num_workers = 0 if os.name == "nt" else min(4, os.cpu_count() or 1)
    return CalmLoader(
        AugmentedImages(images, transform, seed=seed),
        batch_sampler=EpochBatches(len(images), batch_size, shuffle=shuffle, seed=seed),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        worker_init_fn=_step_aside,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # its own, so that dropout's draws do not depend on the workers
    )


def _step_aside(worker: int) -> None:
    # A worker that takes a core from the training step stalls the other cores too; a polite one works while
    # the step does not need them all. Ctrl-C is for the main process, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):  # Linux: whoever else wakes up comes first, at once
        with contextlib.suppress(OSError):  # some sandboxes do not allow it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
