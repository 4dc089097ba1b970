"""The write-up's augmentation, and a natural one beside it."""

import json
import os
from typing import Any

# else the import asks a registry and warns offline
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
from albumentations.pytorch import ToTensorV2

from ..config import IMAGENET_MEAN, IMAGENET_STD, POLICIES
from ..utils.checks import whole_number
from ..utils.errors import last_line, unknown
from .arrays import check_image, middle_square

MIRROR = cv2.BORDER_REFLECT_101  # what is moved in from outside the picture


class ResizedSquare(A.Resize):
    """albumentations' Resize of an image's middle square: an oblong image is not squashed.

    One step rather than two, because each step of a pipeline draws a random number.
    """

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        """Return the middle square of an image uint8 (H, W, 3), resized; ValueError for others."""
        return super().apply(middle_square(check_image(img)), **params)


def policy_steps(image_size: int, policy: str = "writeup") -> dict[str, A.BasicTransform]:
    """Return a policy's random steps by name, in order, for square pictures of `image_size` pixels.

    "writeup": the published one. "natural": what suits photographs: pad by an eighth and crop,
    horizontal flip, mild colour, one hole a quarter as wide as the picture. "none": no step at all.
    Raises ValueError for another name.
    """
    image_size = whole_number("image_size", image_size, least=1)
    if policy == "writeup":
        return _writeup_steps()
    if policy == "natural":
        return _natural_steps(image_size)
    if policy == "none":
        return {}
    raise unknown("policy", policy, POLICIES)


def policy_settings(image_size: int, policy: str) -> list[dict[str, Any]]:
    """Return a policy's steps as a record keeps them: each one's name, class and parameters."""
    settings = []
    for name, step in policy_steps(image_size, policy).items():
        parameters = step.to_dict()["transform"]
        kind = parameters.pop("__class_fullname__")
        settings.append({"name": name, "class": kind} | parameters)
    # as it comes back from a record: JSON knows no tuples
    return json.loads(json.dumps(settings))


def _writeup_steps() -> dict[str, A.BasicTransform]:
    shift = (-0.0625, 0.0625)  # shares of the side
    return {
        "Transpose": A.Transpose(p=0.5),
        "HorizontalFlip": A.HorizontalFlip(p=0.5),
        "VerticalFlip": A.VerticalFlip(p=0.5),
        # albumentations 1's ShiftScaleRotate with its defaults: one scale for both axes
        "ShiftScaleRotate": A.Affine(
            translate_percent={"x": shift, "y": shift},
            scale=(0.9, 1.1),
            rotate=(-45, 45),
            keep_ratio=True,
            border_mode=MIRROR,
            p=0.5,
        ),
        "CoarseDropout": _holes(count=20, side=2),
        # the published limits; the library's unit is a level of 255, so they move next to nothing
        "HueSaturationValue": A.HueSaturationValue(0.2, 0.3, 0.2, p=0.5),
    }


def _natural_steps(image_size: int) -> dict[str, A.BasicTransform]:
    return {
        "Pad": A.Pad(padding=image_size // 8, border_mode=MIRROR, p=1.0),
        "RandomCrop": A.RandomCrop(image_size, image_size, p=1.0),
        "HorizontalFlip": A.HorizontalFlip(p=0.5),
        "ColorJitter": A.ColorJitter(
            brightness=(0.8, 1.2),
            contrast=(0.8, 1.2),
            saturation=(0.8, 1.2),
            hue=(-0.02, 0.02),
            p=0.5,
        ),
        "CoarseDropout": _holes(count=1, side=max(1, image_size // 4)),
    }


def _holes(*, count: int, side: int) -> A.CoarseDropout:
    """Return a step that blackens `count` squares of `side` pixels."""
    return A.CoarseDropout(
        num_holes_range=(count, count),
        hole_height_range=(side, side),
        hole_width_range=(side, side),
        fill=0,
        p=0.5,
    )


def train_transform(
    image_size: int,
    policy: str = "writeup",
    *,
    mean: tuple = IMAGENET_MEAN,
    std: tuple = IMAGENET_STD,
    normalize: bool = True,
) -> A.Compose:
    """Return the random training pipeline: a picture uint8 (H, W, 3) in, a square tensor out.

    The tensor (3, image_size, image_size) is float32, normalised with `mean` and `std`, or with
    normalize=False uint8, for those who normalise whole batches on the device. Steps: see
    policy_steps. Of an oblong picture the middle square is taken. ValueError for a size that is no
    whole number of pixels.
    """
    image_size = whole_number("image_size", image_size, least=1)
    steps: list[A.BasicTransform] = [
        ResizedSquare(image_size, image_size, interpolation=cv2.INTER_LINEAR),
    ]
    steps += policy_steps(image_size, policy).values()
    if normalize:
        steps.append(A.Normalize(mean, std))
    steps.append(ToTensorV2())
    return A.Compose(steps)


def check_steps(image_size: int, policy: str) -> None:
    """Raise ValueError if one of a policy's steps cannot take pictures of this size (pixels).

    Tried on one picture, step by step: in a pipeline a step comes by chance, and its error from
    within a loader's worker.
    """
    picture = np.zeros((image_size, image_size, 3), dtype=np.uint8)
    for name, step in policy_steps(image_size, policy).items():
        step.p = 1.0  # never skipped
        try:
            A.Compose([step])(image=picture)
        except Exception as error:  # albumentations and OpenCV raise many kinds
            raise ValueError(
                f"the augmentation {policy!r} cannot take {image_size} px pictures"
                f" ({name}: {last_line(error)})"
            ) from None


def eval_transform(
    image_size: int,
    *,
    mean: tuple = IMAGENET_MEAN,
    std: tuple = IMAGENET_STD,
    normalize: bool = True,
) -> A.Compose:
    """Return the fixed pipeline for validation and test: resize, normalise, to tensor."""
    return train_transform(image_size, "none", mean=mean, std=std, normalize=normalize)
