"""One finished run that the tests of records share, and empty folders for their copies."""

from pathlib import Path

import pytest
from helpers import SMOKE

from cifarlib import Run, run


@pytest.fixture(scope="session")
def finished(train, test, tmp_path_factory) -> Run:
    """A finished smoke run on the stand-in."""
    folder = tmp_path_factory.mktemp("runs")
    return run(SMOKE, runs_dir=folder, data=(train, test), progress=False)


@pytest.fixture
def own(monkeypatch, tmp_path) -> Path:
    """An empty folder of one's own runs, beside an empty one of published records."""
    (tmp_path / "published").mkdir()
    monkeypatch.setattr("cifarlib.runs.store.PUBLISHED", tmp_path / "published")
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path / "own"))
    return tmp_path / "own"
