"""Validate trained nets with other BatchNorm statistics than their running averages.

    python scripts/batch_norm.py RUN_ID … --runs-dir runs --out batch_norm.csv

Only runs of one's own keep the weights that this needs: `python -m cifarlib train …`. Rows of other
runs that the table has already are kept.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

from cifarlib import (
    Device,
    ImageSet,
    Run,
    choose_device,
    eval_transform,
    evaluate,
    load_cifar100,
    make_loader,
    split_folds,
    train_transform,
)
from cifarlib.config import BUDGETS
from cifarlib.experiments.store import find_own_run
from cifarlib.utils.files import atomic_path, ensure_folder

COLUMNS = ["run", "statistics", "valid_loss", "valid_accuracy"]
OWN_BATCHES = (64, 250)  # pictures whose own statistics are used
ANEW_BATCH = 64  # pictures, as in training
# how many augmented training pictures the averages are made anew from
ANEW_PICTURES = {"writeup": 10_000, "quick": 2_560, "smoke": 400}


def batch_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Return a net's BatchNorm layers."""
    return [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]


def validate_with_own_statistics(
    model: nn.Module,
    loader: DataLoader,
    device: Device,
) -> tuple[float, float]:
    """Return (loss, accuracy) where each batch is normalised by its own mean and variance."""
    layers = batch_norms(model)
    for layer in layers:
        layer.momentum = 0.0  # the running averages stay as they are

    def use_own_statistics(*_: object) -> None:
        for layer in layers:
            layer.train()

    # evaluate puts the whole net into eval mode, so its BatchNorm layers are put back at each batch
    handle = model.register_forward_pre_hook(use_own_statistics)
    try:
        return evaluate(model, loader, device=device)
    finally:
        handle.remove()


def make_averages_anew(model: nn.Module, loader: DataLoader, device: Device) -> None:
    """Replace the running averages by the mean over a loader's batches; no weight moves."""
    model.eval()
    for layer in batch_norms(model):
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
        layer.train()
    with torch.inference_mode(), device.autocast():
        for images, _ in loader:
            model(device.prepare(images))
    model.eval()


def parts_of(run: Run) -> tuple[ImageSet, ImageSet]:
    """Return the pictures (train, valid) that a run learned from and was validated on.

    Raises ValueError where other pictures are loaded here than the run's.
    """
    budget = BUDGETS[run.experiment.budget]
    train, valid = split_folds(load_cifar100("train"))
    train = train[: budget.n_train]
    valid = valid[: budget.n_valid]
    expected = run.provenance["data"]["fingerprints"]
    # a number measured on other pictures looks like any other
    if train.fingerprint != expected["train"] or valid.fingerprint != expected["valid"]:
        raise ValueError(
            f"{run.id} was trained on other pictures than {train.source}'s, which are loaded here:"
            " name the folder of its own by CIFARLIB_DATA"
        )
    return train, valid


def measure(run: Run) -> list[list[object]]:
    """Return the table's rows for one run."""
    experiment = run.experiment
    train, valid = parts_of(run)
    model = run.load_model()
    device = choose_device(model)
    device.place(model)

    fixed = eval_transform(experiment.image_size, normalize=False)
    loaders = {size: make_loader(valid, fixed, batch_size=size) for size in OWN_BATCHES}
    rows: list[list[object]] = []
    loss, accuracy = evaluate(model, loaders[OWN_BATCHES[-1]], device=device)
    rows.append([run.id, "running averages", loss, accuracy])
    for size, loader in loaders.items():
        loss, accuracy = validate_with_own_statistics(model, loader, device)
        rows.append([run.id, f"the batch's own ({size} pictures)", loss, accuracy])

    augmented = train_transform(experiment.image_size, experiment.policy, normalize=False)
    some = train[: ANEW_PICTURES[experiment.budget]]
    shuffled = make_loader(some, augmented, batch_size=ANEW_BATCH, shuffle=True)
    make_averages_anew(model, shuffled, device)
    loss, accuracy = evaluate(model, loaders[OWN_BATCHES[-1]], device=device)
    rows.append([run.id, "averages made anew", loss, accuracy])
    return rows


def find(run_id: str, runs_dir: str | None) -> Run:
    """Return one's own run of that id; ValueError where there is none that can be measured."""
    run = find_own_run(run_id, runs_dir=runs_dir)
    if run is None:
        raise ValueError(f"no run {run_id} of your own: train it, or name its folder by --runs-dir")
    if run.experiment.budget not in ANEW_PICTURES:
        raise ValueError(f"got budget {run.experiment.budget}, expected {', '.join(ANEW_PICTURES)}")
    # asked before anything is measured, for that takes minutes a run
    if not run.best_path.exists():
        raise ValueError(f"{run_id} has no weights beside its record: train it anew by --retrain")
    return run


def read_table(path: Path) -> pd.DataFrame:
    """Return a table's rows as text, none where there is no file; ValueError for another table."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS, dtype=str)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if list(table.columns) != COLUMNS:
        raise ValueError(f"{path} has columns {', '.join(table)}, expected {', '.join(COLUMNS)}")
    return table


def add_to_table(path: Path, run_id: str, rows: list[list[object]]) -> None:
    """Put a run's rows into a table, atomically, in place of older ones of the same run."""
    measured = pd.DataFrame(rows, columns=COLUMNS)
    measured["valid_loss"] = measured.valid_loss.map("{:.3f}".format)
    measured["valid_accuracy"] = measured.valid_accuracy.map("{:.4f}".format)
    table = read_table(path)
    others = table[table.run != run_id]
    with atomic_path(path) as temporary:
        pd.concat([others, measured]).to_csv(temporary, index=False, lineterminator="\n")
    print(measured.to_string(index=False))


def main() -> int:
    """Measure the named runs; bad input gives one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Validate nets with other BatchNorm statistics.")
    parser.add_argument("run_ids", nargs="+", metavar="RUN_ID", help="Measure these runs.")
    parser.add_argument("--runs-dir", help="Find them here (default: CIFARLIB_RUNS, else runs/).")
    parser.add_argument("--out", type=Path, required=True, help="Add the rows to this table.")
    asked = parser.parse_args()
    try:
        # what can be wrong is found before the first run is measured
        runs = [find(run_id, asked.runs_dir) for run_id in asked.run_ids]
        ensure_folder(asked.out.parent)
        read_table(asked.out)
        for run in runs:
            # written run by run, so that what is stopped keeps what it measured
            add_to_table(asked.out, run.id, measure(run))
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
