"""A grid goes on after a failure, and however it is spread the records are the same."""

import contextlib

import pytest
import torch
from helpers import SMOKE, TOO_DEEP, assert_same_records
from joblib import cpu_count

from cifarlib import grid
from cifarlib.tools.grid import _workers_for_each, run_grid

CELLS = grid("smoke", backbones=["test_resnet", TOO_DEEP], image_sizes=[16], inits=["scratch"])
FAILS = f"{TOO_DEEP}-16px-scratch-smoke"


@contextlib.contextmanager
def threads_of_one_of_two():
    """Compute with as many threads as each of two processes has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, cpu_count() // 2))
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def alone(mine, tmp_path_factory):
    """The outcome of a grid in this process, and the folder of its runs."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch, threads_of_one_of_two():
        patch.setenv("CIFARLIB_DATA", str(mine))
        done, failed = run_grid(CELLS, runs_dir=folder)
    return done, failed, folder


@pytest.fixture(autouse=True)
def own_pictures(mine, monkeypatch) -> None:
    """Runs are on one's own pictures."""
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))


def test_a_grid_goes_on_after_a_failure_and_lists_it(alone):
    done, failed, folder = alone
    assert [run.experiment.backbone for run in done] == ["test_resnet"]
    assert list(failed) == [FAILS]
    assert "cannot take 16 px pictures" in failed[FAILS]
    assert [path.parent.name for path in folder.glob("*/record.json")] == [done[0].id]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_two_processes_give_the_same_records(backend, alone, tmp_path):
    if backend == "dask":
        pytest.importorskip("distributed", reason="an extra: pip install 'cifarlib[dask]'")
    done, failed = run_grid(CELLS, jobs=2, runs_dir=tmp_path, backend=backend)
    assert len(done) == 1
    assert list(failed) == [FAILS]
    assert_same_records(alone[2], tmp_path)
    if backend == "dask":
        from distributed import get_client

        with pytest.raises(ValueError, match="client"):
            get_client()  # the local cluster was closed


def test_a_grid_that_is_all_there_trains_nothing(alone):
    done, _, folder = alone
    before = done[0].path.stat().st_mtime_ns
    again, _ = run_grid(CELLS[:1], runs_dir=folder)
    assert again[0].path == done[0].path
    assert done[0].path.stat().st_mtime_ns == before


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="unknown backend 'desk': did you mean 'dask'"):
        run_grid([], backend="desk")


def test_no_job_is_refused():
    with pytest.raises(ValueError, match="got jobs 0, expected a whole number, 1 to"):
        run_grid([], jobs=0)


def test_a_dask_address_is_asked_for_its_cluster(monkeypatch):
    dask = pytest.importorskip("dask", reason="an extra: pip install 'cifarlib[dask]'")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    settings = {
        "scheduler-address": "tcp://127.0.0.1:9",
        "distributed.comm.timeouts.connect": "1s",
    }
    with dask.config.set(settings), pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        run_grid([SMOKE], backend="dask")


@pytest.mark.parametrize(
    ("gpu", "threads", "workers"),
    [
        (False, None, None),
        (False, 1, 0),
        (True, None, None),
        (True, 1, 1),
        (True, 2, 2),
        (True, 9, 4),
    ],
)
def test_beside_a_gpu_each_run_has_its_share_of_the_cores_as_workers(
    gpu, threads, workers, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr("cifarlib.tools.grid.MOST_WORKERS", 4)
    assert _workers_for_each(threads) == workers
