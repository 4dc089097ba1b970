"""Tables: the write-up's published numbers and the literature's as data, and ours beside them."""

from collections.abc import Iterable, Mapping

import pandas as pd

from .experiments import COMPARED, IMAGE_SIZES, Experiment
from .files import PACKAGE
from .models import BACKBONES
from .records import Run, find_record

# our table's parts: init, measure in Run.test, column of the published table
KINDS = {
    "scratch": ("scratch", "accuracy", "accuracy_scratch"),
    "fine-tuned": ("imagenet", "accuracy", "accuracy_pretrained"),
    "fine-tuned + TTA": ("imagenet", "tta_accuracy", "accuracy_pretrained_tta3"),
}


def published_table() -> pd.DataFrame:
    """Return the write-up's test accuracies: image_size, backbone, accuracy_… scratch, pretrained, pretrained_tta3."""
    return pd.read_csv(PACKAGE / "tables" / "test_accuracy.csv")


def literature() -> pd.DataFrame:
    """Return CIFAR-100 results of 2013-2020: published, method, top1_percent, extra_data, record, reference."""
    return pd.read_csv(PACKAGE / "tables" / "literature.csv", keep_default_na=False, parse_dates=["published"])


def measured_speeds() -> pd.DataFrame:
    """Return training speeds, `benchmark`'s whole loop: backbone, image_size, stem, images_per_second, device."""
    return pd.read_csv(PACKAGE / "tables" / "speed.csv")


def largest_run(backbone: str, image_size: int, init: str, *, budgets: Iterable[str] = COMPARED) -> Run | None:
    """Return the recorded run of the largest of `budgets` for one cell of the comparison, or None."""
    cells = (Experiment(backbone, image_size, init, budget) for budget in budgets)
    return next((found for cell in cells if (found := find_record(cell.id))), None)


def fair_runs(backbones: Iterable[str], image_size: int, init: str) -> dict[str, Run | None]:
    """Return each backbone's recorded run of the budget that most of them have, or of a smaller one.

    So that curves in one figure can be compared: runs of a larger budget that only a few have are left out.
    Rehearsals ("smoke") do not vote; where no two share another budget, each run is the largest of its own.
    """
    found = {name: {b: largest_run(name, image_size, init, budgets=[b]) for b in COMPARED} for name in backbones}
    held = [sum(bool(runs[budget]) for runs in found.values()) for budget in COMPARED[:-1]]
    first = held.index(max(held)) if max(held) >= min(2, len(found)) else 0  # of equally many the larger
    return {name: next((runs[b] for b in COMPARED[first:] if runs[b]), None) for name, runs in found.items()}


def summary(runs: Mapping[str, Run | None]) -> pd.DataFrame:
    """Return the rounded numbers behind the curves, a row a backbone: budget, last epoch, best one; no test score."""
    rows = {backbone: {"budget": run.experiment.budget if run else "open"} for backbone, run in runs.items()}
    for backbone, run in runs.items():
        if run:
            last = run.history.iloc[-1]
            losses = {name: f"{last[name]:.2f}" for name in ("train_loss", "valid_loss")}
            accuracies = {name: f"{last[name]:.1%}" for name in ("train_accuracy", "valid_accuracy")}
            best = {"best_valid": f"{run.history.valid_accuracy.max():.1%}", "best_epoch": str(run.best_epoch)}
            rows[backbone] |= {"epochs": str(len(run.history)), **losses, **accuracies, **best}
            rows[backbone]["minutes"] = f"{run.history.seconds.sum() / 60:.1f}"
    return pd.DataFrame(rows.values(), index=pd.Index(rows, name="backbone")).fillna("")


def comparison() -> pd.DataFrame:
    """Return the write-up's test table with ours beside it: a row for each size and backbone.

    Columns: KINDS × (ours, budget, published), in %; "open" where no run is recorded, "–" where none was published.
    """
    published = published_table().set_index(["image_size", "backbone"])
    cells = pd.MultiIndex.from_product([IMAGE_SIZES, BACKBONES], names=published.index.names)
    rows = []
    for image_size, backbone in cells:
        row = []
        for init, measure, column in KINDS.values():
            run = largest_run(backbone, image_size, init)
            row += [f"{run.test[measure]:.1%}", run.experiment.budget] if run else ["open", ""]
            known = (image_size, backbone) in published.index
            row.append(f"{published[column][image_size, backbone]:.1%}" if known else "–")
        rows.append(row)
    return pd.DataFrame(rows, cells, pd.MultiIndex.from_product([KINDS, ("ours", "budget", "published")]))
