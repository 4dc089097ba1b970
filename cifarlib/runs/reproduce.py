"""Running a record's experiment again, and saying how near the new numbers come to its own."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..utils.errors import unknown
from .parts import load_data
from .provenance import different_settings
from .record import UNKNOWN, Run
from .run import run, run_identity, train_first
from .store import REPRODUCED, find_run, own_folder, record_paths

# how far apart seeds lie: the standard deviation over three seeds (ResNet18, 32 px, from scratch,
# the write-up's scale), pooled over the 50 epochs where there are several; nats and fractions
SEED_NOISE = {
    "train_loss": 0.013,
    "train_accuracy": 0.003,
    "valid_loss": 0.031,
    "valid_accuracy": 0.006,
    "best_valid_accuracy": 0.004,
    "accuracy": 0.004,
    "top5": 0.001,
    "tta_accuracy": 0.005,
}
# two runs of other seeds differ by less than this times the deviation in 95 of 100 cases
TWO_RUNS = 2 * math.sqrt(2)
ROUNDING = 5e-5  # below the fourth decimal nothing is told apart
COMPARED = ("device", "precision", "engine", "system")  # parts of how it was made that may differ


def reproduce(
    run_id: str,
    *,
    epochs: int | None = None,
    runs_dir: str | Path | None = None,
    command: str | None = None,
) -> tuple[pd.DataFrame, dict[str, tuple[str, str]]]:
    """Run a record's experiment again, or its first epochs; return (comparison, differences).

    comparison: see compare. differences: what of how both were made is not the same, by name:
    (recorded, now). The new run lies in the folder "reproduced" of one's own runs, and goes on
    there if it was stopped. Raises ValueError for a run that is not recorded, epochs that it has
    not, and where pictures, weights or settings at hand are not those of the record.
    """
    found = find_run(run_id, runs_dir=runs_dir)
    if found is None:
        raise unknown("run", run_id, record_paths(runs_dir))
    n_epochs = len(found.history)
    if epochs is None:
        epochs = n_epochs
    if not 1 <= epochs <= n_epochs:
        raise ValueError(f"got {epochs} epochs, expected 1 to {n_epochs}, which {run_id} has")
    different = different_settings(found, found.experiment)
    if different:
        raise ValueError(
            f"{found.id} cannot be run again here: it was made with another"
            f" {' and another '.join(different)} (code at commit {_commit(found)})"
        )
    data = load_data(found.experiment.image_size)
    here = run_identity(found.experiment, *data)
    if here != found.id:
        raise ValueError(f"{found.id} cannot be run again here: on these pictures it is {here}")
    folder = own_folder(runs_dir) / REPRODUCED
    if epochs < n_epochs:
        history, made = train_first(
            found.experiment,
            epochs,
            runs_dir=folder,
            data=data,
            command=command,
        )
        return compare(found, history), differences_of(found, made)
    again = run(
        found.experiment,
        retrain=True,
        runs_dir=folder,
        data=data,
        published=False,
        command=command,
    )
    return compare(found, again.history, again.test), differences_of(found, again.provenance)


def compare(
    recorded: Run,
    history: pd.DataFrame,
    test: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Return a row a measure: recorded, now, difference, seed_noise and verdict.

    history: the new run's, of as many epochs as it has; its last is compared. test: the new run's,
    where it has been tested. verdict: "equal" to the fourth decimal; "seed noise" within 2·√2 times
    the deviation between seeds, which two runs of other seeds leave once in 20 times; else "off".
    """
    then = recorded.history.iloc[: len(history)]
    pairs: dict[str, tuple[float, float]] = {}
    for name in ("lr", *SEED_NOISE):
        if name in history:
            pairs[name] = (float(then[name].iloc[-1]), float(history[name].iloc[-1]))
        elif test is None:
            continue
        elif name == "best_valid_accuracy":
            pairs[name] = (float(then.valid_accuracy.max()), float(history.valid_accuracy.max()))
        else:
            pairs[name] = (float(recorded.test[name]), float(test[name]))
    rows = []
    for name, (recorded_value, value) in pairs.items():
        noise = SEED_NOISE.get(name, 0.0)  # a learning rate has none
        rows.append(
            {
                "measure": name,
                "recorded": recorded_value,
                "now": value,
                "difference": value - recorded_value,
                "seed_noise": noise,
                "verdict": _verdict(recorded_value, value, noise),
            }
        )
    return pd.DataFrame(rows).set_index("measure")


def _verdict(recorded: float, now: float, noise: float) -> str:
    # a learning rate may itself be below the fourth decimal
    if noise == 0.0:
        if math.isclose(recorded, now, rel_tol=1e-6):
            return "equal"
        return "off"
    difference = abs(now - recorded)
    if difference <= ROUNDING:
        return "equal"
    if difference <= TWO_RUNS * noise:
        return "seed noise"
    return "off"


def _commit(found: Run) -> str:
    code = found.told("code")
    if code == UNKNOWN:
        return UNKNOWN
    return code["commit"]


def differences_of(found: Run, made: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return what of how two runs were made is not the same."""
    differences = {}
    for name in COMPARED:
        if found.told(name) != made[name]:
            differences[name] = (str(found.told(name)), str(made[name]))
    for library, version in made["versions"].items():
        then = found.provenance["versions"].get(library, UNKNOWN)
        if then != version:
            differences[library] = (then, version)
    return differences
