"""Small pictures that every test can afford."""

import hashlib
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SMOKE, picture_file, small_set
from PIL import Image

from cifarlib import ImageSet, Run, run
from cifarlib.data import arrays, facts, loader, standin

# as in a shell script's background; but the tests interrupt runs
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# small nets gain little from several threads, which stall each other where tests share the cores
torch.set_num_threads(1)

COLORS = {
    "red": (200, 40, 40),
    "green": (40, 200, 40),
    "blue": (40, 40, 200),
}


@pytest.fixture(scope="session", autouse=True)
def generate_once():
    """Spare the tests the seconds that generating the same stand-in pictures takes each time."""
    generate = standin.generate
    kept = {}

    def once(split: str, *, counts: dict[str, int] = facts.COUNTS) -> arrays.Pictures:
        key = (split, counts[split])
        if key not in kept:
            kept[key] = generate(split, counts=counts)
        return kept[key]._replace(images=kept[key].images.copy())

    standin.generate = once
    yield
    standin.generate = generate


@pytest.fixture(scope="session")
def generate_anew():
    """The stand-in's own function under the one that keeps what it made: (split, n) in."""
    return standin._generate.__wrapped__


@pytest.fixture(scope="session", autouse=True)
def no_workers_unasked():
    """Load pictures in the process itself, unless a test asks for workers.

    A loader's workers come after whatever else runs, and tests that share the cores leave little.
    """
    most = loader.MOST_WORKERS
    loader.MOST_WORKERS = 0
    yield
    loader.MOST_WORKERS = most


@pytest.fixture(scope="session")
def train() -> ImageSet:
    """A training split of 1,000 pictures, ten a class."""
    return small_set("train", 1000)


@pytest.fixture(scope="session")
def test() -> ImageSet:
    """A test split of 300 pictures."""
    return small_set("test", 300)


@pytest.fixture
def default_data(tmp_path, monkeypatch) -> Path:
    """The default data folder, which is not there yet: nobody has named another."""
    monkeypatch.delenv("CIFARLIB_DATA", raising=False)
    monkeypatch.setattr("cifarlib.utils.files.repository_root", lambda: tmp_path)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def mine(tmp_path_factory) -> Path:
    """A folder of one's own: three classes of coloured noise in many sizes, quick to load."""
    root = tmp_path_factory.mktemp("mine")
    rng = np.random.default_rng(0)
    for split, n in {"train": 40, "test": 8}.items():
        for name, color in COLORS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(n):
                height, width = rng.integers(20, 90, 2)
                picture = rng.normal(color, 30, (height, width, 3)).clip(0, 255)
                Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.jpg")
    return root


@pytest.fixture
def photo() -> np.ndarray:
    """A smooth colourful picture, uint8 (32, 32, 3), with no black in it."""
    y, x = np.mgrid[0:32, 0:32]
    return np.stack([60 + 5 * x, 60 + 5 * y, 120 + 2 * x + y], axis=-1).astype(np.uint8)


@pytest.fixture
def cup(tmp_path) -> Path:
    """A picture file."""
    path = tmp_path / "cup.png"
    path.write_bytes(picture_file())
    return path


# --- one finished run that the tests of records share, and empty folders for their copies ---------


@pytest.fixture(scope="session")
def finished(train, test, tmp_path_factory) -> Run:
    """A finished smoke run on the stand-in."""
    folder = tmp_path_factory.mktemp("runs")
    return run(SMOKE, runs_dir=folder, data=(train, test), progress=False)


@pytest.fixture
def as_true(finished, monkeypatch) -> None:
    """The finished run's pictures and labels pass for CIFAR-100's."""
    data = finished.provenance["data"]
    fingerprints = {}
    for part, count in data["counts"].items():
        fingerprints[part] = {str(count): data["fingerprints"][part]}
    monkeypatch.setattr(facts, "PART_FINGERPRINTS", fingerprints)
    labels = finished.predictions()["labels"].astype("<u2").tobytes()
    digest = hashlib.sha256(labels).hexdigest()
    monkeypatch.setattr(facts, "TEST_LABELS_SHA256", {str(data["counts"]["test"]): digest})


@pytest.fixture
def own(as_true, monkeypatch, tmp_path) -> Path:
    """An empty folder of one's own runs, beside an empty one of published records."""
    (tmp_path / "published").mkdir()
    monkeypatch.setattr("cifarlib.experiments.store.PUBLISHED", tmp_path / "published")
    monkeypatch.setattr("cifarlib.experiments.store.SUPERSEDED", tmp_path / "superseded")
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path / "own"))
    return tmp_path / "own"
