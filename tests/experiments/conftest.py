"""One finished run that the tests of records share, and empty folders for their copies."""

import hashlib
from pathlib import Path

import pytest
from helpers import SMOKE

from cifarlib import Run, run
from cifarlib.data import facts


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
