"""Many runs, in parallel where that is faster; one that fails does not stop the others."""

import os
from collections.abc import Iterable
from pathlib import Path

import torch
from joblib import Parallel, delayed, parallel_config

from .experiments import Experiment
from .progress import progress_bar
from .records import Run, read_record
from .running import run


def run_grid(
    experiments: Iterable[Experiment], *, jobs: int = 1, runs_dir: str | Path | None = None, backend: str = "loky"
) -> tuple[list[Run], dict[str, str]]:
    """Run what is missing and return (finished runs, what went wrong by run id).

    jobs: processes, each with its share of the cores; backend: joblib's, e.g. "loky" or a registered
    "dask". Two single-thread runs side by side beat one of two threads at 32 and 64 px.
    """
    experiments = list(experiments)
    threads = max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None
    finished, failed = [], {}
    with parallel_config(backend, n_jobs=jobs):
        results = Parallel(return_as="generator_unordered")(
            delayed(_run_one)(e, runs_dir, threads) for e in experiments
        )
        with progress_bar(total=len(experiments), desc="grid", unit="run") as bar:
            for experiment, path, error in results:
                if path:
                    finished.append(read_record(path))
                    error = f"done in {finished[-1].provenance['seconds']:.0f} s"
                else:
                    failed[experiment.id] = error
                bar.write(f"{experiment.id}: {error}")
                bar.update()
    return finished, failed


def _run_one(experiment: Experiment, runs_dir: str | Path | None, threads: int | None) -> tuple[Experiment, str, str]:
    alone = threads is None
    if not alone:
        torch.set_num_threads(threads)
    try:
        finished = run(experiment, runs_dir=runs_dir, num_workers=None if alone else 0, progress=alone)
        return experiment, str(finished.path), ""
    except Exception as error:  # whatever it is, the other runs go on and this one is listed
        return experiment, "", f"{type(error).__name__}: {error}"
