"""Small pictures that every test can afford."""

import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifarlib import ImageSet, cifar100, sources, standin
from cifarlib.data import canonical_order

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell script's background: the tests interrupt runs
    signal.signal(signal.SIGINT, signal.default_int_handler)


def small_set(split: str, n: int) -> ImageSet:
    """Return `n` stand-in pictures as an ImageSet in canonical order."""
    pictures = standin.generate(split, counts={split: n})
    return ImageSet(*pictures, source="stand-in")[canonical_order(pictures.images, pictures.labels)]


@pytest.fixture(scope="session", autouse=True)
def generate_once():
    """Spare the tests the seconds that generating the same 60,000 stand-in pictures takes each time."""
    generate, kept = standin.generate, {}

    def once(split: str, *, counts: dict[str, int] = cifar100.COUNTS) -> sources.Pictures:
        key = (split, counts[split])
        if key not in kept:
            kept[key] = generate(split, counts=counts)
        return kept[key]._replace(images=kept[key].images.copy())

    standin.generate = once
    yield
    standin.generate = generate


@pytest.fixture(scope="session")
def train() -> ImageSet:
    """A training split of 1,000 pictures, ten a class."""
    return small_set("train", 1000)


@pytest.fixture(scope="session")
def test() -> ImageSet:
    """A test split of 300 pictures."""
    return small_set("test", 300)


@pytest.fixture(scope="session")
def mine(tmp_path_factory) -> Path:
    """A folder of one's own: three classes of coloured noise, pictures of many sizes, quick to load."""
    root, random = tmp_path_factory.mktemp("mine"), np.random.default_rng(0)
    for split, n in {"train": 40, "test": 8}.items():
        for name, color in {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(n):
                picture = np.clip(random.normal(color, 30, (*random.integers(20, 90, 2), 3)), 0, 255)
                Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.jpg")
    return root


@pytest.fixture
def photo() -> np.ndarray:
    """A smooth colourful picture, uint8 (32, 32, 3), with no black in it."""
    y, x = np.mgrid[0:32, 0:32]
    return np.stack([60 + 5 * x, 60 + 5 * y, 120 + 2 * x + y], axis=-1).astype(np.uint8)
