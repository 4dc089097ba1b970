"""Small pictures that every test can afford."""

import numpy as np
import pytest

from cifarlib import ImageSet, standin
from cifarlib.data import canonical_order


def small_set(split: str, n: int) -> ImageSet:
    """Return `n` stand-in pictures as an ImageSet in canonical order."""
    pictures = standin.generate(split, counts={split: n})
    return ImageSet(*pictures, source="stand-in")[canonical_order(pictures.images, pictures.labels)]


@pytest.fixture(scope="session")
def train() -> ImageSet:
    """A training split of 1,000 pictures, ten a class."""
    return small_set("train", 1000)


@pytest.fixture(scope="session")
def test() -> ImageSet:
    """A test split of 300 pictures."""
    return small_set("test", 300)


@pytest.fixture
def photo() -> np.ndarray:
    """A smooth colourful picture, uint8 (32, 32, 3), with no black in it."""
    y, x = np.mgrid[0:32, 0:32]
    return np.stack([60 + 5 * x, 60 + 5 * y, 120 + 2 * x + y], axis=-1).astype(np.uint8)
