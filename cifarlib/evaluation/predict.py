"""What a trained model says of pictures it has not seen, as they are and flipped."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data.arrays import check_images
from ..data.cifar100 import ImageSet
from ..data.folder import read_picture
from ..data.loader import make_loader
from ..data.transforms import eval_transform
from ..models.modes import evaluating
from ..training.device import Device, choose_device
from ..training.lookout import watch
from ..training.loop import logits_of
from ..utils.checks import as_list
from ..utils.errors import unknown
from .metrics import accuracy, likeliest, top5

# view -> the axes of (N, 3, S, S) along which a picture is flipped
VIEWS: dict[str, tuple[int, ...]] = {
    "as is": (),
    "horizontal flip": (3,),
    "vertical flip": (2,),
    "both flips": (2, 3),
}
# policy -> the views that its test-time augmentation averages: those it was trained on
TTA_VIEWS: dict[str, tuple[str, ...]] = {
    "writeup": ("as is", "horizontal flip", "vertical flip"),
    "natural": ("as is", "horizontal flip"),
    "none": ("as is",),
}
BATCH = 64  # images
PASSES = 3  # of the write-up's random test-time augmentation


def predict(
    model: nn.Module,
    images: Any,
    image_size: int | None = None,
    *,
    device: Device | None = None,
) -> np.ndarray:
    """Return what a net says of images: class probabilities, float32 (N, C).

    images: an ImageSet, an array uint8 (N, H, W, 3) or (H, W, 3), picture files, or batches of
    (images, labels) as a loader gives them. image_size: pixels at which arrays and files are shown
    to the net; not needed where it was made for a size (create_model, Run.load_model), and batches
    have theirs. Files are read as CIFAR-100's images are: the middle square at 32 pixels. Raises
    ValueError for what is none of these, and where nobody knows the size.
    """
    return _by_view(model, images, image_size, ["as is"], device)[0]


def tta(
    model: nn.Module,
    images: Any,
    image_size: int | None = None,
    *,
    views: str | Iterable[str] = ("as is", "horizontal flip"),
    device: Device | None = None,
) -> np.ndarray:
    """Return the mean of a net's probabilities over views of images, float32 (N, C).

    This is test-time augmentation. images, image_size: see predict; a generator of batches is gone
    through once. views: see VIEWS. Raises ValueError as predict does, and for an unknown view.
    """
    return mean_over_views(_by_view(model, images, image_size, as_list(views), device))


def _by_view(
    model: nn.Module,
    images: Any,
    image_size: int | None,
    views: Iterable[str],
    device: Device | None,
) -> np.ndarray:
    device = device or choose_device(model)
    device.place(model)
    batches = _as_batches(images, image_size or getattr(model, "input_side", None))
    return predict_views(model, batches, device=device, views=views)


def _as_batches(images: Any, image_size: int | None) -> Iterable:
    """Return what predict takes as batches of uint8 images of a size, or as they come."""
    if isinstance(images, str | Path):
        images = [images]
    if isinstance(images, list | tuple) and images and isinstance(images[0], str | Path):
        images = np.stack([read_picture(file) for file in images])
    if isinstance(images, np.ndarray):
        images = images[None] if images.ndim == 3 else images
        images = ImageSet(check_images(images), np.zeros(len(images), np.int64), ("unknown",))
    if not isinstance(images, ImageSet):
        if not isinstance(images, Iterable):
            raise ValueError(
                f"got images {type(images).__name__}, expected an ImageSet, an array, picture files"
                " or batches of (images, labels)"
            )
        return images
    if image_size is None:
        raise ValueError("this net does not know its image size: predict(model, images, 32), say")
    no_steps = eval_transform(image_size, normalize=False)
    return make_loader(images, no_steps, batch_size=BATCH, num_workers=0)


def predict_views(
    model: nn.Module,
    batches: Iterable,
    *,
    device: Device,
    views: str | Iterable[str] = ("as is",),
    micro_batches: int = 1,
) -> np.ndarray:
    """Return class probabilities, float32 (V, N, C): the softmax of the logits for each of V views.

    A view is the picture flipped along fixed axes: see VIEWS. micro_batches: parts in which a batch
    goes through the model, where the memory is short. The net's modes are as before. Raises
    ValueError for an unknown view, and for no batch.
    """
    views = as_list(views)
    for view in views:
        if view not in VIEWS:
            raise unknown("view", view, VIEWS)
    watch(model)
    by_batch = []
    with evaluating(model), torch.inference_mode():
        for images, _ in batches:
            images = device.prepare(images)
            by_view = []
            for view in views:
                turned = images
                if VIEWS[view]:
                    turned = images.flip(VIEWS[view])
                by_view.append(logits_of(model, turned, device=device, micro_batches=micro_batches))
            logits = torch.stack(by_view)  # (V, B, C)
            by_batch.append(logits.float().softmax(-1).cpu())
    if not by_batch:
        raise ValueError("got no batch, expected one or more of (images, labels)")
    return torch.cat(by_batch, dim=1).numpy()


def mean_over_views(probabilities: np.ndarray) -> np.ndarray:
    """Return the mean over views: (V, N, C) in, (N, C) out."""
    return probabilities.mean(axis=0)


def random_tta_accuracies(
    by_view: np.ndarray,
    labels: np.ndarray,
    *,
    draws: int = 10,
    seed: int = 42,
) -> list[float]:
    """Return the accuracies of `draws` repetitions of the write-up's random test-time augmentation.

    by_view: probabilities (4, N, C) of the views in VIEWS, in that order. The write-up sums three
    passes, each flipping each way with probability one half; those flips pick among the four views,
    so that drawing views is the same as running the model again.
    """
    rng = np.random.default_rng(seed)  # a fixed one, so that a record is made the same again
    n = len(labels)
    accuracies = []
    for _ in range(draws):
        total = np.zeros(by_view.shape[1:], by_view.dtype)
        for _ in range(PASSES):
            drawn_views = rng.integers(0, len(VIEWS), n)
            total += by_view[drawn_views, np.arange(n)]
        accuracies.append(accuracy(total, labels))
    return accuracies


def score(
    model: nn.Module,
    batches: Iterable,
    labels: np.ndarray,
    *,
    device: Device,
    policy: str,
    micro_batches: int = 1,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (results, predictions) on the test pictures, for a record: see Run."""
    by_view = predict_views(
        model,
        batches,
        device=device,
        views=VIEWS,
        micro_batches=micro_batches,
    )
    plain = by_view[0]  # the first view is the picture as it is
    tta_views = TTA_VIEWS[policy]
    places = [list(VIEWS).index(view) for view in tta_views]
    averaged = mean_over_views(by_view[places])
    results = {
        "accuracy": accuracy(plain, labels),
        "top5": top5(plain, labels),
        "tta_accuracy": accuracy(averaged, labels),
        "tta_views": list(tta_views),
        "random_tta_accuracies": random_tta_accuracies(by_view, labels),
    }
    classes = likeliest(plain)
    probabilities = np.take_along_axis(plain, classes, axis=1)
    predictions = {
        "labels": labels.astype(np.uint16),
        "classes": classes.astype(np.uint16),
        "tta": averaged.argmax(1).astype(np.uint16),
        # three decimals are all that is read off them, and pack into half the bytes
        "probabilities": probabilities.round(3).astype(np.float16),
    }
    return results, predictions


def frozen_features(
    model: Any,
    batches: Iterable,
    device: Device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a net makes of pictures before its head: float32 (N, features), labels (N,).

    batches: (images uint8 or float (N, 3, S, S), labels int64 (N,)). The net is not changed, nor
    the mode of any part of it.
    """
    device.place(model)
    features = []
    labels = []
    with evaluating(model), torch.inference_mode():
        for images, answers in batches:
            maps = model.forward_features(device.prepare(images))
            features.append(model.forward_head(maps, pre_logits=True).float())
            labels.append(device.prepare_labels(answers))
    return torch.cat(features).clone(), torch.cat(labels).clone()
