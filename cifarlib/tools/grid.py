"""Many runs, in parallel where that is faster; one that fails does not stop the others."""

import contextlib
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from filelock import FileLock, Timeout
from joblib import Parallel, cpu_count, delayed, parallel_config
from tqdm import tqdm

from ..config import Experiment
from ..data.loader import MOST_WORKERS
from ..experiments.provenance import called_from
from ..experiments.record import Run, read_record
from ..experiments.run import run
from ..models.anatomy import model_table
from ..utils.checks import whole_number
from ..utils.errors import unknown
from ..utils.progress import progress_bar

BACKENDS = ("loky", "dask")
MOST_JOBS = 1000  # processes, on a cluster perhaps
DIED = "not finished, for a worker process died; ask again to go on"


class Outcome(NamedTuple):
    """What a process hands back of one experiment: its record's path, or what went wrong."""

    experiment: Experiment
    path: str  # "" where it failed
    error: str  # "" where it did not


def run_grid(
    experiments: Iterable[Experiment],
    *,
    jobs: int = 1,
    runs_dir: str | Path | None = None,
    backend: str = "loky",
    command: str | None = None,
) -> tuple[list[Run], dict[str, str]]:
    """Run what is missing, cheapest first, and return (finished runs, what went wrong by run id).

    jobs: processes, each with its share of the cores; two single-thread runs side by side beat one
    of two threads at 32 and 64 px. backend: "loky" on this machine; "dask" on the cluster of the
    current or DASK_SCHEDULER_ADDRESS's client, else on a local one of `jobs` workers; the runs'
    folder must be one they share. command: see run. Raises ValueError for a backend that is unknown
    or not installed.
    """
    check_processes(jobs, backend)
    costs = {experiment: _cost(experiment) for experiment in experiments}
    whole_cost = sum(costs.values()) or 1
    queue = sorted(costs, key=costs.__getitem__)
    threads = _threads_for_each(jobs, backend)
    command = command or called_from()  # within a process of the grid nobody knows
    finished = []
    failed = {}
    left = set(queue)
    with (
        tempfile.TemporaryDirectory() as folder,
        _cluster(backend, jobs) as death,
        progress_bar(total=100, desc="grid", unit_scale=True) as bar,
    ):
        terminal_lines = None
        if threads and backend == "loky":
            terminal_lines = folder
        # unordered, so that a run is told when it ends; in batches of one, for each takes minutes
        outcomes = Parallel(return_as="generator_unordered", batch_size=1)(
            delayed(_run_one)(experiment, runs_dir, threads, terminal_lines, command)
            for experiment in queue
        )
        with contextlib.suppress(death):  # by the system's hand for want of memory, say
            for experiment, path, error in outcomes:
                left.remove(experiment)
                if path:
                    finished.append(read_record(path))
                    news = f"done, {finished[-1].provenance['seconds']:.0f} s of training"
                else:
                    failed[experiment.id] = error
                    news = error
                bar.write(f"{experiment.id}: {news}")
                bar.update(100 * costs[experiment] / whole_cost)
    for experiment in left:
        failed[experiment.id] = DIED
    return finished, failed


def check_processes(jobs: int, backend: str) -> None:
    """Raise ValueError for a number of processes or a backend that cannot be."""
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    whole_number("jobs", jobs, least=1, most=MOST_JOBS)


def _cost(experiment: Experiment) -> float:
    """Return about how much work an experiment is, in million multiply-adds."""
    # a net that cannot be built fails at once, and the work of some cannot be counted
    with contextlib.suppress(Exception):
        table = model_table(
            [experiment.backbone],
            [experiment.image_size],
            stem=experiment.stem,
        )
        return experiment.work() * float(table.multiply_adds_m[0])
    return 0.0


def _threads_for_each(jobs: int, backend: str) -> int | None:
    """Return how many threads each of several processes gets; None: one process has them all."""
    if jobs == 1 and backend == "loky":
        return None
    return max(1, cpu_count() // jobs)


def _workers_for_each(threads: int | None) -> int | None:
    """Return how many loader workers a run of the grid gets; None is make_loader's default.

    Side by side on CPU cores a run has none, for each core is a run's; beside a GPU the cores have
    nothing else to do than to load, and each run gets its share of them.
    """
    if threads is None:
        return None
    # Dask's processes are not allowed any
    if torch.cuda.is_available() and not multiprocessing.current_process().daemon:
        return min(MOST_WORKERS, threads)
    return 0


@contextlib.contextmanager
def _cluster(backend: str, jobs: int) -> Iterator[type[Exception]]:
    """Open the backend for joblib; what comes out is its error for a process that died."""
    if backend == "loky":
        with parallel_config("loky", n_jobs=jobs):
            yield BrokenExecutor
        return
    try:
        from distributed import KilledWorker  # optional
    except ImportError:
        raise ValueError("backend dask is not installed: pip install 'cifarlib[dask]'") from None
    with _dask_client(jobs), parallel_config("dask", n_jobs=-1):
        yield KilledWorker


def _dask_client(jobs: int) -> contextlib.AbstractContextManager:
    """Return the current client, which stays open, else one of its own, which is closed."""
    from distributed import Client, get_client

    try:
        return contextlib.nullcontext(get_client())
    except ValueError:  # there is none yet
        if os.environ.get("DASK_SCHEDULER_ADDRESS"):
            return Client()
        return Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)


def _run_one(
    experiment: Experiment,
    runs_dir: str | Path | None,
    threads: int | None,
    terminal_lines: str | None,
    command: str,
) -> Outcome:
    """Run one experiment in a process of the grid."""
    if threads:
        torch.set_num_threads(threads)
    # in a process of this machine's grid, which must not outlive it
    if terminal_lines:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        with _terminal_line(terminal_lines) as line:
            progress: bool | int = line
            if threads is None:  # alone, with all cores, and the bar of a single run
                progress = True
            elif terminal_lines is None:  # on another machine perhaps: nobody sees a bar
                progress = False
            found = run(
                experiment,
                runs_dir=runs_dir,
                num_workers=_workers_for_each(threads),
                progress=progress,
                command=command,
            )
    except Exception as error:  # whatever it is, the other runs go on and this one is listed
        return Outcome(experiment, path="", error=f"{type(error).__name__}: {error}")
    return Outcome(experiment, path=str(found.path), error="")


def _end_with(parent: int) -> None:
    """End this process when its parent has.

    So a grid that was killed leaves nobody behind who holds its runs.
    """
    while os.getppid() == parent and psutil.pid_exists(parent):
        time.sleep(1)
    os._exit(1)


@contextlib.contextmanager
def _terminal_line(folder: str | None) -> Iterator[int]:
    """Hold one line of the terminal among processes, from 1, whose bars are drawn one at a time.

    folder: where the locks are, one a line; None: line 0, without a lock.
    """
    if folder is None:
        yield 0
        return
    tqdm.set_lock(FileLock(Path(folder) / "drawing"))
    for line in range(1, 1 + 8 * cpu_count()):
        with contextlib.suppress(Timeout), FileLock(Path(folder) / str(line), timeout=0):
            yield line
            return
    yield 0  # more processes than anybody reads
