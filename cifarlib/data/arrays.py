"""Images and labels as arrays: how they are handed over, what they must be, how squared."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import facts


class Whites(NamedTuple):
    """Which level is white in a data set's grey images of more than 8 bits; None: it has none."""

    integers: int | None = None
    floats: int | None = None
    told: str = ""  # in words, with the image that it hangs on where that is one alone


class Pictures(NamedTuple):
    """What a source hands over: pictures, labels and names, with superclasses if there are any."""

    images: np.ndarray  # uint8 (N, H, W, 3), RGB
    labels: np.ndarray  # int64 (N,)
    classes: tuple[str, ...]  # their names
    coarse_labels: np.ndarray | None = None  # int64 (N,), of the superclasses
    superclasses: tuple[str, ...] | None = None  # their names
    whites: Whites | None = None  # of grey images of more than 8 bits, if there are any


def with_superclasses(
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    classes: tuple[str, ...],
) -> Pictures:
    """Return Pictures, with the 20 superclasses if the classes are CIFAR-100's."""
    pictures = Pictures(images, np.asarray(labels, dtype=np.int64), classes)
    if classes != facts.CLASSES:
        return pictures
    superclasses = tuple(sorted(facts.SUPERCLASSES))
    coarse_of = np.array([superclasses.index(facts.SUPERCLASS_OF[name]) for name in classes])
    return pictures._replace(
        coarse_labels=coarse_of[pictures.labels],
        superclasses=superclasses,
    )


def check_images(got: Any) -> np.ndarray:
    """Return images as uint8 (N, H, W, 3), RGB; ValueError for others, with what makes them so."""
    images = np.asarray(got)
    if images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3 and images[:1].size:
        return images
    if images.dtype == np.uint8 and images.shape[1:] and len(images) == 0:
        return images  # of no image nothing can be wrong
    raise ValueError(
        f"got images {images.dtype} {images.shape}, expected uint8 (N, H, W, 3), RGB"
        f"{_way_to_images(images)}"
    )


def check_image(got: Any) -> np.ndarray:
    """Return one image as uint8 (H, W, 3), RGB; ValueError for another, as check_images."""
    image = np.asarray(got)
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size:
        return image
    hint = _way_to_images(image[None])
    if image.ndim == 4:
        hint = ": pass them one by one"
    raise ValueError(
        f"got an image {image.dtype} {image.shape}, expected uint8 (H, W, 3), RGB{hint}"
    )


def _way_to_images(images: np.ndarray) -> str:
    """Return in words what turns an array into images, or one image alone into an image."""
    kind = images.dtype.kind
    if kind == "f" and images.size and images.min() >= 0 and images.max() <= 1:
        way = "(255 * x).round().astype('uint8')"
        return f": of floats from 0 to 1, as matplotlib reads them, make {way}"
    if kind in "iu" and images.dtype != np.uint8 and images.size:
        if images.min() >= 0 and images.max() <= 255:
            return ": x.astype('uint8')"
        return ": scale their levels to 0 to 255"
    if images.dtype != np.uint8:
        return ""
    if images.ndim == 4 and images.shape[3] == 4:
        return ": leave the fourth channel out, x[..., :3]"
    if images.ndim == 4 and images.shape[3] == 1:
        return ": of grey images make x.repeat(3, axis=-1)"
    if images.ndim == 4 and images.shape[1] == 3:
        return ": put the channels last, np.moveaxis(x, -3, -1)"
    if images.ndim == 3 and images.shape[2] == 3:
        return ": of one image make x[None]"
    if images.ndim == 3:
        return ": of grey images make x[..., None].repeat(3, axis=-1)"
    return ""


def check_labels(got: Any, n_images: int, n_classes: int) -> np.ndarray:
    """Return labels as int64 (N,), each the number of a class; ValueError for others."""
    labels = np.asarray(got)
    expected = f"expected whole numbers ({n_images},), each from 0 to {n_classes - 1}"
    if labels.ndim == 2 and len(labels) == n_images:
        hint = "of one row a label make x.argmax(1)"
        if labels.shape[1] == 1:
            hint = "of one column make x[:, 0]"
        raise ValueError(f"got labels {labels.dtype} {labels.shape}, {expected}: {hint}")
    if labels.shape != (n_images,) or (labels.dtype.kind not in "iu" and n_images > 0):
        raise ValueError(f"got labels {labels.dtype} {labels.shape}, {expected}")
    if n_images > 0 and not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(f"got labels from {labels.min()} to {labels.max()}, {expected}")
    return labels.astype(np.int64, copy=False)


def middle_square(image: np.ndarray) -> np.ndarray:
    """Return the middle square of an image (H, W, …): as much of it as fits, nothing squashed."""
    height, width = image.shape[:2]
    side = min(height, width)
    top = (height - side) // 2
    left = (width - side) // 2
    return image[top : top + side, left : left + side]
