"""Many runs, in parallel where that is faster; one that fails does not stop the others."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path

import psutil
import torch
from filelock import FileLock, Timeout
from joblib import Parallel, cpu_count, delayed, parallel_config
from tqdm import tqdm

from .experiments import Experiment
from .files import unknown
from .models import model_table
from .progress import progress_bar
from .records import Run, read_record
from .running import run

BACKENDS = ("loky", "dask")
ONE_AT_A_TIME = threading.Lock()  # torch's random state is the process's, and a Dask worker may have many threads


def run_grid(
    experiments: Iterable[Experiment], *, jobs: int = 1, runs_dir: str | Path | None = None, backend: str = "loky"
) -> tuple[list[Run], dict[str, str]]:
    """Run what is missing, cheapest first, and return (finished runs, what went wrong by run id).

    jobs: processes, each with its share of the cores; two single-thread runs side by side beat one of two
    threads at 32 and 64 px. backend: "loky" on this machine; "dask" on the cluster of the current or
    DASK_SCHEDULER_ADDRESS's client, else on a local one of `jobs` workers; the runs' folder must be one they
    share. Raises ValueError for a backend that is unknown or not installed.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if jobs < 1:
        raise ValueError(f"got {jobs} jobs, expected 1 or more")
    costs = {experiment: _cost(experiment) for experiment in experiments}
    queue, whole = sorted(costs, key=costs.get), sum(costs.values()) or 1
    threads = max(1, cpu_count() // jobs) if jobs > 1 or backend == "dask" else None
    finished, failed, left = [], {}, set(queue)
    with (
        tempfile.TemporaryDirectory() as lines,
        _cluster(backend, jobs) as death,
        progress_bar(total=100, desc="grid", unit_scale=True) as bar,
    ):
        desk = lines if threads and backend == "loky" else None
        # unordered, so that a run is told when it ends; in batches of one, for each takes minutes
        results = Parallel(return_as="generator_unordered", batch_size=1)(
            delayed(_run_one)(experiment, runs_dir, threads, desk) for experiment in queue
        )
        with contextlib.suppress(death):  # by the system's hand for want of memory, say
            for experiment, path, error in results:
                left.remove(experiment)
                if path:
                    finished.append(read_record(path))
                    error = f"done, {finished[-1].provenance['seconds']:.0f} s of training"
                else:
                    failed[experiment.id] = error
                bar.write(f"{experiment.id}: {error}")
                bar.update(100 * costs[experiment] / whole)
    died = "not finished, for a worker process died; ask again to go on"
    return finished, failed | {experiment.id: died for experiment in left}


def _cost(experiment: Experiment) -> float:
    with contextlib.suppress(Exception):  # such a run fails at once, or its work cannot be counted
        table = model_table([experiment.backbone], [experiment.image_size], stem=experiment.stem)
        return experiment.pictures * float(table.multiply_adds_m[0])
    return 0.0


@contextlib.contextmanager
def _cluster(backend: str, jobs: int) -> Iterator[type[Exception]]:
    """Open the backend for joblib; what comes out is its error for a process that died."""
    if backend == "loky":
        with parallel_config("loky", n_jobs=jobs):
            yield BrokenExecutor
        return
    try:
        from distributed import Client, KilledWorker, get_client
    except ImportError:
        raise ValueError("backend dask is not installed: pip install 'cifarlib[dask]'") from None
    try:
        client = contextlib.nullcontext(get_client())
    except ValueError:  # there is none yet
        own = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
        client = Client(**({} if os.environ.get("DASK_SCHEDULER_ADDRESS") else own))
    with client, parallel_config("dask", n_jobs=-1):
        yield KilledWorker


def _run_one(
    experiment: Experiment, runs_dir: str | Path | None, threads: int | None, desk: str | None
) -> tuple[Experiment, str, str]:
    if threads:
        torch.set_num_threads(threads)
    if desk:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        with ONE_AT_A_TIME, _terminal_line(desk) as line:
            shown = {"num_workers": 0 if threads else None, "progress": line if desk else not threads}
            return experiment, str(run(experiment, runs_dir=runs_dir, **shown).path), ""
    except Exception as error:  # whatever it is, the other runs go on and this one is listed
        return experiment, "", f"{type(error).__name__}: {error}"


def _end_with(parent: int) -> None:
    # a grid that was killed leaves nobody behind who holds its runs
    while os.getppid() == parent and psutil.pid_exists(parent):
        time.sleep(1)
    os._exit(1)


@contextlib.contextmanager
def _terminal_line(desk: str | None) -> Iterator[int]:
    """Hold one line of the terminal among processes, from 1, whose bars are drawn one at a time."""
    if desk:
        tqdm.set_lock(FileLock(Path(desk) / "drawing"))
    for line in range(1, 1 + cpu_count() * 8) if desk else ():
        with contextlib.suppress(Timeout), FileLock(Path(desk) / str(line), timeout=0):
            yield line
            return
    yield 0
